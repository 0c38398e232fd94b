"""How a change reaches the user's files: all that is new is written first, then files are only renamed.

The renames happen under git's own `index.lock`; what fails on the way is undone, and signals wait.
"""

import os
import shutil
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

from perfgen import git
from perfgen import plan
from perfgen import room
from perfgen import signals
from perfgen import unfinished
from perfgen.change import Change
from perfgen.errors import Refused
from perfgen.plan import Plan
from perfgen.scratch import GITLINK
from perfgen.scratch import Entry
from perfgen.service import Service
from perfgen.undoing import undo_files

# What our git must not do besides: run the user's hooks, or share an index with others.
_QUIETLY = {"core.hooksPath": os.devnull, "core.splitIndex": "false", "core.fsmonitor": "false"}
_ATTEMPTS = 5  # at an index that others write at the same time


def land(
    service: Service, change: Change, command: str, message: str, reminders: Sequence[str] = ()
) -> None:
    """Bring `change` into files and index, staged; conflicts as unmerged entries. All of it, or nothing.

    `reminders` are told once its conflicts are resolved. Refused when something untracked is in the way, or a file
    or the index changes meanwhile.
    """
    signals.hold()
    try:
        # Not before something is to be written: what is over may lie in a stash, and come back.
        unfinished.clear(service)
        _make_state(service)
        try:
            signals.release()
            try:
                made = _prepare(service, change, command, message, reminders)
            finally:
                signals.hold()
            _lock(service, change)
        except BaseException:
            plan.discard(service.state)
            raise
        _swap(service, made)
        signals.ignore()
    finally:
        signals.release()
    # Spares the next git from reading what has just been written.
    unfinished.refresh(service)


def _make_state(service: Service) -> None:
    try:
        service.state.mkdir()
    except OSError as error:
        raise Refused(
            f"{service.state} cannot be made: {error.strerror}.", "Nothing was changed."
        ) from error


def _prepare(
    service: Service, change: Change, command: str, message: str, reminders: Sequence[str]
) -> Plan:
    """Write what is new below the git folder: files, objects, index and the plan. All disk space is taken here."""
    state, prefix = service.state, service.prefix
    come = [
        path
        for path, entry in change.result.items()
        if change.ours.get(path) != entry and entry.mode != GITLINK
    ]
    made = _planned(service, change, come, command, message, reminders)
    room.require_seen(service, made)
    room.require_room(service, made)
    entries = [change.result[path] for path in come]
    entries += [entry for stages in change.stages.values() for entry in stages.values()]
    _git(service, "unpack-objects", "-q", data=change.scratch.pack(entries))
    _write_files(service, {prefix + path: change.result[path] for path in come})
    _write_index(service, change)
    made.landed = {path: plan.fingerprint(state / "new" / path) for path in made.come}
    for path in made.leave:
        (state / "old" / path).parent.mkdir(parents=True, exist_ok=True)
    for path in made.stays:
        place = state / "stays" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(service.top / path, place, follow_symlinks=False)
    made.save(state)
    return made


def _planned(
    service: Service,
    change: Change,
    come: list[str],
    command: str,
    message: str,
    reminders: Sequence[str],
) -> Plan:
    """The plan, but for what the files that `come` are once they are written."""
    prefix = service.prefix
    gone = [path for path in change.ours if path not in change.result or path in set(come)]
    leave = {
        prefix + path: plan.fingerprint(service.folder / path)
        for path in gone
        if os.path.lexists(service.folder / path)
    }
    return Plan(
        head=service.head,
        command=command,
        leave=leave,
        come=[prefix + path for path in come],
        landed={},
        marked=[prefix + path for path in change.stages if path in set(come)],
        conflicts=[prefix + path for path in change.stages],
        indexed=[prefix + path for path in sorted(change.touched)],
        stays=[
            prefix + path
            for path in change.stages
            if path not in set(come) and (service.folder / path).is_file()
        ],
        message=message,
        reminders=list(reminders),
        service=prefix,
    )


def _git(service: Service, *args: str | Path, index: Path | None = None, data: bytes = b"") -> None:
    env = git.configured(_QUIETLY) | ({"GIT_INDEX_FILE": str(index)} if index else {})
    git.raw(*args, cwd=service.top, env=env, data=data)


def _write_files(service: Service, files: dict[str, Entry]) -> None:
    """Write `files` below the state folder, with the line ends and filters of the user's configuration."""
    if not files:
        return
    index = service.state / "files"
    lines = (
        f"{entry.mode} {entry.sha}\t".encode() + os.fsencode(path) for path, entry in files.items()
    )
    _git(service, "update-index", "-z", "--index-info", index=index, data=_ended(lines))
    to = f"--prefix={service.state}/new/"
    _git(service, "checkout-index", "-f", "-q", to, "-a", index=index)


def _write_index(service: Service, change: Change) -> None:
    """Write the index as it is to be beside a copy of the one that is; only what the change touches is another."""
    shutil.copyfile(service.index, service.state / "old-index")
    index = service.state / "index"
    # With its time: by it git knows that it has to look again at files which were written in the same second.
    shutil.copy2(service.index, index)
    gone = "0" * len(service.head)
    touched = change.touched
    lines = [f"0 {gone} 0\t".encode() + _raw(service, path) for path in touched]
    for path in touched:
        stages = change.stages.get(path)
        if stages is None and path in change.result:
            stages = {0: change.result[path]}
        for stage, entry in sorted((stages or {}).items()):
            lines.append(f"{entry.mode} {entry.sha} {stage}\t".encode() + _raw(service, path))
    _git(service, "update-index", "-z", "--index-info", index=index, data=_ended(lines))


def _raw(service: Service, path: str) -> bytes:
    return os.fsencode(service.prefix + path)


def _ended(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\0" for line in lines)


def _swap(service: Service, made: Plan) -> None:
    """Put the new in the place of the old, under the lock.

    What cannot even be undone stays on record, for `perfgen doctor --fix`.
    """
    state, top = service.state, service.top
    try:
        _require_unchanged(service.dirty())
        for path in made.leave:
            plan.move(top / path, state / "old" / path)
        # Somebody may have written between the two lines above.
        _require_unchanged(
            [
                path
                for path, was in made.leave.items()
                if plan.fingerprint(state / "old" / path) != was
            ]
        )
        plan.remove_empty(top, [folder for path in made.leave for folder in plan.parents(path)])
        for path in made.come:
            plan.move(state / "new" / path, top / path)
        os.replace(service.git_dir / "index.lock", service.index)
        plan.advance(state, plan.LANDED)
    except BaseException as error:
        undo_files(service, made, kept=[])
        unfinished.unlock(service)
        plan.discard(state)
        if isinstance(error, OSError):
            raise Refused(
                f"{error.filename2 or error.filename} could not be written: {error.strerror}.",
                "Nothing was changed.",
            ) from error
        raise


def _require_unchanged(changed: list[str]) -> None:
    if changed:
        raise Refused(
            f"{changed[0]} was changed while perfgen was at work.",
            "Commit it, and run this again.",
        )


def _take(lock: Path, prepared: Path) -> None:
    """Make the lock with its content, in one step where the file system can."""
    try:
        os.link(prepared, lock)
    except FileExistsError:
        raise
    except OSError:
        with lock.open("xb") as file:
            file.write(prepared.read_bytes())


def _lock(service: Service, change: Change) -> None:
    """Take git's own lock of the index, which is the prepared one; made anew when git wrote the index meanwhile."""
    lock = service.git_dir / "index.lock"
    for _ in range(_ATTEMPTS):
        try:
            _take(lock, service.state / "index")
        except FileExistsError as error:
            raise Refused(
                f"Another git is at work in {service.top}: {lock} exists.",
                "Wait for it to end. Where none runs, one was killed: remove the file.",
            ) from error
        if service.index.read_bytes() == (service.state / "old-index").read_bytes():
            return
        lock.unlink()
        _write_index(service, change)
    raise Refused("Other programs keep writing the index of git.", "End them, and run this again.")
