"""Wheels of perfgen, each in an environment of its own: that of every earlier release, and the present one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from maintain import template
from perfgen import releases
from tests.template import versions

EARLIER = [str(one.version) for one in releases.bundled(template.ROOT / "releases")]
FIRST = EARLIER[0]
PRESENT = "1000.0.0"  # the working tree, as if it were released
BUILT_FROM = ("generator", "releases", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class Installed:
    """An environment with a wheel of perfgen."""

    folder: Path
    wheel: Path

    def run(
        self, *words: str | Path, cwd: Path, home: Path, program: str = "perfgen"
    ) -> subprocess.CompletedProcess[str]:
        """Run its `perfgen` in that home, without a network where this machine can do so."""
        command = [*offline(), str(self.folder / "bin" / program), *map(str, words)]
        env = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        return subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
        )

    def perfgen(self, *words: str | Path, cwd: Path, home: Path) -> str:
        """Run it; what it printed."""
        done = self.run(*words, cwd=cwd, home=home)
        assert done.returncode == 0, done.stderr
        return done.stdout


@cache
def offline() -> tuple[str, ...]:
    """What to put before a command so that it has no network; nothing where that is not allowed."""
    words = ("unshare", "-n", "-r")
    if not shutil.which(words[0]):
        return ()
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else ()


def each(*others: list[Any], quick: Callable[..., bool]) -> list[Any]:
    """Every earlier release, with each of what is in `others`; slow but for those that are `quick`."""
    return [
        pytest.param(*values, marks=[] if quick(*values) else pytest.mark.slow)
        for values in product(EARLIER, *others)
    ]


def released(version: str, folder: Path) -> Installed:
    """That perfgen as it was when its release was cut, generator and all; skips without that history."""
    bundle = f"releases/{version}.bundle"
    commit = versions.git("log", "-1", "--format=%H", "--", bundle, cwd=template.ROOT).strip()
    init = f"{commit or 'HEAD'}:generator/perfgen/__init__.py"
    if not commit or f'"{version}"' not in versions.git("show", init, cwd=template.ROOT):
        # in CI as well, where a clone may be shallow
        pytest.skip(f"the history of this repository does not reach back to {version}")
    source = folder / "source"
    source.mkdir(parents=True)
    archive = folder / "source.tar"
    versions.git("archive", "--output", archive, commit, cwd=template.ROOT)
    shutil.unpack_archive(archive, source)
    return _installed(folder)


def present(folder: Path) -> Installed:
    """The working tree, uncommitted changes too, with its template as the release PRESENT."""
    source = _present_source(folder)
    init = source / "generator" / "perfgen" / "__init__.py"
    init.write_text(re.sub(r'(__version__ = )".*"', rf'\1"{PRESENT}"', init.read_text()))
    versions.commit(source, "as it lies here")
    releases.cut(source, PRESENT)
    return _installed(folder)


def older(folder: Path) -> Installed:
    """The commands of the working tree, with nothing newer than the first template."""
    source = _present_source(folder)
    for path in (source / "releases").glob("*.bundle"):
        if path.stem != FIRST:
            path.unlink()
    store = folder / "store"
    releases.create(store)
    releases.load(releases.bundled(source / "releases"), store)
    for part in ("copier.yml", "patterns", "template"):
        path = source / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    archive = folder / "template.tar"
    versions.git("archive", "--output", archive, f"v{FIRST}", cwd=store)
    shutil.unpack_archive(archive, source)
    return _installed(folder)


def _present_source(folder: Path) -> Path:
    source = template.copy_template(folder / "source")
    for part in BUILT_FROM:
        path, target = template.ROOT / part, source / part
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, target)
    return source


def _installed(folder: Path) -> Installed:
    """Build a wheel from `folder/source`, which then goes, and install it."""
    wheels, environment = folder / "wheels", folder / "environment"
    tool("build", "--quiet", "--wheel", "--out-dir", wheels, folder / "source", cwd=folder)
    shutil.rmtree(folder / "source")
    (wheel,) = wheels.glob("*.whl")
    tool("venv", "--quiet", "--python", sys.executable, environment, cwd=folder)
    python = environment / "bin" / "python"
    tool("pip", "install", "--quiet", "--python", python, wheel, cwd=folder)
    return Installed(environment, wheel)


def tool(*words: str | Path, cwd: Path) -> None:
    """Run uv with the configuration of this machine: a wheel may come from where it gets its packages."""
    command = [find_uv_bin(), *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
