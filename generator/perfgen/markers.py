"""Conflict markers that somebody has committed, or is about to."""

import os
import re
from pathlib import Path

from perfgen import git
from perfgen.service import READING
from perfgen.service import Service

_FENCE = re.compile(rb"\s*(```|~~~)")
_PROSE = (".md", ".markdown")


def marked(service: Service) -> list[str]:
    """The tracked text files with a whole set of markers: beginning, middle and end at line starts, in this order."""
    options = ("-l", "-z", "-I", "-E", "--no-color", "--no-recurse-submodules")
    words = ("-c", "grep.fullName=false", "grep", *options, "-e", "^<<<<<<< ", "--", ".")
    try:
        listed = git.raw(*words, cwd=service.folder, env=READING)
    except git.GitError as error:
        if error.words:
            raise
        return []  # git's way to say that none is
    names = dict.fromkeys(os.fsdecode(name) for name in listed.split(b"\0") if name)
    return [name for name in names if _is_marked(service.folder / name)]


def _is_marked(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return conflicted(path.read_bytes(), prose=path.suffix.lower() in _PROSE)


def conflicted(content: bytes, *, prose: bool = False) -> bool:
    """Whether there is a conflict in `content`. In prose, one that a fenced block shows whole is none."""
    state, fenced, shown = 0, False, False
    for line in content.splitlines():
        if prose and _FENCE.match(line):
            fenced, shown = not fenced, False
        if line.startswith(b"<<<<<<< "):
            state, shown = 1, fenced
        elif state == 1 and line == b"=======":
            state = 2
        elif state == 2 and line.startswith(b">>>>>>> "):
            if not (prose and fenced and shown):
                return True
            state = 0
    return False
