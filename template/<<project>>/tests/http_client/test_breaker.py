"""When an upstream is left alone, and how it is found to be back."""

from __future__ import annotations

import pytest

from app.http_client.breaker import LEAST
from app.http_client.breaker import LONGEST_PAUSE_S
from app.http_client.breaker import WINDOW
from app.http_client.breaker import Breaker
from app.http_client.breaker import State

PAUSE_S = 5.0


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Time stands still at first."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """One that is closed."""
    return Breaker(PAUSE_S, clock=clock)


def attempt(breaker: Breaker, answered: bool | None) -> bool:
    """Make an attempt that ends so; whether it was admitted."""
    number = breaker.admit()
    if number is not None:
        breaker.report(number, answered)
    return number is not None


def state(breaker: Breaker) -> str:
    """What it is at the moment."""
    return breaker.state.name


def fail(breaker: Breaker) -> None:
    """Let it open."""
    while attempt(breaker, False):
        pass


def test_few_failures_tell_nothing(breaker: Breaker) -> None:
    for _ in range(LEAST - 1):
        assert attempt(breaker, False)
    assert state(breaker) == "CLOSED"
    attempt(breaker, False)
    assert state(breaker) == "OPEN"


def test_less_than_half_is_borne(breaker: Breaker) -> None:
    for number in range(10 * WINDOW):
        assert attempt(breaker, number % 5 in (0, 2, 4))
    assert state(breaker) == "CLOSED"


def test_only_the_latest_count(breaker: Breaker) -> None:
    for _ in range(1000):
        attempt(breaker, True)
    for _ in range(WINDOW // 2):
        assert attempt(breaker, False)
    assert state(breaker) == "OPEN"


def test_what_is_given_up_tells_nothing(breaker: Breaker) -> None:
    for _ in range(10 * WINDOW):
        assert attempt(breaker, None)


def test_one_probe_and_no_second(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE_S / 2 - 0.01
    assert breaker.admit() is None
    clock.now += PAUSE_S / 2 + 0.01
    admitted = [breaker.admit() for _ in range(100)]
    assert sum(number is not None for number in admitted) == 1
    assert state(breaker) == "HALF_OPEN"


def test_it_is_half_open_after_the_pause_also_when_nobody_asks(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker)
    assert state(breaker) == "OPEN"
    clock.now += PAUSE_S
    assert state(breaker) == "HALF_OPEN"


def test_a_good_probe_closes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE_S
    assert attempt(breaker, True)
    assert state(breaker) == "CLOSED"
    assert all(attempt(breaker, False) for _ in range(LEAST - 1)), "the failures before count"


def test_a_bad_probe_doubles_the_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    expected = PAUSE_S
    for _ in range(6):
        clock.now += expected
        assert attempt(breaker, False)
        expected = min(2 * expected, LONGEST_PAUSE_S)
        clock.now += expected / 2 - 0.01
        assert not attempt(breaker, True), f"sooner than {expected / 2}"
        clock.now -= expected / 2 - 0.01
    assert expected == LONGEST_PAUSE_S


def test_after_a_probe_that_is_given_up_there_is_a_pause_no_longer_than_before(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker)
    clock.now += PAUSE_S
    assert attempt(breaker, None)
    assert state(breaker) == "OPEN"
    clock.now += PAUSE_S
    assert state(breaker) == "HALF_OPEN"
    assert attempt(breaker, True)
    assert state(breaker) == "CLOSED"


def test_what_ends_late_counts_no_more(breaker: Breaker, clock: Clock) -> None:
    late = [breaker.admit() for _ in range(5)]
    fail(breaker)
    clock.now += PAUSE_S
    probe = breaker.admit()
    for number in late:
        assert number is not None
        breaker.report(number, True)
    assert state(breaker) == "HALF_OPEN"
    assert probe is not None
    breaker.report(probe, False)
    assert state(breaker) == "OPEN"


def test_every_change_is_told(clock: Clock) -> None:
    told: list[State] = []
    breaker = Breaker(PAUSE_S, told.append, clock)
    fail(breaker)
    clock.now += PAUSE_S
    attempt(breaker, True)
    assert told == [State.OPEN, State.HALF_OPEN, State.CLOSED]
