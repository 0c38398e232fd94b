"""A loader by itself: batches, memory, errors, and callers who go away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.dataloader import Loader

pytestmark = pytest.mark.anyio


class Source:
    """Knows the even numbers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.at_once = self.most_at_once = 0
        self.cancelled = 0
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def fetch(self, keys: list[int]) -> Mapping[int, str]:
        """The names of even numbers, in no order."""
        self.asked.append([*keys])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        if self.error:
            raise self.error
        return {key: f"n{key}" for key in reversed(keys) if key % 2 == 0}


def name(key: int) -> str | None:
    """What the source knows of a number."""
    return f"n{key}" if key % 2 == 0 else None


@pytest.fixture
async def source(anyio_backend: str) -> Source:
    """A source."""
    return Source()


@pytest.fixture
async def loader(source: Source) -> Loader[int, str]:
    """A loader that asks for ten at once."""
    return Loader("test", source.fetch, 10)


async def until(condition: Any) -> None:
    """Let the others work until it holds."""
    deadline = monotonic() + 5
    while not condition():
        assert monotonic() < deadline
        await asyncio.sleep(0)


async def test_what_is_asked_for_at_once_is_one_batch(
    loader: Loader[int, str], source: Source
) -> None:
    found = await asyncio.gather(*(loader.load(key) for key in (4, 1, 2, 4)))
    assert found == ["n4", None, "n2", "n4"]
    assert source.asked == [[4, 1, 2]]


async def test_single_lookups_and_many_share_a_batch(
    loader: Loader[int, str], source: Source
) -> None:
    async def two(key: int) -> list[str | None]:
        return await loader.load_many([key, key + 1])

    found = await asyncio.gather(loader.load(2), two(2), two(4))
    assert [*found] == ["n2", ["n2", None], ["n4", None]]
    assert source.asked == [[2, 3, 4, 5]]


async def test_what_was_found_is_remembered_and_what_was_not(
    loader: Loader[int, str], source: Source
) -> None:
    for _ in range(2):
        assert await loader.load_many([3, 2]) == [None, "n2"]
        assert await loader.load(3) is None
    assert source.asked == [[3, 2]]
    assert await loader.load_many([2, 6]) == ["n2", "n6"]
    assert source.asked == [[3, 2], [6]]


async def test_nothing_is_asked_for_nothing(loader: Loader[int, str], source: Source) -> None:
    assert await loader.load_many([]) == []
    assert source.asked == []


async def test_what_was_changed_is_asked_for_again(
    loader: Loader[int, str], source: Source
) -> None:
    await loader.load_many([2, 4])
    loader.clear(2, 100)
    assert await loader.load_many([2, 4]) == ["n2", "n4"]
    assert source.asked == [[2, 4], [2]]


async def test_what_is_forgotten_and_asked_for_in_one_turn_is_one_key(
    loader: Loader[int, str], source: Source
) -> None:
    first = asyncio.create_task(loader.load(2))
    await asyncio.sleep(0)
    loader.clear(2)
    assert await loader.load_many([4, 2]) == ["n4", "n2"]
    assert await first == "n2"
    assert source.asked == [[2, 4]]


async def test_a_batch_has_a_largest_size_and_one_runs_at_a_time(
    loader: Loader[int, str], source: Source
) -> None:
    keys = [n % 25 for n in range(40)]
    assert await loader.load_many(keys) == [name(key) for key in keys]
    assert [len(batch) for batch in source.asked] == [10, 10, 5]
    assert source.most_at_once == 1


async def test_what_is_asked_for_while_another_batch_runs_is_one_batch(
    loader: Loader[int, str], source: Source
) -> None:
    source.open.clear()
    first = asyncio.create_task(loader.load(2))
    await until(lambda: source.asked)
    others = [asyncio.create_task(loader.load(key)) for key in (4, 6)]
    await asyncio.sleep(0.01)
    others.append(asyncio.create_task(loader.load(8)))
    await asyncio.sleep(0.01)
    source.open.set()
    assert [await one for one in (first, *others)] == ["n2", "n4", "n6", "n8"]
    assert source.asked == [[2], [4, 6, 8]]


async def test_an_error_reaches_each_caller_and_is_not_remembered(
    loader: Loader[int, str], source: Source
) -> None:
    source.error = ConnectionError("away")
    calls = (loader.load(2), loader.load(4), loader.load_many([2, 6]))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(error) for error in found] == ["away"] * 3
    source.error = None
    assert await loader.load(2) == "n2"
    assert source.asked == [[2, 4, 6], [2]]


async def test_an_error_of_one_batch_is_not_that_of_others(
    loader: Loader[int, str], source: Source
) -> None:
    async def fetch(keys: list[int]) -> Mapping[int, str]:
        if 13 in keys:
            raise ValueError("unlucky")
        return await source.fetch(keys)

    loader = Loader("test", fetch, 10)
    calls = (loader.load(key) for key in range(20))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert found[:10] == [name(key) for key in range(10)]
    assert all(isinstance(error, ValueError) for error in found[10:])


async def test_who_goes_away_takes_nothing_from_the_others(
    loader: Loader[int, str], source: Source
) -> None:
    source.open.clear()
    gone, stays = (asyncio.create_task(loader.load(2)) for _ in range(2))
    await until(lambda: source.asked)
    gone.cancel()
    await asyncio.sleep(0)
    source.open.set()
    assert await stays == "n2"
    assert gone.cancelled()
    assert source.cancelled == 0


@pytest.mark.parametrize("begun", [False, True])
async def test_when_all_have_gone_so_is_the_query(
    loader: Loader[int, str], source: Source, begun: bool
) -> None:
    source.open.clear()
    callers = [
        asyncio.create_task(loader.load(2)),
        asyncio.create_task(loader.load_many(range(15))),
    ]
    await (until(lambda: source.asked) if begun else asyncio.sleep(0))
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await asyncio.sleep(0.01)
    source.open.set()
    assert await loader.load(2) == "n2", "who comes late asks anew"
    assert source.asked[-1] == [2]
    assert len(source.asked) - 1 == source.cancelled >= begun


@settings(max_examples=200, deadline=None)
@given(
    turns=st.lists(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=5), max_size=4),
    most=st.integers(1, 8),
)
async def test_any_lookups_give_what_single_ones_would(
    turns: list[list[list[int]]], most: int
) -> None:
    source = Source()
    loader = Loader("test", source.fetch, most)
    for calls in turns:
        found = await asyncio.gather(*(loader.load_many(keys) for keys in calls))
        assert found == [[name(key) for key in keys] for keys in calls]
    asked = [key for batch in source.asked for key in batch]
    assert sorted(asked) == sorted({key for calls in turns for keys in calls for key in keys})
    assert all(len(batch) <= most for batch in source.asked)


async def test_batches_are_measured(source: Source) -> None:
    loader = Loader("measured", source.fetch, 10)
    await loader.load_many(range(12))
    for suffix, value in (("count", 2), ("sum", 12)):
        name = f"dataloader_batch_keys_{suffix}"
        assert REGISTRY.get_sample_value(name, {"loader": "measured"}) == value
