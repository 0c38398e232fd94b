"""A service on its owner's machine: what git makes of its files, and what `make up` adds to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.template import machine
from tests.template.tree import Tree

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def git(*arguments: str | Path, cwd: Path) -> str:
    """What git prints; nobody's own settings decide it."""
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return machine.run("git", *AUTHOR, *arguments, cwd=cwd, env=alone)


def test_a_clone_that_converts_line_ends_leaves_them(everything: Tree, tmp_path: Path) -> None:
    """core.autocrlf=true is what git for Windows sets, also where the files are used by Linux."""
    service, clone = tmp_path / "service", tmp_path / "clone"
    shutil.copytree(everything.path, service)
    git("init", "-q", cwd=service)
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "all", cwd=service)
    git("clone", "-q", "-c", "core.autocrlf=true", service, clone, cwd=tmp_path)
    machine.run("sh", "-n", "dev/venv.sh", cwd=clone)
    assert [name for name, text in Tree(clone).files.items() if "\r" in text] == []
    assert Tree(clone).files == Tree(service).files
    assert git("status", "--porcelain", cwd=clone) == ""


@pytest.mark.parametrize("own", ["", "LOG_LEVEL=debug", "LOG_LEVEL=debug\n"])
def test_secrets_are_lines_of_their_own(everything: Tree, tmp_path: Path, own: str) -> None:
    """An editor need not end the last line of `.env`."""
    service = Path(shutil.copytree(everything.path, tmp_path / "service"))
    (service / ".env").write_text(own)
    for _ in range(2):
        machine.run("sh", "dev/docker.sh", "build", cwd=service, env={"COMPOSE": "true"})
    lines = (service / ".env").read_text().splitlines()
    assert [line for line in lines if line in own.splitlines()] == own.splitlines()
    made = dict(line.split("=") for line in lines[len(own.splitlines()) :])
    assert set(made) == {
        "GRAFANA_PASSWORD",
        "PAGINATION_SECRETS",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    }
    assert {len(secret) for secret in made.values()} == {48}
