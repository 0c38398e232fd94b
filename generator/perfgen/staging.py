"""A folder to work in that is gone afterwards, however the work ends."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from perfgen import signals
from perfgen.errors import Refused

T = TypeVar("T")
PATIENCE = 5.0  # seconds that a git which was at work may take to notice


def staged(parent: Path, prefix: str, work: Callable[[Path], T]) -> T:
    """Call `work` with a new folder in `parent`; remove the folder whatever happens.

    While `work` runs, everything that uses the default temporary folder uses one inside.
    A signal can end `work`, but neither the making of the folder nor its removal.
    """
    signals.hold()
    try:
        folder = _make(parent, prefix)
        earlier = tempfile.tempdir
        try:
            temporary = folder / "tmp"
            temporary.mkdir()
            tempfile.tempdir = str(temporary)
            signals.release()
            try:
                return work(folder)
            finally:
                signals.hold()
        finally:
            tempfile.tempdir = earlier
            _remove(folder)
    finally:
        signals.release()


def in_temporary(work: Callable[[Path], T]) -> T:
    """Call `work` with a folder that is removed afterwards."""
    return staged(Path(tempfile.gettempdir()), "perfgen-", work)


def publish(folder: Path, target: Path) -> None:
    """Give the finished `folder` its name, in one step; after it no signal undoes anything."""
    signals.hold()
    try:
        os.rename(folder, target)
    except OSError as error:
        signals.release()
        raise Refused(
            f"{target} could not be written: {error.strerror}.", "Nothing was left behind."
        ) from error
    signals.ignore()
    signals.release()


def _make(parent: Path, prefix: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise Refused(
            f"{parent} cannot be written to: {error.strerror}.", "Choose another folder."
        ) from error


def _remove(folder: Path) -> None:
    """Remove `folder`; a child process that still writes there is waited for first."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and _children_run():
        time.sleep(0.01)
    while folder.exists() and time.monotonic() < end:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
            return
        time.sleep(0.01)


def _children_run() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
