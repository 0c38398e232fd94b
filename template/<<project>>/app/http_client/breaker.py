"""A circuit breaker: an upstream that fails is left alone, and asked by one request at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from math import ceil
from random import uniform
from time import monotonic

WINDOW = 20  # the latest attempts that count
LEAST = 10  # so many are needed to tell
OPENS_AT = 0.5  # the share of failures
LONGEST_PAUSE_S = 60.0


class State(IntEnum):
    """Closed: all pass; half open: one is asked as a probe; open: none passes."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Opens when half of the latest attempts failed; half open after a pause; closed by a success.

    Every state has a number of its own, and an attempt that ends in a later one counts no more (as
    in sony/gobreaker). Each failed probe doubles the pause, which is shortened at random so that
    processes do not probe together.

    changed: told of every state that an attempt leads to
    """

    def __init__(
        self,
        pause_s: float,
        changed: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._state = State.CLOSED
        self._number = 0
        self._latest: deque[bool] = deque(maxlen=WINDOW)
        self._first_pause_s = self._pause_s = pause_s
        self._until = 0.0
        self._changed = changed
        self._clock = clock

    @property
    def state(self) -> State:
        """What it is now: half open as soon as the pause is over, also while nobody asks."""
        return State.HALF_OPEN if self._probe_is_due else self._state

    @property
    def _probe_is_due(self) -> bool:
        return self._state is State.OPEN and self._clock() >= self._until

    @property
    def wait_s(self) -> int:
        """Whole seconds until it is worth trying again, at least 1."""
        return max(1, ceil(self._until - self._clock()))

    def admit(self) -> int | None:
        """The number to report the attempt's end under, or None if it must not be made."""
        if self._probe_is_due:
            self._become(State.HALF_OPEN)
            return self._number
        return self._number if self._state is State.CLOSED else None

    def report(self, number: int, answered: bool | None) -> None:
        """How an attempt ended; None if it was given up, which says nothing of the upstream."""
        if number != self._number:
            return
        if self._state is State.HALF_OPEN:
            self._probed(answered)
        elif answered is not None:
            self._latest.append(answered)
            failed = self._latest.count(False)
            if len(self._latest) >= LEAST and failed >= OPENS_AT * len(self._latest):
                self._open()

    def _probed(self, answered: bool | None) -> None:
        if answered is None:
            self._open()  # who gave it up has learned nothing, and the next one need not at once
        elif answered:
            self._pause_s = self._first_pause_s
            self._latest.clear()
            self._become(State.CLOSED)
        else:
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
            self._open()

    def _open(self) -> None:
        self._until = self._clock() + self._pause_s * uniform(0.5, 1.0)  # noqa: S311
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self._state = state
        self._number += 1
        self._changed(state)
