"""What a proof needs of this machine: an interpreter, an environment from a lock, servers."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maintain import template
from maintain import uv

CACHE = template.ROOT / "build" / "test"  # kept between runs: environments by what they hold


def once(target: Path, make: Callable[[Path], object]) -> Path:
    """The folder `target`, made if it is not there; of many who try, one makes it."""
    with locked(target):
        if not target.exists():
            half = target.with_name(f"{target.name}.half")
            shutil.rmtree(half, ignore_errors=True)
            make(half)
            half.rename(target)
    return target


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Wait for all others that work on `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def interpreter(version: str) -> Path:
    """An interpreter of that version; uv fetches one where none is installed."""
    return Path(uv.uv("python", "find", version, cwd=template.ROOT).strip())


def environment(service: Path, python: str, *, dev: bool) -> Path:
    """The folder of a virtual environment with exactly what the service's lock names.

    dev: with the development dependencies. Without them it is what the image gets.
    """
    content = (service / "uv.lock").read_bytes() + (service / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    target = CACHE / "environments" / f"{digest}-{python}-{'dev' if dev else 'only'}"
    groups = [] if dev else ["--no-dev"]
    with locked(target):
        uv.uv(
            *("sync", "--locked", "--quiet", "--python", python, *groups),
            cwd=service,
            env={"UV_PROJECT_ENVIRONMENT": str(target)},
        )
    return target


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None, timeout_s: float = 600
) -> str:
    """Run a tool of an environment; what it printed is in the error when it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=plain_environment() | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    words = " ".join(str(part) for part in command)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def short_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for a service's own pytest.

    In the usual place it would shut others out of the folders of this one. And a socket's path
    must be short.
    """
    return tempfile.TemporaryDirectory(prefix="pg-")


def plain_environment() -> dict[str, str]:
    """The environment of somebody who has set nothing that a service would read."""
    kept = ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {key: os.environ[key] for key in kept if key in os.environ} | {
        "PATH": uv.search_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }
