"""How late the event loop is, always; and what blocks it, when that takes long."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from math import inf
from time import monotonic
from typing import Self

from prometheus_client import Histogram

from app.http.logs import log
from app.profiling.settings import ProfilingSettings
from app.profiling.stacks import stack_of

TICK_S = 0.1
SHOWN = 40  # of the stack, the innermost

LAG = Histogram(
    "event_loop_lag_seconds",
    "How late the event loop runs what is due, measured ten times a second",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


class LoopWatch(AbstractAsyncContextManager["LoopWatch"]):
    """The loop ticks; a thread looks at its stack when the tick is long overdue.

    A block is logged while it lasts, so also one that never ends: `event_loop_blocked` with the
    stack, and `event_loop_free` with its duration. What blocks with the GIL held, as a regular
    expression may, holds up the thread as well, and is seen at its end; its stack mostly is.
    """

    _thread: threading.Thread
    _tick: asyncio.TimerHandle

    def __init__(self, settings: ProfilingSettings, started: Callable[[], bool]) -> None:
        """`started` tells when it matters: a start imports, and nobody waits for it."""
        self._blocked_s = settings.blocked_s
        self._started = started
        self._due = inf  # the next tick, on the clock of `monotonic`
        self._watched = 0
        self._stop = threading.Event()

    async def __aenter__(self) -> Self:
        """Begin to watch the running loop."""
        self._watched = threading.get_ident()
        self._expect_tick()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the thread."""
        self._tick.cancel()
        self._stop.set()
        self._thread.join()

    def _expect_tick(self) -> None:
        self._due = monotonic() + TICK_S
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)

    def _on_tick(self) -> None:
        late_s = max(0.0, monotonic() - self._due)
        LAG.observe(late_s)
        # so are the ticks that were due meanwhile, each a little less: or a minute's block would be
        # one measurement among hundreds (G. Tene's coordinated omission)
        for missed in range(1, int(late_s / TICK_S) + 1):
            LAG.observe(late_s - missed * TICK_S)
        if late_s > self._blocked_s and self._started():
            log.warning("event_loop_free", blocked_s=round(late_s, 3))
        self._expect_tick()

    def _watch(self) -> None:
        told = inf
        while not self._stop.wait(self._blocked_s / 4):
            due = self._due
            late_s = monotonic() - due
            if late_s > self._blocked_s and due != told and self._started():
                told = due
                stack = stack_of(sys._current_frames().get(self._watched))
                lines = [str(place) for place in stack[-SHOWN:]]
                log.warning("event_loop_blocked", so_far_s=round(late_s, 3), at=lines)
