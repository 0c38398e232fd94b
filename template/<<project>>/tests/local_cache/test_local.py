"""Get or load, in one event loop."""

import asyncio
from dataclasses import replace

import pytest

from app.local_cache import LocalCache
from app.local_cache import LocalCaches
from app.local_cache import LocalCacheSettings
from tests.local_cache.conftest import BOUNDS
from tests.local_cache.conftest import Clock
from tests.local_cache.conftest import Source
from tests.local_cache.conftest import Unmeasurable
from tests.local_cache.conftest import counted
from tests.local_cache.conftest import evicted

pytestmark = pytest.mark.anyio

type Objects = LocalCache[str, object]


@pytest.fixture
def local(name: str) -> Objects:
    """A cache."""
    return LocalCache(name, BOUNDS)


@pytest.mark.parametrize("value", [b"value", None, b"", 0, False, []])
async def test_what_is_loaded_is_kept_whatever_it_is(
    local: Objects, name: str, value: object
) -> None:
    source = Source(value)
    assert [await local.get("key", source.load) for _ in range(3)] == [value] * 3
    assert source.loads == 1
    assert (counted("hits_total", name), counted("misses_total", name)) == (2, 1)
    assert counted("entries", name) == 1


async def test_it_is_loaded_again_when_its_life_is_over(local: Objects, clock: Clock) -> None:
    source = Source()
    await local.get("key", source.load)
    clock.now += 60
    await local.get("key", source.load)
    assert source.loads == 2


async def test_however_many_ask_it_is_loaded_once(local: Objects) -> None:
    source = Source(takes_s=0.05)
    found = await asyncio.gather(*(local.get("key", source.load) for _ in range(1000)))
    assert found == [b"value"] * 1000
    assert source.loads == 1


async def test_an_error_reaches_everybody_and_is_not_kept(local: Objects) -> None:
    source = Source(takes_s=0.01)
    source.error = ValueError("no")
    reads = (local.get("key", source.load) for _ in range(10))
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(one) for one in found] == [ValueError] * 10
    assert source.loads == 1
    source.error = None
    assert await local.get("key", source.load) == b"value"


async def test_a_caller_who_is_cancelled_stops_nobody(local: Objects) -> None:
    source = Source(takes_s=0.05)
    first = asyncio.create_task(local.get("key", source.load))
    await source.asked.wait()
    others = [asyncio.create_task(local.get("key", source.load)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [b"value"] * 3
    assert first.cancelled()
    assert source.loads == 1


async def test_a_load_goes_on_when_everybody_is_gone(local: Objects) -> None:
    source = Source(takes_s=0.02)
    only = asyncio.create_task(local.get("key", source.load))
    await source.asked.wait()
    only.cancel()
    await asyncio.sleep(0.1)
    assert await local.get("key", source.load) == b"value"
    assert source.loads == 1


@pytest.mark.parametrize("by", ["delete", "clear"])
async def test_a_load_that_began_before_an_invalidation_is_not_kept(
    local: Objects, by: str
) -> None:
    source = Source(b"old", takes_s=0.05)
    before = asyncio.create_task(local.get("key", source.load))
    await source.asked.wait()
    source.value = b"new"
    if by == "delete":
        local.delete("key")
    else:
        local.clear()
    assert await local.get("key", source.load) == b"new", "not the load from before"
    assert await before == b"old"
    assert await local.get("key", source.load) == b"new"
    assert source.loads == 2


async def test_delete_and_clear_forget(local: Objects, name: str) -> None:
    sources = {key: Source() for key in "abc"}

    async def read() -> None:
        for key, source in sources.items():
            await local.get(key, source.load)

    await read()
    local.delete("a", "b", "never there")
    await read()
    assert [source.loads for source in sources.values()] == [2, 2, 1]
    local.clear()
    await read()
    assert [source.loads for source in sources.values()] == [3, 3, 2]
    assert evicted(name) == {"invalidated": 5}


async def test_the_end_of_the_service_stops_loads(name: str) -> None:
    source = Source(takes_s=60)
    async with LocalCaches(LocalCacheSettings()) as caches:
        local: LocalCache[str, object] = caches.cache(name)
        read = asyncio.create_task(local.get("key", source.load))
        await source.asked.wait()
    assert read.done()
    assert read.cancelled()


async def test_a_cache_may_have_bounds_of_its_own(name: str) -> None:
    caches = LocalCaches(LocalCacheSettings())
    local: LocalCache[int, object] = caches.cache(name, replace(BOUNDS, max_entries=2))
    for n in range(5):
        await local.get(n, Source(n).load)
    assert counted("entries", name) == 2
    assert evicted(name) == {"count": 3}


async def test_an_error_that_is_falsy_is_one(local: Objects) -> None:
    class Empty(Exception):
        def __len__(self) -> int:
            return 0

    failing = Source()
    failing.error = Empty()
    with pytest.raises(Empty):
        await local.get("key", failing.load)
    assert await local.get("key", Source().load) == b"value"


async def test_what_cannot_be_kept_is_loaded_again(local: Objects) -> None:
    loads = [Source(Unmeasurable()), Source()]
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    assert isinstance(await local.get("key", loads[0].load), Unmeasurable)
    assert await local.get("key", loads[1].load) == b"value"
