"""A change that is not finished: continued, undone, or what is left of one that was killed put right."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfgen import git
from perfgen import plan
from perfgen.errors import CONFLICTS
from perfgen.errors import Refused
from perfgen.plan import Plan
from perfgen.service import Service

_MARKER = re.compile(rb"^(<{7} |>{7} |\|{7} )", re.MULTILINE)


_QUIETLY = ("-c", f"core.hooksPath={os.devnull}")


class Unresolved(Refused):
    """Conflicts are left."""

    exit_code = CONFLICTS


@dataclass(frozen=True)
class Left:
    """What is found of an earlier change."""

    kind: str  # prepared, swapping, conflicts or staged
    plan: Plan | None


def left(service: Service) -> Left | None:
    """What an earlier change left; one that is over, because it was committed or taken back, does not count."""
    if not os.path.lexists(service.state):
        return None
    made, landed = plan.load(service.state)
    if made is None:
        return Left("prepared", None)
    if not landed:
        return Left("swapping", made)
    if made.head != service.head or not service.dirty():
        return None
    return Left("conflicts" if made.conflicts else "staged", made)


def require_none(service: Service) -> None:
    """Refuse when an earlier change waits for the user; what is over, or never began, is cleared away."""
    found = left(service)
    if found is None or found.kind == "prepared":
        return
    if found.kind == "swapping":
        raise Refused(
            "An earlier change was killed while it wrote.", "`perfgen doctor --fix` puts it right."
        )
    if found.kind == "conflicts":
        raise Refused(
            "An earlier change is not finished.",
            "Resolve its conflicts and run `perfgen update --continue`, or undo it with `perfgen update --abort`.",
        )
    raise Refused(
        "The earlier change is not committed.",
        "Commit it with `git commit`, or undo it with `perfgen update --abort`.",
    )


@contextlib.contextmanager
def ready(service: Service, *, dry_run: bool) -> Iterator[None]:
    """Within, `service` is fit for a change and nobody else's; refused when it is not. A dry run clears nothing."""
    with service.locked():
        require_none(service)
        if not dry_run:
            clear(service)
        service.require_clean()
        yield


def clear(service: Service) -> None:
    """Forget what is over; to be called when nothing waits."""
    if os.path.lexists(service.state):
        plan.discard(service.state)


def unlock(service: Service) -> None:
    """Remove git's lock when it is ours: the index that we prepared."""
    lock = service.git_dir / "index.lock"
    with contextlib.suppress(FileNotFoundError):
        if lock.read_bytes() == (service.state / "index").read_bytes():
            lock.unlink()


def undo_files(service: Service, made: Plan) -> list[str]:
    """Put every file back as it was; where somebody wrote into one since, that is kept and named.

    May be called at any state of the files, and again after it was interrupted.
    """
    kept: list[str] = []
    for path in made.come:
        here, earlier = service.top / path, service.state / "old" / path
        _drop_draft(here)
        found = plan.fingerprint(here)
        if not found:
            continue
        if found == made.landed[path]:
            here.unlink()
        elif _came(service, made, path) or plan.fingerprint(earlier) not in ("", found):
            kept.append(_keep(service, path))
    plan.remove_empty(service.top, made.folders)
    for path in made.leave:
        earlier = service.state / "old" / path
        _drop_draft(earlier)
        kept += _bring_back(service, earlier, path)
    for path in made.stays:
        kept += _bring_back(service, service.state / "stays" / path, path)
    return kept


def _bring_back(service: Service, earlier: Path, path: str) -> list[str]:
    """Have the `earlier` file, where there is one, at its place again; what is kept for that."""
    found = plan.fingerprint(earlier)
    # On another disk, where moving is copying, the file may not have gone from here yet.
    if not found or found == plan.fingerprint(service.top / path):
        return []
    kept = _make_room(service, path)
    plan.move(earlier, service.top / path)
    return kept


def _make_room(service: Service, path: str) -> list[str]:
    """Keep what the user has put where a file is to come back: at its place, or where its folder was."""
    for place in (*reversed(plan.parents(path)), path):
        here = service.top / place
        folder = here.is_dir() and not here.is_symlink()
        if os.path.lexists(here) and not (folder and place != path):
            return [_keep(service, place)]
    return []


def _came(service: Service, made: Plan, path: str) -> bool:
    """Whether the new file, which was not there before, had come to its place."""
    return path not in made.leave and not os.path.lexists(service.state / "new" / path)


def _drop_draft(path: Path) -> None:
    draft = path.with_name(f".{path.name}{plan.DRAFT}")
    if os.path.lexists(
        draft
    ):  # to remove what is not there fails too, where nothing can be written
        draft.unlink()


def _keep(service: Service, path: str) -> str:
    """Move what was written since out of the way, and say where it is."""
    place = service.git_dir / "perfgen-kept" / path
    number = 1
    while os.path.lexists(place):
        number += 1
        place = service.git_dir / f"perfgen-kept-{number}" / path
    plan.move(service.top / path, place)
    return f"What you wrote into {path} since is kept as {place}."


def abort(service: Service) -> list[str]:
    """Undo the earlier change in files and index; what is to be told. Refused when there is none."""
    found = left(service)
    if found is None or found.plan is None:
        clear(service)
        raise Refused("There is no change to undo.", "A committed one is undone with `git revert`.")
    if found.kind != "swapping":
        _restore_index(service, found.plan)
    kept = undo_files(service, found.plan)
    unlock(service)
    plan.discard(service.state)
    refresh(service)
    return kept


def _restore_index(service: Service, made: Plan) -> None:
    """The entries of the files that the change touched, as HEAD has them; the user's others stay."""
    paths = {*made.leave, *made.come, *made.conflicts}
    listed = git.raw("ls-tree", "-r", "-z", service.head, cwd=service.top)
    gone = "0" * len(service.head)
    lines = [f"0 {gone} 0\t".encode() + os.fsencode(path) for path in sorted(paths)]
    for line in listed.split(b"\0"):
        meta, _, path = line.partition(b"\t")
        if line and os.fsdecode(path) in paths:
            lines.append(b" ".join(meta.split()[::2]) + b" 0\t" + path)
    data = b"".join(line + b"\0" for line in lines)
    git.raw(*_QUIETLY, "update-index", "-z", "--index-info", cwd=service.top, data=data)


def refresh(service: Service) -> None:
    """Spare the next git from reading again what has just been written."""
    git.says(*_QUIETLY, "update-index", "-q", "--refresh", cwd=service.top)


def proceed(service: Service) -> Plan:
    """Finish a change whose conflicts are resolved: stage what was; the plan of it. Unresolved when some are not."""
    found = left(service)
    if found is None or found.plan is None:
        clear(service)
        raise Refused("There is no change to continue.", "Run `perfgen update`.")
    if found.kind == "swapping":
        require_none(service)
    made = found.plan
    for path in made.marked + made.conflicts:
        place = service.top / path
        if place.is_file() and not place.is_symlink() and _MARKER.search(place.read_bytes()):
            raise Unresolved(
                f"{path} still has conflict markers.",
                "Edit it so that it says what both sides meant, then run this again.",
            )
    unmerged = [service.prefix + path for path in service.unmerged()]
    open_ones = [path for path in unmerged if not _decided(service, made, path)]
    if open_ones:
        raise Unresolved(
            f"{open_ones[0]} is not decided yet.",
            f"Make it what it is to be, then `git add -- {open_ones[0]}`; or remove it with `git rm`.",
        )
    data = b"".join(os.fsencode(path) + b"\0" for path in unmerged)
    options = ("-z", "--add", "--remove", "--stdin")
    git.raw(*_QUIETLY, "update-index", *options, cwd=service.top, data=data)
    plan.discard(service.state)
    return made


def _decided(service: Service, made: Plan, path: str) -> bool:
    """Whether the user did something about a file: edited it, or removed it. One as we left it is not decided."""
    now = plan.fingerprint(service.top / path)
    if path in made.landed:
        return now != made.landed[path]
    return not now or bool(git.says("diff", "--name-only", "HEAD", "--", path, cwd=service.top))


def _swapped(service: Service, made: Plan) -> bool:
    """Whether everything was in its place, the index too, when the change was killed.

    A git that has run since may have written the index anew, so what tells is that the lock, which
    was the new index, is gone although all files have moved.
    """
    prepared = (service.state / "index").read_bytes()
    if service.index.read_bytes() == prepared:
        return True
    lock = service.git_dir / "index.lock"
    if lock.exists() and lock.read_bytes() == prepared:
        return False
    moved = [os.path.lexists(service.state / "old" / path) for path in made.leave]
    moved += [not os.path.lexists(service.state / "new" / path) for path in made.come]
    return bool(moved) and all(moved)


def recover(service: Service) -> tuple[str, list[str]]:
    """Put right what a killed change left: what was done about it, and what is to be told."""
    found = left(service)
    if found is None or found.plan is None:
        clear(service)
        return ("cleared away: it never began to write" if found else ""), []
    if found.kind != "swapping":
        return "", []
    if _swapped(service, found.plan):
        os.rename(service.state / plan.SWAPPING, service.state / plan.LANDED)
        return "finished: the change is in the tree", []
    kept = undo_files(service, found.plan)
    unlock(service)
    plan.discard(service.state)
    return "undone: the tree is as it was", kept
