"""No window of the length holds more than the limit, wherever it begins; in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from secrets import token_hex

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from redis import Redis

from app.rate_limit import Policy
from app.rate_limit import local
from app.rate_limit.local import CELLS
from app.rate_limit.local import LocalLogs
from app.rate_limit.policy import MOST_RUNS
from app.rate_limit.shared import ADMIT

WINDOW = 1000  # microseconds; the key's life is an hour, so that real time is no matter
LOCAL_WINDOW = 1_000_000
CLOCK = "redis.call('TIME')"
START = 1_700_000_000_000_000

type Admit = Callable[[int], tuple[int, int]]  # at a microsecond: what remains, how long to wait
type Asked = tuple[int, int, int]  # when, what remained, how long to wait

assert ADMIT.count(CLOCK) == 1


@pytest.fixture(scope="module")
def shared(servers: dict[str, str]) -> Iterator[Callable[..., Admit]]:
    """Makes a log in Redis of a limit and a cell, which believes the time that it is told."""
    with Redis.from_url(servers["REDIS_URL"]) as redis:
        script = redis.register_script(ADMIT.replace(CLOCK, "{ARGV[5], ARGV[6]}"))

        def log(limit: int, cell: int, key: str = "") -> Admit:
            name = key or token_hex(8)

            def admit(at: int) -> tuple[int, int]:
                arguments = [limit, WINDOW, cell, 3_600_000, at // 1_000_000, at % 1_000_000]
                remaining, wait = script([name], arguments)
                return remaining, wait

            return admit

        yield log


def asked(admit: Admit, gaps: list[int]) -> list[Asked]:
    """Ask after each of these gaps."""
    at, answers = START, []
    for gap in gaps:
        at += gap
        answers.append((at, *admit(at)))
    return answers


def admitted(answers: list[Asked], after: int, until: int) -> int:
    """How many were, later than `after` and not later than `until`."""
    return sum(after < at <= until for at, remaining, _ in answers if remaining >= 0)


def assert_holds(answers: list[Asked], limit: int, window: int, late: int = 0) -> None:
    """No window holds more than the limit; who is refused had it all, within `late` of a window."""
    for number, (at, remaining, wait) in enumerate(answers):
        before = answers[:number]
        assert admitted(answers[: number + 1], at - window, at) <= limit
        assert 0 < wait <= window + late
        if remaining < 0:
            assert admitted(before, at - window - late, at) >= limit
        else:
            assert remaining <= limit - 1 - admitted(before, at - window, at)


def arrivals(window: int) -> st.SearchStrategy[list[int]]:
    """Bursts, steady requests, pauses; and what is just at the border of a window."""
    one = st.one_of(
        st.integers(0, 2),
        st.integers(0, window // 3),
        st.sampled_from([window - 1, window, window + 1, 3 * window]),
    )
    return st.lists(one, max_size=40)


@given(gaps=arrivals(WINDOW), limit=st.integers(1, 6))
@settings(deadline=None)
def test_the_log_in_redis_is_exact(
    shared: Callable[..., Admit], gaps: list[int], limit: int
) -> None:
    answers = asked(shared(limit, 1), gaps)
    assert_holds(answers, limit, WINDOW)
    for number, (at, remaining, wait) in enumerate(answers):
        before = answers[:number]
        assert remaining == limit - 1 - min(admitted(before, at - WINDOW, at), limit)
        held = [t for t, left, _ in answers[: number + 1] if left >= 0 and at - WINDOW < t]
        assert wait == held[0] + WINDOW - at


@given(gaps=arrivals(WINDOW), limit=st.integers(1, 6), cell=st.sampled_from([10, 100, 333]))
@settings(deadline=None)
def test_with_cells_it_is_at_most_one_cell_late(
    shared: Callable[..., Admit], gaps: list[int], limit: int, cell: int
) -> None:
    assert_holds(asked(shared(limit, cell), gaps), limit, WINDOW, late=cell)


@given(gaps=arrivals(LOCAL_WINDOW), limit=st.integers(1, 20), replicas=st.integers(1, 4))
@settings(deadline=None)
def test_a_process_holds_its_share(gaps: list[int], limit: int, replicas: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        answers = asked(local_log(patch, limit, replicas), gaps)
    share = max(1, limit // replicas)
    assert_holds(answers, share, LOCAL_WINDOW, late=LOCAL_WINDOW // CELLS)


def local_log(patch: pytest.MonkeyPatch, limit: int, replicas: int = 1) -> Admit:
    """A log in the process's own memory, which believes the time that it is told."""
    logs, policy = LocalLogs(replicas), Policy("local", limit, LOCAL_WINDOW // 1_000_000)

    def admit(at: int) -> tuple[int, int]:
        patch.setattr(local, "monotonic_ns", lambda: at * 1000)
        return logs.admit(policy, "sender")

    return admit


@given(gaps=arrivals(WINDOW), limit=st.integers(1, 4), cell=st.sampled_from([1, 100]))
@settings(deadline=None)
def test_who_waits_as_long_as_it_is_told_gets_in(
    shared: Callable[..., Admit], gaps: list[int], limit: int, cell: int
) -> None:
    admit = shared(limit, cell)
    answers = asked(admit, [0, *gaps])
    at, (remaining, wait) = answers[-1][0], answers[-1][1:]
    while remaining >= 0:
        remaining, wait = admit(at)
    assert admit(at + wait - 1) == (-1, 1)
    assert admit(at + wait)[0] >= 0


def test_a_burst_of_exactly_the_limit_is_admitted(shared: Callable[..., Admit]) -> None:
    for cell in (1, 50):
        admit = shared(1500, cell)
        remaining = [admit(START + number // 100)[0] for number in range(1501)]
        assert remaining == [*range(1499, -1, -1), -1]


@pytest.mark.parametrize("left", [0, 1, 29, 30, 31, 59, 60, 61, 99, 100])
def test_any_number_may_leave_the_window_at_once(shared: Callable[..., Admit], left: int) -> None:
    admit = shared(101, 1)
    for at in range(100):
        admit(START + at)
    wait = 1 if left < 100 else WINDOW
    assert admit(START + left - 1 + WINDOW) == (left, wait)


def test_a_log_is_short_whatever_the_limit(
    shared: Callable[..., Admit], servers: dict[str, str]
) -> None:
    admit = shared(10**15 - 1, WINDOW // 10, key="huge")
    with Redis.from_url(servers["REDIS_URL"]) as redis:
        for at in range(START, START + 3 * WINDOW, 3):
            assert admit(at)[0] > 0
            assert redis.llen("huge") <= 2 * (10 + 2)


@pytest.mark.parametrize(
    ("limit", "cell_us"),
    [(1, 1), (MOST_RUNS, 1), (MOST_RUNS + 1, 900_000), (10**15 - 1, 900_000)],
)
def test_a_log_is_exact_while_it_is_short(limit: int, cell_us: int) -> None:
    assert Policy("policy", limit, 900).arguments[2] == str(cell_us)


def test_a_clock_that_is_set_back_admits_nobody_twice(shared: Callable[..., Admit]) -> None:
    admit = shared(2, 1)
    assert [admit(START + at)[0] for at in (0, 10, 10)] == [1, 0, -1]
    assert admit(START - 500) == (-1, WINDOW + 500)
    assert admit(START + WINDOW)[0] == 0


def test_a_clock_that_is_set_back_counts_on(shared: Callable[..., Admit]) -> None:
    admit = shared(3, 1)
    assert [admit(START + at)[0] for at in (0, -400, -300, -200)] == [2, 1, 0, -1]
    assert [admit(START + WINDOW + at)[0] for at in (-1, 0)] == [-1, 2]


def test_a_limit_that_was_lowered_holds_at_once(shared: Callable[..., Admit]) -> None:
    assert [shared(5, 1, key="one")(START + at)[0] for at in range(4)] == [4, 3, 2, 1]
    lower = shared(2, 1, key="one")
    assert lower(START + 4) == (-1, WINDOW - 4)
    assert lower(START + WINDOW + 1)[0] == -1
    assert lower(START + WINDOW + 2)[0] == 0
