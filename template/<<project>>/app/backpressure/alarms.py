"""Calls that come late, with one timer for all."""

from __future__ import annotations

from asyncio import TimerHandle
from asyncio import get_running_loop
from collections.abc import Callable
from collections.abc import Hashable
from contextvars import Context
from itertools import takewhile


class Alarms:
    """Calls that come after the same number of seconds, in one event loop.

    They come in the order in which they were set, so one timer is enough: that of the next one. A
    timer for each costs its making and its end, for something that hardly ever happens. It has a
    context of its own: that of the request which happened to set it would be kept for all others.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # when (in the loop's time) and what, the next one first
        self._calls: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._timer: TimerHandle | None = None

    def set(self, key: Hashable, call: Callable[[], object]) -> None:
        """Call this when the time is over, counted from now; what the key had is forgotten."""
        loop = get_running_loop()
        at = loop.time() + self.seconds
        self._calls.pop(key, None)
        self._calls[key] = at, call
        if self._timer is None:
            self._timer = loop.call_at(at, self._ring, context=Context())

    def clear(self, key: Hashable) -> None:
        """Forget what is to be called, if there is something."""
        self._calls.pop(key, None)

    def _ring(self) -> None:
        loop, self._timer = get_running_loop(), None
        now = loop.time()
        due = list(takewhile(lambda item: item[1][0] <= now, self._calls.items()))
        for key, _ in due:
            del self._calls[key]
        if self._calls:
            at, _ = next(iter(self._calls.values()))
            self._timer = loop.call_at(at, self._ring, context=Context())
        for _, (_, call) in due:
            call()
