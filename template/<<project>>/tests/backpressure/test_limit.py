"""A limit that follows latency: down by a tenth, up by one."""

from __future__ import annotations

import pytest

from app.backpressure import limit as module
from app.backpressure.limit import LEAST_ANSWERS
from app.backpressure.limit import WINDOW_S
from app.backpressure.limit import Limit

FAST, SLOW = 0.01, 0.2
TARGET = 0.1


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def window(limit: Limit, clock: Clock, *, slow: int, answers: int = 20, reached: bool) -> int:
    """The limit after a window with so many answers, some of them slow."""
    if reached:
        limit.reached()
    for number in range(answers):
        if number == answers - 1:
            clock.now += WINDOW_S
        limit.observe(SLOW if number < slow else FAST)
    return limit.value


def test_it_shrinks_by_a_tenth_when_more_than_a_tenth_is_slow(clock: Clock) -> None:
    limit = Limit(100, TARGET)
    found = [window(limit, clock, slow=3, reached=True) for _ in range(3)]
    assert found == [90, 81, 72]


def test_it_grows_by_one_when_it_is_reached_and_latency_is_low(clock: Clock) -> None:
    limit = Limit(100, TARGET)
    window(limit, clock, slow=20, reached=True)
    found = [window(limit, clock, slow=2, reached=True) for _ in range(3)]
    assert found == [91, 92, 93]


def test_it_does_not_grow_beyond_what_is_used(clock: Clock) -> None:
    limit = Limit(100, TARGET)
    window(limit, clock, slow=20, reached=True)
    assert [window(limit, clock, slow=0, reached=False) for _ in range(3)] == [90, 90, 90]


def test_it_stays_within_its_bounds(clock: Clock) -> None:
    limit = Limit(40, TARGET)
    assert window(limit, clock, slow=0, reached=True) == 40
    for _ in range(50):
        window(limit, clock, slow=20, reached=True)
    assert limit.value == 4
    for _ in range(50):
        window(limit, clock, slow=0, reached=True)
    assert limit.value == 40


def test_one_place_is_the_least() -> None:
    limit = Limit(5, TARGET)
    for _ in range(50):
        limit._exact = max(limit._least, limit._exact * 0.9)
    assert int(limit._exact) == 1


def test_few_answers_decide_nothing(clock: Clock) -> None:
    limit = Limit(100, TARGET)
    few = LEAST_ANSWERS - 1
    assert window(limit, clock, slow=few, answers=few, reached=True) == 100
    limit.observe(SLOW)
    assert limit.value == 90


def test_what_was_given_up_counts_only_when_it_was_slow(clock: Clock) -> None:
    limit = Limit(100, TARGET)
    clock.now += WINDOW_S
    for _ in range(LEAST_ANSWERS):
        limit.observe(FAST, finished=False)
    for _ in range(LEAST_ANSWERS - 1):
        limit.observe(SLOW, finished=False)
    assert limit.value == 100
    limit.observe(SLOW, finished=False)
    assert limit.value == 90


def test_without_a_target_it_stays_where_it_is(clock: Clock) -> None:
    limit = Limit(7, None)
    assert [window(limit, clock, slow=20, reached=True) for _ in range(3)] == [7, 7, 7]


def test_it_finds_what_a_resource_bears(clock: Clock) -> None:
    """Ten at a time take 50 ms; more wait for each other. 100 ms are kept by 20 at a time."""
    limit, found = Limit(200, TARGET), []
    for _ in range(200):
        latency = 0.05 * max(1, limit.value / 10)
        limit.reached()
        for _ in range(LEAST_ANSWERS):
            limit.observe(latency)
        clock.now += WINDOW_S
        limit.observe(latency)
        found.append(limit.value)
    assert all(17 <= value <= 21 for value in found[50:]), found
