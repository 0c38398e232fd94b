"""Calls that come late, with one timer for all."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from asyncio import TimerHandle
from asyncio import get_running_loop
from collections.abc import Callable
from collections.abc import Hashable
from contextvars import Context

RESOLUTION_S = 0.001  # uvloop's: its timers come up to a millisecond early


class Alarms:
    """Calls that come after the same number of seconds, to the millisecond.

    They come in the order in which they were set, so one timer is enough: that of the next one. A
    timer for each costs its making and its end, for something that hardly ever happens. It has a
    context of its own: that of the request which happened to set it would be kept for all others.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # when (in the loop's time) and what, the next one first
        self._calls: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._timer: TimerHandle | None = None
        self._loop: AbstractEventLoop | None = None

    def set(self, key: Hashable, call: Callable[[], object]) -> None:
        """Call this when the time is over, counted from now; what the key had is forgotten."""
        loop = get_running_loop()
        if loop is not self._loop:  # nothing comes in one that is over, as those of tests are
            self._loop, self._timer = loop, None
            self._calls.clear()
        at = loop.time() + self.seconds
        self._calls.pop(key, None)
        self._calls[key] = at, call
        if self._timer is None:
            self._timer = self._set_timer()

    def clear(self, key: Hashable) -> None:
        """Forget what is to be called, if there is something."""
        self._calls.pop(key, None)

    def _ring(self) -> None:
        now = get_running_loop().time() + RESOLUTION_S
        try:
            while self._calls:
                key, (at, call) = next(iter(self._calls.items()))
                if at > now:
                    break
                del self._calls[key]
                call()
        finally:  # one that fails does not take the others along
            self._timer = self._set_timer() if self._calls else None

    def _set_timer(self) -> TimerHandle:
        at, _ = next(iter(self._calls.values()))
        return get_running_loop().call_at(at, self._ring, context=Context())
