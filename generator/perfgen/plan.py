"""What a change does to the user's files, written down before the first of them moves.

Everything lies in `<git folder>/perfgen`. The name of the plan's file is how far it has come: none while all is
prepared, `swapping.json` while files move, `landed.json` until the change is committed or undone. Which files
have moved is seen from where they are, so nothing has to be written, and no disk space found, on the way.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from perfgen.errors import Refused

SWAPPING, LANDED = "swapping.json", "landed.json"
DRAFT = ".perfgen-move"  # what a file is called while it is copied to another disk


@dataclass
class Plan:
    """One change: paths are relative to the top of the work tree."""

    head: str  # the commit that it changes
    command: str
    leave: list[str]  # files that are there and go, or make place for a new one
    come: list[str]  # files that come
    landed: dict[str, str]  # what each that comes is, by `fingerprint`
    marked: list[str]  # files that come with conflict markers
    conflicts: list[str]  # files with unmerged entries in the index
    stays: list[str] = field(default_factory=list)  # conflicts that keep the user's file
    folders: list[str] = field(default_factory=list)  # made for what comes, the deepest first
    message: str = ""  # for the commit

    def save(self, state: Path) -> None:
        """Write it down as about to be carried out: whole or not at all."""
        draft = state / "draft"
        draft.write_text(json.dumps(asdict(self)))
        os.replace(draft, state / SWAPPING)


def load(state: Path) -> tuple[Plan | None, bool]:
    """The plan in `state`, if there is one, and whether it was carried out."""
    for name in (LANDED, SWAPPING):
        try:
            return Plan(**json.loads((state / name).read_text())), name == LANDED
        except FileNotFoundError:
            continue
        except (ValueError, TypeError) as error:
            raise Refused(
                f"{state / name} is damaged, so the earlier change cannot be undone or finished.",
                f"The files as they were are in {state / 'old'}; move {state} away when you have them.",
            ) from error
    return None, False


def discard(state: Path) -> None:
    """Forget a change: what it is known by first, so that no half of it can be taken for a whole."""
    for name in (SWAPPING, LANDED):
        (state / name).unlink(missing_ok=True)
    shutil.rmtree(state, ignore_errors=True)


def fingerprint(path: Path) -> str:
    """What distinguishes a file from another: content and executable bit, or a link's target; empty for none."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    if not path.is_file():
        return "folder" if path.is_dir() else ""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{'x' if path.stat().st_mode & 0o100 else '-'} {digest}"


def move(source: Path, target: Path) -> None:
    """Rename, also onto another disk: then under a draft's name until it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".{target.name}{DRAFT}")
        shutil.copy2(source, draft, follow_symlinks=False)
        os.rename(draft, target)
        source.unlink()


def remove_empty(top: Path, folders: list[str]) -> None:
    """Remove those of `folders` that are empty."""
    for folder in sorted(folders, key=lambda name: -name.count("/")):
        with contextlib.suppress(OSError):
            (top / folder).rmdir()


def parents(path: str) -> list[str]:
    """The folders that a path lies in, the deepest first: `a/b/c` → `a/b`, `a`."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
