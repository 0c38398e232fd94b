"""One timer is enough for all that comes after the same time, whatever is forgotten before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from app.backpressure import alarms as module
from app.backpressure.alarms import RESOLUTION_S
from app.backpressure.alarms import Alarms

pytestmark = pytest.mark.anyio

SECONDS = 0.1


class Rung:
    """What was called, and when it is enough."""

    def __init__(self, wanted: int) -> None:
        self.names: list[str] = []
        self._wanted = wanted
        self._enough = asyncio.Event()

    def ring(self, name: str) -> None:
        """One call."""
        self.names.append(name)
        if len(self.names) == self._wanted:
            self._enough.set()

    async def all(self) -> list[str]:
        """What was called, once that is as much as is wanted."""
        async with asyncio.timeout(30):
            await self._enough.wait()
        return self.names


class CountedTimers:
    """The running event loop, whose timers are counted."""

    def __init__(self) -> None:
        self.made = 0
        self._loop = asyncio.get_running_loop()
        self.time = self._loop.time

    def call_at(self, *args: Any, **options: Any) -> asyncio.TimerHandle:
        """As the loop's."""
        self.made += 1
        return self._loop.call_at(*args, **options)


class SetClock:
    """An event loop whose clock is set by hand, and which keeps what is to be called."""

    def __init__(self) -> None:
        self.now = 7.0
        self.timers: list[Callable[[], None]] = []

    def time(self) -> float:
        """What the clock says."""
        return self.now

    def call_at(self, when: float, call: Callable[[], None], **_: Any) -> None:
        """Keep it."""
        self.timers.append(call)


async def test_all_come_in_time_and_one_after_the_other() -> None:
    alarms, rung, loop = Alarms(SECONDS), Rung(3), asyncio.get_running_loop()
    began = {}
    ended = {}

    def ring(name: str) -> None:
        ended[name] = loop.time()
        rung.ring(name)

    for name in "abc":
        began[name] = loop.time()
        alarms.set(name, lambda name=name: ring(name))  # type: ignore[misc]
        await asyncio.sleep(SECONDS / 3)
    assert await rung.all() == ["a", "b", "c"]
    assert all(ended[name] - began[name] >= SECONDS - RESOLUTION_S for name in "abc")


async def test_what_is_cleared_does_not_come() -> None:
    alarms, rung = Alarms(SECONDS), Rung(2)
    for name in ("first", "gone", "last"):
        alarms.set(name, lambda name=name: rung.ring(name))  # type: ignore[misc]
    alarms.clear("gone")
    alarms.clear("never set")
    assert await rung.all() == ["first", "last"]


async def test_what_is_set_again_has_all_of_its_time() -> None:
    alarms, rung = Alarms(SECONDS), Rung(2)
    alarms.set("again", lambda: rung.ring("too soon"))
    alarms.set("other", lambda: rung.ring("other"))
    alarms.set("again", lambda: rung.ring("again"))
    assert await rung.all() == ["other", "again"]


async def test_thousands_that_are_done_in_time_have_one_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = CountedTimers()
    monkeypatch.setattr(module, "get_running_loop", lambda: loop)
    alarms, rung = Alarms(SECONDS), Rung(1)
    for number in range(5_000):
        alarms.set(number, lambda: rung.ring("too soon"))
        alarms.clear(number)
    assert loop.made == 1
    await asyncio.sleep(SECONDS * 2)  # it has come for nothing: the next one needs another
    alarms.set("last", lambda: rung.ring("last"))
    assert loop.made == 2
    assert await rung.all() == ["last"]


async def test_no_request_lends_its_context_to_the_others() -> None:
    alarms, rung = Alarms(SECONDS), Rung(2)
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    whose.set("the first one's")
    for _ in range(2):
        alarms.set(object(), lambda: rung.ring(whose.get()))
        await asyncio.sleep(SECONDS / 3)
    assert await rung.all() == ["nobody's"] * 2


async def test_one_that_comes_sets_the_next() -> None:
    alarms, rung = Alarms(SECONDS), Rung(2)

    def first() -> None:
        rung.ring("first")
        alarms.set("second", lambda: rung.ring("second"))

    alarms.set("first", first)
    assert await rung.all() == ["first", "second"]


@pytest.mark.parametrize(("early", "rings"), [(0.0009, True), (0.0011, False)])
def test_a_timer_may_come_a_millisecond_early(
    monkeypatch: pytest.MonkeyPatch, early: float, rings: bool
) -> None:
    """uvloop's do; set for the rest of it, they would come in each turn until it is over."""
    loop = SetClock()
    monkeypatch.setattr(module, "get_running_loop", lambda: loop)
    alarms, rung = Alarms(SECONDS), []
    alarms.set("only", lambda: rung.append("only"))
    loop.now += SECONDS - early
    loop.timers.pop()()
    assert bool(rung) is rings
    assert len(loop.timers) == (not rings)


async def test_one_that_fails_does_not_take_the_others_along() -> None:
    alarms, rung, told = Alarms(SECONDS), Rung(2), Rung(1)
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.ring(str(context["exception"]))
    )

    def fail() -> None:
        raise ValueError("on purpose")

    alarms.set("first", lambda: rung.ring("first"))
    alarms.set("fails", fail)
    alarms.set("last", lambda: rung.ring("last"))
    assert await rung.all() == ["first", "last"]
    assert await told.all() == ["on purpose"]


async def test_one_that_another_has_cleared_does_not_come() -> None:
    alarms, rung = Alarms(SECONDS), Rung(2)

    def first() -> None:
        rung.ring("first")
        alarms.clear("second")

    alarms.set("first", first)
    alarms.set("second", lambda: rung.ring("second"))
    alarms.set("third", lambda: rung.ring("third"))
    assert await rung.all() == ["first", "third"]


def test_what_an_earlier_event_loop_has_left_holds_up_nothing() -> None:
    alarms = Alarms(SECONDS)

    async def leave() -> None:
        alarms.set("left", lambda: None)

    async def wait() -> list[str]:
        rung = Rung(1)
        alarms.set("next", lambda: rung.ring("next"))
        return await rung.all()

    asyncio.run(leave())
    assert asyncio.run(wait()) == ["next"]
