"""Whether a change may touch what lies where it lands: nothing that git does not know, or was told not to see."""

import os
from pathlib import Path

from perfgen import git
from perfgen import plan
from perfgen.errors import Refused
from perfgen.plan import Plan
from perfgen.service import READING
from perfgen.service import Service


def require_seen(service: Service, made: Plan) -> None:
    """Refuse to touch files whose edits git has been told not to see."""
    touched = made.touched
    listed = git.raw("ls-files", "-v", "-z", "--full-name", cwd=service.folder, env=READING)
    for line in listed.split(b"\0"):
        flag, path = line[:1], os.fsdecode(line[2:])
        if (flag == b"S" or flag.islower()) and path in touched:
            raise Refused(
                f"{path} is marked so that git does not see your edits of it, and they would be lost.",
                f"First: git update-index --no-skip-worktree --no-assume-unchanged {path}"
                " (in a sparse checkout: git sparse-checkout disable).",
            )


def require_room(service: Service, made: Plan) -> None:
    """Refuse when something that git does not know is where a file is to come."""
    top, leave = service.top, set(made.leave)
    for path in made.come:
        new = False
        for folder in reversed(plan.parents(path)):
            place = top / folder
            # Below a link that goes there is nothing of ours, whatever it leads to.
            new = new or folder in leave or not os.path.lexists(place)
            if new and folder not in made.folders:
                made.folders.append(folder)
            if not new and (place.is_symlink() or not place.is_dir()):
                raise _in_the_way(folder)
        new = new or path in leave or not os.path.lexists(top / path)
        if not new and not _all_leave(top, path, leave):
            raise _in_the_way(path)


def _all_leave(top: Path, folder: str, leave: set[str]) -> bool:
    """Whether `folder` is one, and nothing stays in it: no file, and no folder that is empty already."""
    place = top / folder
    if place.is_symlink() or not place.is_dir():
        return False
    inside = list(place.rglob("*"))
    files = [path for path in inside if path.is_symlink() or not path.is_dir()]
    emptied = {parent for path in files for parent in path.parents}
    folders = {place, *inside} - set(files)
    return folders <= emptied and all(path.relative_to(top).as_posix() in leave for path in files)


def _in_the_way(path: str) -> Refused:
    return Refused(
        f"{path} is in the way: the change brings a file there, and git does not track yours.",
        "Commit it, so that both are merged, or move it away.",
    )
