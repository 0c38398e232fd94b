"""A year with a service: made by an earlier release, owned and edited, brought to the present, and still green."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.generator import wheels
from tests.generator import year
from tests.generator.wheels import Installed
from tests.template import machine
from tests.template import versions
from tests.template.tree import Tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# What the update asks of the owner; from a release that is not named, nothing.
ASKED = {wheels.FIRST: [year.CONFLICT]}


class Terminal:
    """Where the owner works; what was asked and answered is kept."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.said: list[str] = []

    def perfgen(self, by: Installed, *words: str, code: int = 0) -> str:
        """Run it offline; its output."""
        return self._keep("perfgen", words, code, by.run(*words, cwd=self.folder, home=self.home))

    def git(self, *words: str) -> None:
        """Run git; what it says is not kept."""
        versions.git(*words, cwd=self.folder)
        self.said.append(f"$ {shlex.join(['git', *words])}\n")

    def make(self, *words: str) -> str:
        """Run make, with the machine's own home: uv keeps its cache there."""
        env = machine.plain_environment() | {"CI": "1"}
        env["PATH"] = os.pathsep.join([str(Path(find_uv_bin()).parent), env["PATH"]])
        done = subprocess.run(
            ["make", *words], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        return self._keep("make", words, 0, done)

    def _keep(
        self,
        program: str,
        words: tuple[str, ...],
        code: int,
        done: subprocess.CompletedProcess[str],
    ) -> str:
        said = done.stdout + done.stderr
        asked = shlex.join([program, *words])
        self.said.append(f"$ {asked}\n{said}[exit code {done.returncode}]\n")
        assert done.returncode == code, f"{asked}: {done.returncode}\n{said}"
        return said


@pytest.fixture
def terminal(version: str, tmp_path: Path) -> Iterator[Terminal]:
    """In an empty home; at the end the transcript is written, whatever happened."""
    home = tmp_path / "home"
    home.mkdir()
    one = Terminal(tmp_path, home)
    yield one
    transcript = machine.CACHE / f"a-year-later-{version}.txt"
    transcript.parent.mkdir(parents=True, exist_ok=True)
    transcript.write_text("\n".join(one.said).replace(str(tmp_path), "~/work"), "utf-8")


@pytest.mark.parametrize("version", wheels.EARLIER)
def test_a_year_later(version: str, terminal: Terminal, tmp_path: Path) -> None:
    earlier, present = (
        wheels.released(version, tmp_path / version),
        wheels.present(tmp_path / "now"),
    )
    asked = ASKED.get(version, [])
    code = 2 if asked else 0
    terminal.perfgen(earlier, "new", "shop", "--preset", "standard", "--defaults", "--no-git")
    service = terminal.folder = tmp_path / "shop"
    versions.commit(service, "A new service")
    year.works_for_a_year(service)
    mine = Tree(service).files
    touched = versions.git("diff", "--name-only", "HEAD^", cwd=service).split()
    assert len(touched) >= 10

    planned = terminal.perfgen(present, "update", "--dry-run", code=code)
    assert versions.git("status", "--porcelain", cwd=service) == ""
    told = terminal.perfgen(present, "update", code=code)
    unmerged = versions.git("diff", "--name-only", "--diff-filter=U", cwd=service).split()
    assert unmerged == asked
    if asked:
        assert year.CONFLICT in planned
        assert "it stays deleted" in told
        resolves(service, terminal, present)
    terminal.git("commit", "--quiet", "-m", f"Template {wheels.PRESENT}")

    now = Tree(service).files
    assert now.keys() >= mine.keys(), "nothing of the owner's is gone"
    for path in ("app/shop/__init__.py", "tests/shop/test_shop.py", "pyproject.toml", "uv.lock"):
        assert now[path] == mine[path]
    for path, line in {
        "app/patterns.py": "    shop.pattern,\n",
        ".env.example": "#SHOP_COUNTERS=3\n",
        "compose.yaml": "postgres:17-alpine\n",
        "README.md": "Ask Ada before",
    }.items():
        assert line in now[path]
    assert year.DELETED not in now
    assert year.MOVED[0] not in now
    if asked:
        assert now[year.MOVED[1]] != mine[year.MOVED[1]], "the template's change came to its place"

    checked = terminal.perfgen(present, "check").splitlines()
    assert [line.split()[0] for line in checked] == ["ok"] * len(checked) != []
    terminal.make("check")
    terminal.make("test")


def resolves(service: Path, terminal: Terminal, present: Installed) -> None:
    """The owner decides the conflict, after having tried to go on without."""
    refused = terminal.perfgen(present, "update", "--continue", code=2)
    assert year.CONFLICT in refused
    year.resolves(service)
    terminal.git("add", year.CONFLICT)
    terminal.perfgen(present, "update", "--continue")
