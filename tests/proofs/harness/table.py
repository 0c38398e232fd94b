"""What the proofs found, as one table at the end of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

HEAD = ("promise", "what was done", "how often", "lost")
ROW, TALLY = "proof", "tally"  # user properties of a test's report; pytest-xdist carries them


class Table:
    """Where one proof notes what it found; it counts only if the proof holds to its end."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def add(self, promise: str, done: str, times: str | int, lost: str | int) -> None:
        """Note one row. `lost` says of how many."""
        self._record(ROW, (promise, done, str(times), str(lost)))

    def tally(self, promise: str, done: str, found: dict[str, int], lost: str | int) -> None:
        """Note a part of a row: what many tests have found is added up, by name."""
        self._record(TALLY, (promise, done, list(found.items()), str(lost)))


def markdown(reporter: pytest.TerminalReporter) -> str | None:
    """The rows of all proofs that held, ready for a README; None if there are none."""
    rows = sorted([*_rows(reporter), *_tallies(reporter)], key=lambda row: row[0])
    if not rows:
        return None
    lines = [HEAD, ("---", "---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rows(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    for value in _properties(reporter, ROW):
        yield tuple(value)


def _tallies(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    sums: dict[tuple[str, ...], Counter[str]] = {}
    for promise, done, found, lost in _properties(reporter, TALLY):
        sums.setdefault((promise, done, lost), Counter()).update(dict(found))
    for (promise, done, lost), found in sums.items():
        yield promise, done, ", ".join(f"{n:,} {name}" for name, n in found.items()), lost


def _properties(reporter: pytest.TerminalReporter, wanted: str) -> Iterator[Any]:
    for report in reporter.getreports("passed"):
        yield from (value for name, value in report.user_properties if name == wanted)
