"""Places, and the queue for them."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from app.backpressure.limit import Limit
from app.backpressure.limiter import FULL
from app.backpressure.limiter import LOW_PRIORITY
from app.backpressure.limiter import TIMED_OUT
from app.backpressure.limiter import Limiter
from app.backpressure.limiter import Shed
from app.backpressure.limiter import Turn
from tests.backpressure.visitors import settled

pytestmark = pytest.mark.anyio


def full(limit: int = 1, queue: int = 10, wait_s: float = 5) -> Limiter:
    """A limiter without a free place."""
    limiter = Limiter(Limit(limit, None), queue, wait_s)
    for _ in range(limit):
        assert limiter.enter(low_priority=False) is None
    assert limiter.in_flight == limit
    return limiter


def turn_of(limiter: Limiter) -> Turn:
    """A turn in the queue of one without a free place."""
    turn = limiter.enter(low_priority=False)
    assert turn
    return turn


class Waiting:
    """Those who wait, and the order in which they got a place."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.served: list[str] = []

    def add(self, name: str) -> asyncio.Task[None]:
        """One more waits."""
        return asyncio.create_task(self._wait(name))

    async def _wait(self, name: str) -> None:
        await self.limiter.wait(turn_of(self.limiter), lambda: None)
        self.served.append(name)

    async def give_back(self, times: int = 1) -> None:
        """So many places are given back, one after the other."""
        for _ in range(times):
            self.limiter.leave(0)
            await settled()


async def test_a_burst_is_served_in_order() -> None:
    waiting = Waiting(full())
    tasks = [waiting.add(name) for name in "abc"]
    await settled()
    assert (waiting.limiter.in_flight, waiting.limiter.queued) == (1, 3)
    await waiting.give_back(3)
    assert waiting.served == ["a", "b", "c"]
    assert (waiting.limiter.in_flight, waiting.limiter.queued) == (1, 0)
    await asyncio.gather(*tasks)


async def test_a_standing_queue_serves_the_newest_first() -> None:
    waiting = Waiting(full(wait_s=0.2))
    old = waiting.add("old")
    await asyncio.sleep(0.1)
    tasks = [waiting.add("older"), waiting.add("newer")]
    await asyncio.sleep(0.15)
    tasks.append(waiting.add("newest"))
    await settled()
    await waiting.give_back(3)
    assert waiting.served == ["newest", "newer", "older"]
    with pytest.raises(Shed, match=TIMED_OUT):
        await old
    await asyncio.gather(*tasks)


async def test_in_a_standing_queue_nobody_waits_long() -> None:
    waiting = Waiting(full(wait_s=0.4))
    first = waiting.add("first")
    await asyncio.sleep(0.3)
    keeps_it_filled = waiting.add("second")
    await asyncio.sleep(0.2)
    started = monotonic()
    with pytest.raises(Shed, match=TIMED_OUT):
        await waiting.add("third")
    assert monotonic() - started < 0.15
    await asyncio.gather(first, keeps_it_filled, return_exceptions=True)


async def test_a_queue_that_was_empty_is_no_longer_congested() -> None:
    waiting = Waiting(full(wait_s=0.1))
    with pytest.raises(Shed):
        await waiting.add("gives up")
    await asyncio.sleep(0.05)
    tasks = [waiting.add(name) for name in "ab"]
    await settled()
    await waiting.give_back(2)
    assert waiting.served == ["a", "b"]
    await asyncio.gather(*tasks)


async def test_a_full_queue_refuses_at_once() -> None:
    limiter = full(queue=2)
    waiting = Waiting(limiter)
    tasks = [waiting.add(name) for name in "ab"]
    await settled()
    with pytest.raises(Shed, match=FULL):
        limiter.enter(low_priority=False)
    await waiting.give_back(2)
    await asyncio.gather(*tasks)


async def test_without_a_queue_nobody_waits() -> None:
    with pytest.raises(Shed, match=FULL):
        full(queue=0).enter(low_priority=False)


async def test_who_waits_too_long_leaves_no_trace() -> None:
    limiter = full(wait_s=0.05)
    with pytest.raises(Shed, match=TIMED_OUT):
        await limiter.wait(turn_of(limiter), lambda: None)
    assert (limiter.in_flight, limiter.queued) == (1, 0)
    limiter.leave(0)
    assert limiter.in_flight == 0


async def test_who_is_cancelled_while_waiting_leaves_no_trace() -> None:
    waiting = Waiting(full())
    task = waiting.add("a")
    await settled()
    task.cancel()
    await settled()
    assert (waiting.limiter.in_flight, waiting.limiter.queued) == (1, 0)
    await waiting.give_back()
    assert waiting.limiter.in_flight == 0


async def test_a_place_is_passed_on_by_who_is_cancelled_as_he_gets_it() -> None:
    waiting = Waiting(full())
    tasks = [waiting.add("a"), waiting.add("b")]
    await settled()
    waiting.limiter.leave(0)
    tasks[0].cancel()
    await settled()
    assert waiting.served == ["b"]
    assert (waiting.limiter.in_flight, waiting.limiter.queued) == (1, 0)
    assert tasks[0].cancelled()


async def test_what_has_low_priority_leaves_half_of_the_places_free() -> None:
    limiter = Limiter(Limit(4, None), 10, 5)
    assert limiter.enter(low_priority=True) is None
    assert limiter.enter(low_priority=True) is None
    with pytest.raises(Shed, match=LOW_PRIORITY):
        limiter.enter(low_priority=True)
    assert limiter.enter(low_priority=False) is None
    assert limiter.enter(low_priority=False) is None
    assert limiter.enter(low_priority=False)


async def test_of_a_single_place_low_priority_gets_one() -> None:
    assert Limiter(Limit(1, None), 10, 5).enter(low_priority=True) is None


async def test_a_limit_that_shrinks_takes_no_place_away() -> None:
    limit = Limit(4, None)
    limiter = Limiter(limit, 10, 5)
    for _ in range(4):
        limiter.enter(low_priority=False)
    waiting = Waiting(limiter)
    task = waiting.add("a")
    await settled()
    limit.value = 2
    await waiting.give_back(2)
    assert (waiting.served, limiter.in_flight) == ([], 2)
    await waiting.give_back()
    assert (waiting.served, limiter.in_flight) == (["a"], 2)
    await task
