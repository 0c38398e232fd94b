"""Stacks of threads, as they are at this moment."""

from __future__ import annotations

from pathlib import Path
from types import FrameType
from typing import NamedTuple

ROOT = f"{Path(__file__).parents[2]}/"
DEEPEST = 200


class Place(NamedTuple):
    """A line of code that is being executed."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.function} ({shortened(self.file)}:{self.line})"


type Stack = tuple[Place, ...]


def shortened(file: str) -> str:
    """A file's name as people say it: below the service's folder, or that of the packages."""
    return file.rpartition("site-packages/")[2].removeprefix(ROOT)


def stack_of(frame: FrameType | None) -> Stack:
    """The lines from the outermost to this frame's; of a deep stack the innermost."""
    places: list[Place] = []
    while frame is not None and len(places) < DEEPEST:
        code = frame.f_code
        places.append(Place(code.co_qualname, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(reversed(places))
