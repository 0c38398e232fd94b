"""How much memory a process uses, looked at again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY_S = 0.02


class Growth:
    """What a process had at first, and at most since then."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.first = self.most = self._now()
        self.samples = 0

    def look(self) -> None:
        """Look once."""
        self.most = max(self.most, self._now())
        self.samples += 1

    @property
    def megabytes(self) -> float:
        """By how much the process grew at most."""
        return (self.most - self.first) / 1e6

    def _now(self) -> int:
        line = next(line for line in self._status.read_text().splitlines() if "VmRSS" in line)
        return int(line.split()[1]) * 1024


@contextmanager
def growth(pid: int) -> Iterator[Growth]:
    """The growth of a process' resident memory during the block."""
    seen, done = Growth(pid), threading.Event()

    def watch() -> None:
        while not done.wait(EVERY_S):
            seen.look()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()
