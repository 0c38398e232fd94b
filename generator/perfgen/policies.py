"""What git's merge does not know: files with rules of their own, and the class of each file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from perfgen import git
from perfgen import markers
from perfgen import settingsfile
from perfgen.errors import Refused
from perfgen.scratch import GITLINK
from perfgen.service import ANSWERS
from perfgen.service import READING
from perfgen.service import Service

if TYPE_CHECKING:
    from perfgen.change import Change
    from perfgen.change import FileChange
    from perfgen.scratch import Entry
    from perfgen.scratch import Tree

_ASIDE = re.compile(r"(.+)~HEAD(?:_\d+)?")  # git's name for a file whose place became a folder
_LINK = "120000"
LOCK, SETTINGS = "uv.lock", ".env.example"


def ignored(service: Service, names: list[str]) -> set[str]:
    """Those of `names` that lie there untracked, and that the repository's .gitignore keeps out."""
    plain = git.configured({"core.excludesFile": os.devnull})
    # Git refuses names below a link; nothing of the template's can come there without a conflict anyway.
    names = [name for name in names if _lies_there(service, name)]
    data = b"".join(os.fsencode(name) + b"\0" for name in names)
    try:
        found = git.raw(
            "check-ignore", "-z", "--stdin", cwd=service.folder, env=READING | plain, data=data
        )
    except git.GitError as error:
        if error.status != 1:  # its way to say that none is; it may warn besides
            raise
        return set()
    return {os.fsdecode(name) for name in found.split(b"\0") if name}


def _keep_what_cannot_be_merged(change: Change) -> None:
    """A binary file that the user edited and the template moved to where the user has another file, too.

    Git has it there as the template's side of the conflict; the user's stays where it is, as another conflict.
    """
    there = {entry.sha for entry in change.result.values()}
    there |= {stages[2].sha for stages in change.stages.values() if 2 in stages}
    for path, base in change.base.items():
        mine = change.ours.get(path)
        gone = path not in change.result and path not in change.stages
        if mine and gone and mine != base and mine.sha not in there and _binary(change, mine, base):
            change.stages[path] = {1: base, 2: mine}
            change.result[path] = mine


def _binary(change: Change, *entries: Entry) -> bool:
    return any(b"\0" in change.scratch.read(entry) for entry in entries)


def require_no_submodule(ours: Tree, names: Iterable[str]) -> None:
    """Refuse when one of `names` lies in a submodule: what is in there is another repository's."""
    submodules = {path for path, entry in ours.items() if entry.mode == GITLINK}
    for name in names if submodules else ():
        for folder in {str(parent) for parent in PurePosixPath(name).parents} & submodules:
            raise Refused(
                f"{folder} is a submodule, and the template has files there, such as {name}.",
                "Move the submodule elsewhere: git mv.",
            )


def _lies_there(service: Service, name: str) -> bool:
    folders = PurePosixPath(name).parents
    return os.path.lexists(service.folder / name) and not any(
        (service.folder / folder).is_symlink() for folder in folders
    )


def apply(change: Change) -> None:
    """Settle the files with rules of their own in the merged result."""
    _keep_what_cannot_be_merged(change)
    _settle(change, ANSWERS, change.theirs)
    _settle_lock(change)
    _settle_settings(change)
    for path, stages in list(change.stages.items()):
        if stages.keys() == {1, 3} and not _is_link_and_file(change, _before_tilde(path)):
            del change.stages[path]
            change.result.pop(path, None)
            known = path in change.base or path in change.theirs
            change.kept[path if known else _before_tilde(path)] = (
                "you deleted it, and the template changed it; it stays deleted"
            )


def _settle(change: Change, path: str, tree: Tree) -> None:
    change.stages.pop(path, None)
    change.result.pop(path, None)
    if path in tree:
        change.result[path] = tree[path]


def _settle_lock(change: Change) -> None:
    """The lock is the template's where nobody touched it; an edited one is the user's, and uv mends it."""
    before, ours, theirs = (tree.get(LOCK) for tree in (change.base, change.ours, change.theirs))
    if ours is None or theirs is None or ours in (before, theirs):
        return
    if before != theirs:
        _settle(change, LOCK, change.ours)
        change.kept[LOCK] = "you changed it, and it is kept"


def _settle_settings(change: Change) -> None:
    """Settings are merged by their keys, since every pattern adds lines at the same places."""
    before, ours, theirs = (
        tree.get(SETTINGS) for tree in (change.base, change.ours, change.theirs)
    )
    if ours is None or theirs is None or ours in (before, theirs) or before == theirs:
        return
    texts = [
        change.scratch.read(entry).decode("utf-8", "surrogateescape") if entry else ""
        for entry in (before, ours, theirs)
    ]
    size = change.scratch.sizes.get(SETTINGS, markers.SIZE)
    style = settingsfile.Style(change.scratch.style, size)
    merged = settingsfile.merge(*texts, style=style)
    content = merged.text.encode("utf-8", "surrogateescape")
    change.result[SETTINGS] = change.scratch.write(content, ours.mode)
    change.notes += merged.notes
    if merged.conflict:
        found = {1: before, 2: ours, 3: theirs}
        change.stages[SETTINGS] = {stage: entry for stage, entry in found.items() if entry}
    else:
        change.stages.pop(SETTINGS, None)


def classify(change: Change, *, moved: bool) -> list[FileChange]:
    """The class of every file that is touched, or that stays as the user has it although the template changed it."""
    from perfgen.change import FileChange

    renames = _renames(change) if moved else {}
    files = []
    for path in change.stages:
        origin = renames.get(path) or _pushed_aside(change, path)
        files.append(FileChange(path, "conflict", origin, _why(change, path)))
    followed = {file.origin for file in files} | set(renames.values())
    for path in sorted(change.ours.keys() | change.result.keys()):
        if path in change.stages or change.ours.get(path) == change.result.get(path):
            continue
        if path in renames:
            edited = change.ours[renames[path]] != change.base.get(renames[path])
            note = "with your changes" if edited else ""
            files.append(FileChange(path, "renamed", renames[path], note))
        elif path not in followed:
            files.append(FileChange(path, _kind(change, path)))
    files += [FileChange(path, "kept", note=note) for path, note in change.kept.items()]
    return sorted(files, key=lambda file: file.path)


def _kind(change: Change, path: str) -> str:
    if path not in change.result:
        return "removed"
    if change.result[path] != change.theirs.get(path):
        return (
            "merged"  # a new file too, when git took it for a renamed one and carried edits there
        )
    return "changed" if path in change.ours else "new"


def _renames(change: Change) -> dict[str, str]:
    """The files of the service that follow a rename of the template's: the old path of each new one."""
    if change.base.keys() <= change.theirs.keys():
        return {}
    commits = [change.scratch.commit(tree) for tree in (change.base, change.theirs)]
    found = change.scratch.renames(*commits)
    return {
        new: old
        for new, old in found.items()
        if new in change.result
        and new not in change.ours
        and old in change.ours
        and old not in change.result
        and old not in change.stages
    }


def _pushed_aside(change: Change, path: str) -> str:
    """The path of the user's own file that git calls `path` now, because a folder came to its place; or nothing."""
    found = _ASIDE.fullmatch(path)
    if found and found[1] in change.ours and found[1] not in change.result:
        return found[1]
    return ""


def _before_tilde(path: str) -> str:
    """The name of a file that git has put aside as `name~SIDE`."""
    return path.rpartition("~")[0] or path


def _is_link_and_file(change: Change, path: str) -> bool:
    modes = {tree[path].mode for tree in (change.ours, change.theirs) if path in tree}
    return len(modes) == 2 and _LINK in modes


def _why(change: Change, path: str) -> str:
    """What makes the conflict, in words that send nobody's side away."""
    stages = change.stages[path]
    if _pushed_aside(change, path):
        return "the template has a folder of that name now; your file is kept under this one"
    if _is_link_and_file(change, _before_tilde(path)):
        return "it is a link on one side and a file on the other; both are here"
    if stages.keys() <= {1, 3} and "~" in path:
        return "you have a folder of that name; the template's file is here under this one"
    if stages.keys() == {1, 2}:
        return "you changed it, and the template removed it; your file is kept"
    if stages.keys() == {2, 3}:
        return "you and the template both added it"
    if stages.keys() == {1, 2, 3}:
        if change.result.get(path) == stages[2]:
            return "you and the template both changed it, and it has no lines; your file is kept"
        return "you and the template changed the same lines"
    return "you and the template moved it to different places"
