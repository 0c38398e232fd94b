"""The two renders with the line ends that the service has, file by file, so that lines compare."""

import os
from collections.abc import Iterable
from pathlib import Path
from pathlib import PurePosixPath

from perfgen.scratch import Scratch
from perfgen.scratch import Tree
from perfgen.service import ANSWERS
from perfgen.service import Service


def kept(
    service: Service, scratch: Scratch, base: Path, target: Path, ours: Tree | None = None
) -> tuple[Tree, Tree, Tree]:
    """What is in `base`, in the service, and in `target`; rendered files may be rewritten in place.

    The service is as it is committed, unless `ours` says otherwise.
    """
    before, after = scratch.add(base), scratch.add(target)
    if ours is None:
        ours = scratch.tree(service.head, service.prefix)
    ours = _own(ours)
    edited = [path for path in ours if ours[path] != before.get(path)]
    ends = _ends(service) if edited else {}
    changed = False
    for path in edited:
        wanted = ends.get(path, "")
        if wanted in ("crlf", "lf"):
            names = _same_file(scratch, path, before, ours, after, wanted)
            for place in (base, target):
                for name in names:
                    changed |= _convert(place / name, wanted)
    if changed:
        before, after = scratch.add(base), scratch.add(target)
    return before, ours, after


def _own(tree: Tree) -> Tree:
    """Without the services in its folders: they have their own changes."""
    others = tuple(path.removesuffix(ANSWERS) for path in tree if path.endswith(f"/{ANSWERS}"))
    return {path: entry for path, entry in tree.items() if not path.startswith(others)}


def _ends(service: Service) -> dict[str, str]:
    """The line ends of each file in the index: `lf`, `crlf`, `mixed`, `none`, or `-text`."""
    lines = service.git("ls-files", "--eol", "-z").split(b"\0")
    fields = (line.split(b"\t", 1) for line in lines if line)
    return {os.fsdecode(path): info.split()[0].decode().removeprefix("i/") for info, path in fields}


def _same_file(
    scratch: Scratch, path: str, before: Tree, ours: Tree, after: Tree, wanted: str
) -> Iterable[str]:
    """The names that the service's file `path` has or had in the template."""
    names = {path}
    if wanted == "crlf":
        if path not in before:  # the user moved it: one of that name is missing at its place
            name = PurePosixPath(path).name
            names |= {old for old in before if old not in ours and PurePosixPath(old).name == name}
        if names - set(after):  # the template moved it
            renames = scratch.renames(scratch.commit(before), scratch.commit(after))
            names |= {new for new, old in renames.items() if old in names}
    return names


def _convert(path: Path, wanted: str) -> bool:
    """Give the file the wanted line ends; whether that changed it."""
    if path.is_symlink() or not path.is_file():
        return False
    content = path.read_bytes()
    if b"\0" in content:
        return False
    lines = content.replace(b"\r\n", b"\n")
    converted = lines if wanted == "lf" else lines.replace(b"\n", b"\r\n")
    if converted != content:
        path.write_bytes(converted)
    return converted != content
