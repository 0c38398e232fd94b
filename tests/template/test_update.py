"""Updating an unedited service gives the tree of a fresh one, through plain copier."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from maintain import template as source
from perfgen import releases
from tests.proofs.harness.postgres import Postgres
from tests.template import hello
from tests.template import machine
from tests.template import servers
from tests.template import versions
from tests.template.report import Proving
from tests.template.sets import CATALOGUE
from tests.template.sets import DEFAULT_PYTHON
from tests.template.sets import MENU
from tests.template.tree import Tree

# In `make test`: one that others build on and one with tables; all in `make proofs`.
QUICK = ("cache", "queue")
RELEASED = releases.bundled(source.ROOT / "releases")


@pytest.fixture
def earlier(template: Path, tmp_path: Path) -> Path:
    """A repository with the template of this working tree, not yet committed, to be changed."""
    return Path(shutil.copytree(template, tmp_path / "template"))


@pytest.fixture(scope="session")
def with_all(repository: Path, shared: Path) -> Path:
    """A service with every pattern, committed."""
    return machine.once(
        shared / "updatable", lambda target: versions.new(repository, target, MENU, versions.NOW)
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in MENU],
)
def test_off_and_on_again_is_as_fresh(
    name: str, repository: Path, with_all: Path, tmp_path: Path, proving: Proving
) -> None:
    """Together with those that require it, which cannot be there without it."""
    gone = {name, *CATALOGUE.dependents(name)}
    fewer = [other for other in MENU if other not in gone]
    without = versions.new(repository, tmp_path / "fewer", fewer, versions.NOW)
    service = Path(shutil.copytree(with_all, tmp_path / "service"))
    with proving("updated", f"{name} off and on"):
        versions.update(service, fewer)
        assert versions.differences(service, without) == []
        versions.update(service, MENU)
        assert versions.differences(service, with_all) == []


@pytest.fixture(params=RELEASED, ids=lambda released: released.tag)
def old_service(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Path:
    """A service of that release with all that it had. Its source, `../template`, is ahead of it."""
    released: releases.Release = request.param
    store, repository = tmp_path / "store", tmp_path / "template"
    releases.create(store)
    releases.load(RELEASED, store)
    versions.git("clone", "--quiet", str(store), str(repository), cwd=tmp_path)
    versions.git("checkout", "--quiet", released.tag, cwd=repository)
    every = source.read_catalogue(repository).menu
    service = versions.new(repository, tmp_path / "service", every, released.tag)
    for part in ("copier.yml", "patterns", "template"):
        versions.git("rm", "-r", "--quiet", part, cwd=repository)
    shutil.copytree(template, repository, dirs_exist_ok=True)
    versions.release(repository, versions.NOW)
    return service


def test_a_service_of_a_release_becomes_a_fresh_one(
    old_service: Path, tmp_path: Path, proving: Proving
) -> None:
    answers = Tree(old_service).answers
    with proving("updated", f"from {answers['_commit']}"):
        versions.update(old_service)
    repository = tmp_path / "template"
    fresh = versions.new(repository, tmp_path / "fresh", answers["patterns"], versions.NOW)
    assert versions.differences(old_service, fresh) == []


def test_its_data_is_there_after_migrating(old_service: Path, postgres: Postgres) -> None:
    """Also when patterns with tables of their own come, and go again."""
    had = Tree(old_service).answers["patterns"]
    with servers.database(postgres) as url:
        env, name = {"DATABASE_URL": url, "ENVIRONMENT": "development"}, url.rpartition("/")[2]

        def app(command: str) -> None:
            python = machine.environment(old_service, DEFAULT_PYTHON, dev=False) / "bin" / "python"
            machine.run(python, "-m", "app", command, cwd=old_service, env=env)

        def rows() -> str:
            everything = "SELECT md5(string_agg(t::text, ',' ORDER BY id)), count(*) FROM"
            counted = (postgres.sql(f"{everything} {table} t", name) for table in ("users", "items"))
            return " ".join(counted)

        app("migrate")
        app("seed")
        before = rows()
        assert "|100" in before
        for patterns in (had, MENU, had):
            versions.update(old_service, patterns)
            app("migrate")
            assert rows() == before


def test_a_changed_template_arrives_whole(
    earlier: Path, template: Path, tmp_path: Path, proving: Proving
) -> None:
    """Files that are new, gone, moved and changed, in one step."""
    [service_folder] = (earlier / "template").iterdir()
    (service_folder / "app" / "gone.py").write_text('"""Not for long."""\n')
    (service_folder / "app" / "service.py").rename(service_folder / "app" / "moved.py")
    (service_folder / "app" / "server.py").unlink()
    (service_folder / "Makefile").write_text("# an old one\n")
    hello.add(earlier)
    versions.release(earlier, "v1.0.0")
    service = versions.new(earlier, tmp_path / "service", MENU, "v1.0.0")
    versions.git("rm", "-r", "--quiet", "patterns", "template", cwd=earlier)
    shutil.copytree(template, earlier, dirs_exist_ok=True)
    versions.release(earlier, versions.NOW)
    with proving("updated", "from a changed template"):
        versions.update(service)
    fresh = versions.new(earlier, tmp_path / "fresh", MENU, versions.NOW)
    assert versions.differences(service, fresh) == []


@pytest.mark.parametrize("renovate", [False, True], ids=["by hand", "by Renovate"])
def test_a_renamed_pattern_keeps_the_whole_answer(
    earlier: Path, template: Path, tmp_path: Path, renovate: bool
) -> None:
    """Copier alone would reset all of it, and delete files, when one choice is no more."""
    hello.add(earlier)
    versions.release(earlier, "v1.0.0")
    asked = [
        *[name for name in MENU if "standard" in CATALOGUE.patterns[name].presets][:1],
        "hello",
    ]
    service = versions.new(earlier, tmp_path / "service", asked, "v1.0.0")
    versions.git("rm", "-r", "--quiet", "patterns", "template", cwd=earlier)
    shutil.copytree(template, earlier, dirs_exist_ok=True)
    hello.add(earlier, "greeting", formerly="hello")
    versions.release(earlier, versions.NOW)
    if renovate:
        versions.update_as_renovate(service, versions.NOW)
    else:
        versions.update(service)
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    assert sorted(answers["patterns"]) == sorted([asked[0], "greeting"])
    fresh = versions.new(earlier, tmp_path / "fresh", answers["patterns"], versions.NOW)
    assert versions.differences(service, fresh) == []
