"""How many requests are served at once: a constant, or what keeps their latency low."""

from __future__ import annotations

from math import inf
from time import monotonic

# A window ends when it has lasted this long and seen so many answers.
WINDOW_S = 0.5
LEAST_ANSWERS = 10
# More slow answers than this share of a window, and the limit shrinks to this part of itself.
TOLERATED = 0.1
DECREASE = 0.9


class Limit:
    """A limit that follows latency: additive increase, multiplicative decrease.

    The rule is that of Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for
    Congestion Avoidance in Computer Networks" (1989); to apply it to concurrency, with a factor of
    0.9 and no growth beyond what is used, is from AIMDLimit of Netflix's concurrency-limits. There
    every single slow answer shrinks the limit. Here it takes a tenth of a window's, so that a route
    that is always slow does not close the service to all others.

    most:      where it begins, and the most it becomes; a tenth of that is the least
    latency_s: what nine of ten answers keep below; None: the limit stays where it is
    """

    def __init__(self, most: int, latency_s: float | None) -> None:
        self._most = most
        self._least = max(1, most // 10)
        self._latency_s = inf if latency_s is None else latency_s
        self._exact = float(most)
        self.value = most
        self._begin()

    def reached(self) -> None:
        """Somebody found no place."""
        self._was_reached = True

    def observe(self, seconds: float, *, finished: bool = True) -> None:
        """A request took this long, or longer if it was not finished."""
        slow = seconds > self._latency_s
        if not (finished or slow):
            return  # it was given up too soon to say anything
        self._answers += 1
        self._slow += slow
        if self._answers >= LEAST_ANSWERS and monotonic() >= self._ends:
            self._adjust()
            self._begin()

    def _begin(self) -> None:
        self._ends = monotonic() + WINDOW_S
        self._answers = self._slow = 0
        self._was_reached = False

    def _adjust(self) -> None:
        if self._slow > TOLERATED * self._answers:
            self._exact = max(self._least, self._exact * DECREASE)
        elif self._was_reached:
            self._exact = min(self._most, self._exact + 1)
        self.value = int(self._exact)
