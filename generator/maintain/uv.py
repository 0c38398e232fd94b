"""uv, kept apart from what this machine is configured to: a lock names the public index only."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from uv import find_uv_bin

# What a user may have set for the machine and a lock must not depend on.
_KEPT = ("UV_CACHE_DIR", "UV_PYTHON", "UV_PYTHON_INSTALL_DIR", "UV_SYSTEM_CERTS", "UV_HTTP_TIMEOUT")


class UvError(Exception):
    """uv ended with an error; `str()` is what it said."""


def environment() -> dict[str, str]:
    """The environment without the settings of uv, pip and an active virtual environment."""
    foreign = ("UV_", "PIP_", "VIRTUAL_ENV", "PYTHONPATH")
    return {
        key: value
        for key, value in os.environ.items()
        if key in _KEPT or not key.startswith(foreign)
    } | {"UV_NO_CONFIG": "1", "UV_DEFAULT_INDEX": "https://pypi.org/simple", "PATH": search_path()}


def search_path() -> str:
    """PATH, and behind it the interpreters that pyenv has installed, which uv does not look for."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = sorted(map(str, pyenv.glob("versions/3.*/bin")), reverse=True)
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *found])


def uv(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run uv in `cwd` and return what it printed; UvError when it fails."""
    done = subprocess.run(
        [find_uv_bin(), *arguments],
        cwd=cwd,
        env=environment() | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip()
        raise UvError(f"uv {' '.join(map(str, arguments))} in {cwd.name}: {said}")
    return done.stdout


def lock(service: Path, *, upgrade: bool = False) -> None:
    """Write the service's uv.lock, keeping the versions it has unless told to upgrade."""
    uv("lock", *["--upgrade"] * upgrade, cwd=service)


def check_lock(service: Path) -> None:
    """UvError unless uv.lock is what uv would write, as far as it can tell without network."""
    uv("lock", "--check", "--offline", cwd=service)
