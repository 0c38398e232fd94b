"""What a change does to the user's files, written down before the first of them moves.

Everything lies in `<git folder>/perfgen`. The name of the plan's file is how far it has come: none while all is
prepared, `swapping.json` while files move, `landed.json` until the change is committed, `resolved.json` when the
user has called its conflicts resolved, `aborting.json` while it is undone. Which files have moved is seen from where
they are, so nothing has to be written, and no disk space found, on the way.
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

SWAPPING, LANDED, RESOLVED, ABORTING = "swapping", "landed", "resolved", "aborting"
PHASES = (SWAPPING, LANDED, RESOLVED, ABORTING)
DRAFT = ".perfgen-move"  # what a file is called while it is copied to another disk


@dataclass
class Plan:
    """One change: paths are relative to the top of the work tree."""

    head: str  # the commit that it changes
    command: str
    leave: dict[str, str]  # what is there and goes, or makes place for a new file, by `fingerprint`
    come: list[str]  # files that come
    landed: dict[str, str]  # what each that comes is, by `fingerprint`
    marked: list[str]  # files that come with conflict markers
    conflicts: list[str]  # files with unmerged entries in the index
    indexed: list[str]  # files whose entries in the index become others: on disk or not
    stays: list[str] = field(default_factory=list)  # conflicts that keep the user's file
    folders: list[str] = field(default_factory=list)  # made for what comes
    message: str = ""  # for the commit
    reminders: list[str] = field(default_factory=list)  # of what is to be run after it
    service: str = ""  # its folder

    @property
    def touched(self) -> set[str]:
        """All files that it concerns."""
        return {*self.leave, *self.come, *self.indexed}

    def save(self, state: Path) -> None:
        """Write it down as about to be carried out: whole or not at all."""
        draft = state / "draft"
        draft.write_text(json.dumps(asdict(self)))
        os.replace(draft, file(state, SWAPPING))


def file(state: Path, phase: str) -> Path:
    """Where the plan of a change lies that has come as far as `phase`."""
    return state / f"{phase}.json"


def advance(state: Path, phase: str) -> None:
    """Have the plan come as far as `phase`, from whichever it is at."""
    for earlier in PHASES:
        with contextlib.suppress(FileNotFoundError):
            os.rename(file(state, earlier), file(state, phase))


def load(state: Path) -> tuple[Plan | None, str]:
    """The plan in `state`, if there is one, and its phase."""
    for phase in PHASES:
        place = file(state, phase)
        try:
            return Plan(**json.loads(place.read_text())), phase
        except FileNotFoundError:
            continue
        except (ValueError, TypeError) as error:
            raise Refused(
                f"{place} is damaged, so the earlier change cannot be undone or finished.",
                f"The files as they were are in {state / 'old'}; move {state} away when you have them.",
            ) from error
    return None, ""


def state_of(git_dir: Path, prefix: str) -> Path:
    """Where the change of the service in the folder `prefix` of its repository keeps its things."""
    key = hashlib.sha256(os.fsencode(prefix)).hexdigest()[:12]
    return git_dir / (f"perfgen-{key}" if prefix else "perfgen")


def states(git_dir: Path) -> list[Path]:
    """Where the services of a repository may keep a change."""
    return [git_dir / "perfgen", *git_dir.glob("perfgen-" + "[0-9a-f]" * 12)]


def require_settled(state: Path, project: str = "") -> None:
    """Refuse while the change in `state` is half in the tree. `project` is the option that names its service."""
    if file(state, SWAPPING).exists():
        raise Refused(
            "An earlier change was killed while it wrote.",
            f"`perfgen doctor --fix{project}` puts it right.",
        )
    if file(state, ABORTING).exists():
        raise Refused(
            "Undoing the earlier change did not come to its end.",
            f"Run `perfgen update --abort{project}` once more.",
        )


def discard(state: Path) -> None:
    """Forget a change: what it is known by first, so that no half of it can be taken for a whole."""
    for phase in PHASES:
        file(state, phase).unlink(missing_ok=True)
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
