"""What the proofs found, as one table at the end of the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
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


def found(reporter: pytest.TerminalReporter) -> list[tuple[str, ...]]:
    """The rows of all proofs that held."""
    return [*_rows(reporter), *_tallies(reporter)]


def with_earlier(rows: list[tuple[str, ...]], kept: Path) -> list[tuple[str, ...]]:
    """These rows and those of earlier runs, all of them kept in this file for later ones."""
    earlier = json.loads(kept.read_text()) if kept.exists() else []
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([*earlier, *rows]))
    return [*map(tuple, earlier), *rows]


def markdown(rows: list[tuple[str, ...]]) -> str:
    """The rows as a table, ready for a README."""
    ordered = sorted(rows, key=lambda row: row[0].lower())
    lines = [HEAD, ("---", "---", "---", "---"), *ordered]
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
