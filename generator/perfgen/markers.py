"""Conflict markers that somebody has committed, or is about to.

What counts, so that nothing real passes and hardly anything is taken for a conflict that is none:

- a whole set, `<`, `=` and `>` of one length, as long as git's markers in that file or longer;
- what is left of one: a line of `<`, `|` or `>` exactly as long, and a word behind it, as git names the sides;
- a line of exactly as many `=` and nothing else, but not in prose, where it underlines a title, and elsewhere not
  beside words that are just as long: these are a title in a docstring, or in a text without a suffix.

Git's markers are seven long, or as `conflict-marker-size` in the attributes says. So a file that has to show some
gets another size, as git itself recommends. In prose it is enough that they stand in a fenced block.
"""

import os
import re
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath

from perfgen import git
from perfgen.service import READING
from perfgen.service import Service

SIZE = 7
_ATTRIBUTE = "conflict-marker-size"
_PROSE = {".adoc", ".markdown", ".md", ".rst", ".txt"}
_FENCE = re.compile(rb"\s*(```|~~~)")
_MARKER = re.compile(rb"(<+|\|+|>+)(?= )|=+$")
_TITLE = re.compile(r"\w[\w .,:&/'-]*")


def marked(service: Service) -> list[str]:
    """The tracked text files with conflict markers."""
    names = _names(service.git("ls-files", "-z"))
    known = unusual(service.folder, names)
    least = min([SIZE, *known.values()])
    lines = f"^(<{{{least},}} |\\|{{{least},}} |>{{{least},}} |={{{least},}}\r?$)"
    options = ("-l", "-z", "-I", "-E", "--no-color", "--no-recurse-submodules")
    words = ("-c", "grep.fullName=false", "grep", *options, "-e", lines, "--", ".")
    try:
        listed = git.raw(*words, cwd=service.folder, env=READING)
    except git.GitError as error:
        if error.words:
            raise
        return []  # git's way to say that none is
    return [
        name
        for name in dict.fromkeys(_names(listed))
        if is_marked(service.folder / name, known.get(name, SIZE))
    ]


def unusual(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Those of the files `names`, by their path from `folder`, whose markers are not seven long: how long instead."""
    data = b"".join(os.fsencode(name) + b"\0" for name in names)
    found = git.raw("check-attr", "-z", "--stdin", _ATTRIBUTE, cwd=folder, env=READING, data=data)
    fields = found.split(b"\0")
    return {
        os.fsdecode(name): int(value)
        for name, value in zip(fields[::3], fields[2::3], strict=False)
        if value.isdigit() and int(value) not in (0, SIZE)
    }


def is_marked(path: Path, size: int = SIZE, *, may_show: bool = True) -> bool:
    """Whether the file `path`, if it is one, has a conflict in it; the rest as for `conflicted`."""
    if path.is_symlink() or not path.is_file():
        return False
    return conflicted(path.read_bytes(), path.name, size, may_show=may_show)


def conflicted(content: bytes, path: str = "", size: int = SIZE, *, may_show: bool = True) -> bool:
    """Whether there is a conflict in the `content` of the file `path`, where git's markers have that `size`.

    With `may_show`, markers in a fenced block of prose are none.
    """
    prose = PurePosixPath(path).suffix.lower() in _PROSE
    lines = [line.rstrip() for line in content.splitlines()]
    begun, halved = set[int](), set[int]()  # the lengths of which this much of a set has been read
    for number, kind, length in _found(lines, fenced=prose and may_show):
        if kind == b"=":
            if length == size and not prose and not _is_title(lines, number):
                return True
            halved |= begun & {length}
        elif length == size or (kind == b">" and length in halved):
            return True
        elif kind == b"<" and length > size:
            begun.add(length)
    return False


def _found(lines: list[bytes], *, fenced: bool) -> Iterator[tuple[int, bytes, int]]:
    """Where a line of markers is, of which kind, and how long; with `fenced` those in fenced blocks are left out."""
    inside = False
    for number, line in enumerate(lines):
        if fenced and _FENCE.match(line):
            inside = not inside
        elif not inside and (marker := _MARKER.match(line)):
            yield number, marker[0][:1], len(marker[0])


def _is_title(lines: list[bytes], number: int) -> bool:
    """Whether the line `number` is drawn below or above a title that is as long."""
    beside = lines[max(number - 1, 0) : number] + lines[number + 1 : number + 2]
    titles = [text for line in beside if _TITLE.fullmatch(text := line.decode("utf-8", "replace"))]
    return any(len(title) == len(lines[number]) for title in titles)


def _names(listed: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]
