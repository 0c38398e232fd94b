"""Jobs that end together, and what is said of each."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from app.queue.endings import Endings
from app.queue.endings import Key

pytestmark = pytest.mark.anyio


async def test_of_two_attempts_at_a_job_one_was_still_ours() -> None:
    said: list[Collection[Key]] = []

    async def forget(keys: Collection[Key]) -> set[Key]:
        said.append(keys)
        return {(7, 2)}

    endings = Endings(forget)
    heard = await asyncio.gather(*(endings.done((7, attempt)) for attempt in (1, 2)))
    assert heard == [False, True]
    assert said == [[(7, 1), (7, 2)]]


@pytest.mark.parametrize("begun", [True, False])
async def test_who_gives_up_leaves_nobody_waiting(begun: bool) -> None:
    async def forget(_: Collection[Key]) -> set[Key]:
        await asyncio.sleep(3600)
        raise AssertionError

    endings = Endings(forget)
    waiting = [asyncio.create_task(endings.done((number, 1))) for number in range(2)]
    await asyncio.sleep(0)
    if begun:
        await asyncio.sleep(0.01)
        waiting.append(asyncio.create_task(endings.done((2, 1))))
        await asyncio.sleep(0)
    endings.give_up()
    later = asyncio.create_task(endings.done((3, 1)))
    done, late = await asyncio.wait({*waiting, later}, timeout=5)
    assert not late
    assert all(task.cancelled() for task in done)


async def test_a_failure_to_say_it_is_told_to_each() -> None:
    async def forget(keys: Collection[Key]) -> set[Key]:
        if len(keys) == 3:
            raise LookupError("broken")
        return {(3, 1)}

    endings = Endings(forget)
    waiting = [asyncio.create_task(endings.done((n, 1))) for n in range(3)]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [LookupError] * 3
    heard = await asyncio.gather(endings.done((3, 1)), endings.done((4, 1)))
    assert list(heard) == [True, False]
