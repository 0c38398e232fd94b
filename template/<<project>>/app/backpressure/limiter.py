"""Places for so many requests at once, and a short queue for bursts."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable
from functools import partial

from app.backpressure.alarms import Alarms
from app.backpressure.limit import Limit

# Why a request is not served: the label of the metric.
FULL = "full"
TIMED_OUT = "timed_out"
LOW_PRIORITY = "low_priority"
CLIENT_GONE = "client_gone"
REASONS = (FULL, TIMED_OUT, LOW_PRIORITY, CLIENT_GONE)

# The part of the usual time that may be waited in a queue which does not empty any more.
CONGESTED = 1 / 20

type Turn = asyncio.Future[None]


class Shed(Exception):
    """A request is not served, for one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Limiter:
    """Admits as many requests as the limit says; others wait for a place that is given back.

    A queue that empties now and then takes bursts: first come, first served, and a wait of up to
    `longest_wait_s`. One that has not been empty for so long only adds latency; then the newest is
    served first, whose client still waits, and nobody waits longer than a twentieth. That is the
    variant of CoDel (Nichols and Jacobson, "Controlling Queue Delay", 2012) and the adaptive LIFO
    of Maurer, "Fail at Scale" (ACM Queue 13, 2015), with the same ratio of the two times.
    """

    def __init__(self, limit: Limit, longest_queue: int, longest_wait_s: float) -> None:
        self.in_flight = 0
        self._limit = limit
        self._longest_queue = longest_queue
        self._longest_wait_s = longest_wait_s
        self._soon = Alarms(longest_wait_s * CONGESTED)
        self._late = Alarms(longest_wait_s * (1 - CONGESTED))
        self._queue: deque[Turn] = deque()
        self._filled_at = 0.0  # when the queue was last empty

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def limit(self) -> int:
        """How many may have a place."""
        return self._limit.value

    def enter(self, *, low_priority: bool) -> Turn | None:
        """Take a place; or, if there is none, the turn in the queue to be awaited by `wait`.

        Raises Shed if the queue is full, or for what has to leave half of the places free.
        """
        if low_priority and self.in_flight >= max(1, self.limit // 2):
            raise Shed(LOW_PRIORITY)
        if self.in_flight < self.limit:
            self.in_flight += 1
            return None
        self._limit.reached()
        return self._line_up()

    async def wait(self, turn: Turn, listen: Callable[[], None]) -> None:
        """Return with a place. Raises Shed when none is free in time, or what ends the turn.

        listen: called when it takes longer, so that the turn may be ended
        """
        self._soon.set(turn, partial(self._wait_on, turn, self._congested(), listen))
        try:
            await turn
        except BaseException:
            if turn in self._queue:
                self._queue.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._leave()  # it had just got a place when it was cancelled
            raise
        finally:
            self._soon.clear(turn)
            self._late.clear(turn)

    def _wait_on(self, turn: Turn, congested: bool, listen: Callable[[], None]) -> None:
        """It has waited for a twentieth of the time; `congested` is how it found the queue."""
        if congested:
            shed(turn, TIMED_OUT)
        else:
            listen()
            self._late.set(turn, partial(shed, turn, TIMED_OUT))

    def leave(self, seconds: float | None = None, *, finished: bool = True) -> None:
        """Give a place back, after this time if it says something of the service; see Limit."""
        if seconds is not None:
            self._limit.observe(seconds, finished=finished)
        self._leave()

    def _line_up(self) -> Turn:
        if len(self._queue) >= self._longest_queue:
            raise Shed(FULL)
        loop = get_running_loop()
        if not self._queue:
            self._filled_at = loop.time()
        turn: Turn = loop.create_future()
        self._queue.append(turn)
        return turn

    def _leave(self) -> None:
        self.in_flight -= 1
        while self._queue and self.in_flight < self.limit:
            turn = self._queue.pop() if self._congested() else self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self.in_flight += 1

    def _congested(self) -> bool:
        """Whether the queue has stood for so long that it is no burst."""
        return get_running_loop().time() - self._filled_at > self._longest_wait_s


def shed(turn: Turn, reason: str) -> None:
    """End a turn without a place, unless it has one."""
    if not turn.done():
        turn.set_exception(Shed(reason))
