"""Which Python versions this machine has for a service to run on."""

import os
import shutil
import sys
from pathlib import Path


def installed(version: str) -> bool:
    """Whether an interpreter of that version, `3.13`, can be started here."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return True
    found = shutil.which(f"python{version}")
    shims = Path(found).parent if found and Path(found).parent.name == "shims" else None
    if found and not shims:
        return True
    return any(any(folder.glob(f"*{version}.*/bin/python{version}")) for folder in _managed(shims))


def newest(versions: list[str]) -> str | None:
    """The newest of `versions` that is installed."""
    ordered = sorted(
        versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True
    )
    return next((version for version in ordered if installed(version)), None)


def _managed(shims: Path | None) -> list[Path]:
    """Where uv and pyenv keep interpreters; a shim of pyenv's is there even when it starts nothing."""
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    return [uv, shims.parent / "versions"] if shims else [uv]
