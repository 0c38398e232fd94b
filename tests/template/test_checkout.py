"""A service on its owner's machine: what `make up` adds to its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.template import machine
from tests.template.tree import Tree


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
    assert set(made) == {"PAGINATION_SECRETS", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert {len(secret) for secret in made.values()} == {48}
