"""What the proofs found, as one table at the end of the run."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import pytest

HEAD = ("promise", "what was done", "how often", "lost")
ROW = "proof"  # a user property of the test's report; pytest-xdist carries it


class Table:
    """Where one proof notes what it found; it counts only if the proof holds to its end."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def add(self, promise: str, done: str, times: str | int, lost: str | int) -> None:
        """Note one row. `lost` says of how many."""
        self._record(ROW, (promise, done, str(times), str(lost)))


def markdown(reporter: pytest.TerminalReporter) -> str | None:
    """The rows of all proofs that held, ready for a README; None if there are none."""
    rows = sorted(_rows(reporter), key=lambda row: row[0])
    if not rows:
        return None
    lines = [HEAD, ("---", "---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rows(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    for report in reporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == ROW:
                yield tuple(value)
