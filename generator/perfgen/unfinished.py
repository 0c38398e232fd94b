"""A change that is not finished: continued, undone, or what is left of one that was killed put right."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfgen import git
from perfgen import markers
from perfgen import plan
from perfgen.errors import CONFLICTS
from perfgen.errors import Refused
from perfgen.plan import Plan
from perfgen.service import READING
from perfgen.service import Service
from perfgen.undoing import undo_files

_QUIETLY = ("-c", f"core.hooksPath={os.devnull}")


class Unresolved(Refused):
    """Conflicts are left."""

    exit_code = CONFLICTS


@dataclass(frozen=True)
class Left:
    """What is found of an earlier change."""

    kind: str  # prepared, swapping, conflicts, staged or aborting
    plan: Plan | None


def left(service: Service) -> Left | None:
    """What an earlier change left; one that is over, because it was committed or taken back, does not count."""
    if not os.path.lexists(service.state):
        return None
    made, phase = plan.load(service.state)
    if made is None:
        return Left("prepared", None)
    if phase in (plan.SWAPPING, plan.ABORTING):
        return Left(phase, made)
    if _committed(service, made) or not _uncommitted(service, made):
        return None
    return Left("conflicts" if made.conflicts and phase == plan.LANDED else "staged", made)


def _uncommitted(service: Service, made: Plan) -> bool:
    """Whether files that the change touched differ from HEAD."""
    return not made.touched.isdisjoint(service.prefix + path for path in service.dirty())


def _committed(service: Service, made: Plan) -> bool:
    """Whether commits since touched the same files: then the change is theirs, whole or in part."""
    if made.head == service.head:
        return False
    words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", made.head, service.head)
    try:
        listed = git.raw(*words, cwd=service.top)
    except git.GitError:
        return True  # the commit is gone, as after a clone or a prune
    return not made.touched.isdisjoint(os.fsdecode(path) for path in listed.split(b"\0"))


def require_none(service: Service) -> None:
    """Refuse when an earlier change waits for the user; what is over, or never began, is cleared away."""
    _require_all_settled(service)
    found = left(service)
    if found is None or found.plan is None:
        return
    if found.kind == "conflicts":
        raise Refused(
            "An earlier change is not finished.",
            "Resolve its conflicts and run `perfgen update --continue`, or undo it with `perfgen update --abort`.",
        )
    raise Refused(
        "The earlier change is not committed.",
        "Commit it with `git commit`, or undo it with `perfgen update --abort`.",
    )


def _require_all_settled(service: Service) -> None:
    """Refuse while a change of this service, or of another in the repository, is half in the tree and the index."""
    plan.require_settled(service.state)
    for state in plan.states(service.git_dir):
        if state != service.state and (made := plan.load(state)[0]):
            folder = service.top / made.service
            plan.require_settled(state, f" --project {shlex.quote(str(folder))}")


@contextlib.contextmanager
def ready(service: Service, *, dry_run: bool) -> Iterator[None]:
    """Within, `service` is fit for a change and nobody else's; refused when it is not. A dry run clears nothing."""
    with service.locked():
        require_none(service)
        service.require_clean()
        if not dry_run:
            _forget_committed(service)
        yield


def _forget_committed(service: Service) -> None:
    """A change that is not committed, and not in the tree, may lie in a stash: that one is still known."""
    made, phase = plan.load(service.state)
    if made and phase in (plan.LANDED, plan.RESOLVED) and _committed(service, made):
        clear(service)


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


def abort(service: Service, kept: list[str]) -> None:
    """Undo the earlier change in files and index; lines in `kept` tell what the user wrote since, and where it is.

    Refused when there is none, and when a file cannot be put back: then what is left of it waits to be undone again.
    """
    found = left(service)
    if found is None or found.plan is None:
        raise Refused(
            "There is no change to undo.",
            "A committed one is undone with `git revert`; one in a stash, after `git stash pop`.",
        )
    if found.kind != plan.SWAPPING or _swapped(service, found.plan):
        plan.advance(service.state, plan.ABORTING)
        _restore_index(service, found.plan)
    _undo(service, found.plan, kept)
    refresh(service)


def _undo(service: Service, made: Plan, kept: list[str]) -> None:
    """Put the files back and forget the change. When that fails it is still known, to be undone again."""
    try:
        undo_files(service, made, kept)
    except OSError as error:
        raise Refused(
            f"{error.filename2 or error.filename} could not be put back: {error.strerror}.",
            "Nothing is lost, but only a part is undone. Mend that, then run the same command again.",
        ) from error
    unlock(service)
    plan.discard(service.state)


def _restore_index(service: Service, made: Plan) -> None:
    """The entries of the files that the change touched, as HEAD has them; the user's others stay."""
    paths = made.touched
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
        raise Refused("There is no change to continue.", "Run `perfgen update`.")
    if found.kind in (plan.SWAPPING, plan.ABORTING):
        require_none(service)
    made = found.plan
    unmerged = [service.prefix + path for path in service.unmerged()]
    foreign = [path for path in unmerged if path not in made.touched]
    if foreign:
        raise Unresolved(
            f"{foreign[0]} is in a conflict that is not of this change.",
            "Resolve it and `git add` it, then run this again.",
        )
    touched = made.marked + made.conflicts
    sizes = markers.unusual(service.top, touched)
    for path in touched:
        size = sizes.get(path, markers.SIZE)
        if markers.is_marked(service.top / path, size, may_show=False):
            raise Unresolved(
                f"{path} still has conflict markers.",
                "Edit it so that it says what both sides meant, then run this again.",
            )
    open_ones = [path for path in unmerged if not _decided(service, made, path)]
    if open_ones:
        raise Unresolved(
            f"{open_ones[0]} is not decided yet.",
            f"Make it what it is to be, then `git add -- {open_ones[0]}`; or remove it with `git rm`.",
        )
    data = b"".join(os.fsencode(path) + b"\0" for path in unmerged)
    options = ("-z", "--add", "--remove", "--stdin")
    git.raw(*_QUIETLY, "update-index", *options, cwd=service.top, data=data)
    plan.advance(service.state, plan.RESOLVED)
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
    was the new index, is gone although all files have moved, and that not all is as it was in the index:
    the user may have removed the lock, as git says.
    """
    prepared = (service.state / "index").read_bytes()
    if service.index.read_bytes() == prepared:
        return True
    lock = service.git_dir / "index.lock"
    if lock.exists() and lock.read_bytes() == prepared:
        return False
    moved = [os.path.lexists(service.state / "old" / path) for path in made.leave]
    moved += [not os.path.lexists(service.state / "new" / path) for path in made.come]
    if not moved or not all(moved):
        return False
    earlier = _entries(service, made, service.state / "old-index")
    return _entries(service, made, service.index) != earlier


def _entries(service: Service, made: Plan, index: Path) -> list[bytes]:
    """What the `index` has of the files that the change touches."""
    env = {**READING, "GIT_INDEX_FILE": str(index)}
    lines = git.raw("ls-files", "-s", "-z", "--full-name", cwd=service.top, env=env).split(b"\0")
    touched = made.touched
    return [line for line in lines if line and os.fsdecode(line.split(b"\t", 1)[1]) in touched]


def recover(service: Service, kept: list[str]) -> str:
    """Put right what a killed change left: what was done about it. `kept` as for `abort`."""
    found = left(service)
    if found is None:
        return ""
    if found.plan is None:
        clear(service)
        return "cleared away: it never began to write"
    if found.kind == plan.SWAPPING and _swapped(service, found.plan):
        plan.advance(service.state, plan.LANDED)
        return "finished: the change is in the tree"
    if found.kind not in (plan.SWAPPING, plan.ABORTING):
        return ""
    abort(service, kept)
    return "undone: the tree is as it was"
