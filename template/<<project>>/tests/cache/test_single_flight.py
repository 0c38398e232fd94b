"""However many ask, one loads: in a process, between processes, and ahead of expiry."""

import asyncio
import gc
from time import perf_counter
from typing import Any

import pytest

from app.cache import CacheSettings
from app.cache.entry import STAMP
from app.cache.entry import lease
from app.cache.entry import new_stamp
from app.cache.lease import Leases
from tests.cache.conftest import Process
from tests.cache.conftest import Source
from tests.cache.conftest import StartProcess

pytestmark = pytest.mark.anyio


async def test_a_thousand_cold_reads_are_one_load(process: Process) -> None:
    source = Source(takes_s=0.1)
    reads = (process.cache.get("key", source.load) for _ in range(1000))
    assert set(await asyncio.gather(*reads)) == {b"value"}
    assert source.loads == 1


async def test_a_thousand_cold_reads_in_four_processes_are_one_load(start: StartProcess) -> None:
    processes = [await start() for _ in range(4)]
    source = Source(takes_s=0.1)
    reads = (p.cache.get("key", source.load) for p in processes for _ in range(250))
    assert set(await asyncio.gather(*reads)) == {b"value"}
    assert source.loads == 1


async def test_a_failing_load_reaches_everybody_and_is_not_cached(process: Process) -> None:
    source = Source(takes_s=0.05)
    source.error = LookupError("source")
    reads = (process.cache.get("key", source.load) for _ in range(10))
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 10
    assert source.loads == 1
    source.error = None
    started = perf_counter()
    assert await process.cache.get("key", source.load) == b"value"
    assert perf_counter() - started < 1, "the lease was given back"


async def test_a_cancelled_reader_disturbs_nobody(process: Process) -> None:
    source = Source(takes_s=0.1)
    reads = [asyncio.create_task(process.cache.get("key", source.load)) for _ in range(3)]
    await source.asked.wait()
    reads[0].cancel()  # the one who began the load
    assert await asyncio.gather(*reads[1:]) == [b"value"] * 2
    assert source.loads == 1
    # and when all are gone, what they asked for is there for the next one
    source.asked.clear()
    reads = [asyncio.create_task(process.cache.get("other", source.load)) for _ in range(2)]
    await source.asked.wait()
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    assert await process.cache.get("other", source.load) == b"value"
    assert source.loads == 2


async def test_a_load_that_fails_when_all_are_gone_is_nobodys_business(process: Process) -> None:
    complaints = list[dict[str, Any]]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    source = Source(takes_s=0.05)
    source.error = LookupError("source")
    read = asyncio.create_task(process.cache.get("key", source.load))
    await source.asked.wait()
    read.cancel()
    await asyncio.sleep(0.1)
    del read
    gc.collect()
    loop.set_exception_handler(None)
    assert complaints == []


async def test_a_lease_whose_holder_died_holds_up_no_longer_than_itself(
    start: StartProcess,
) -> None:
    process = await start(lease_s=0.5)
    name = f"{process.prefix}:key"
    await process.redis.execute("SET", name, lease(new_stamp()), "PX", 500)
    source = Source()
    started = perf_counter()
    assert await process.cache.get("key", source.load) == b"value"
    assert 0.3 < perf_counter() - started < 0.9
    assert await process.cache.get("key", source.load) == b"value"
    assert source.loads == 1


async def test_a_load_that_takes_longer_than_its_lease_keeps_it(start: StartProcess) -> None:
    processes = [await start(lease_s=0.3) for _ in range(2)]
    source = Source(takes_s=0.5)
    reads = (p.cache.get("key", source.load) for p in processes)
    assert await asyncio.gather(*reads) == [b"value"] * 2
    assert source.loads == 1


async def test_who_has_waited_long_enough_loads_by_himself(start: StartProcess) -> None:
    processes = [await start(lease_s=0.2) for _ in range(2)]
    slow, source = Source(b"slow", takes_s=1.5), Source()
    stuck = asyncio.create_task(processes[0].cache.get("key", slow.load))
    await slow.asked.wait()
    async with asyncio.timeout(1):
        assert await processes[1].cache.get("key", source.load) == b"value"
    assert await stuck == b"slow"


async def test_a_hot_entry_is_refreshed_before_it_expires_and_by_one(start: StartProcess) -> None:
    processes = [await start(early=1) for _ in range(2)]
    source = Source(b"old", takes_s=0.2)
    await processes[0].cache.get("key", source.load, ttl_s=1.5)
    source.value = b"new"
    slowest, seen = 0.0, set[bytes | None]()
    until = perf_counter() + 2
    while perf_counter() < until:
        started = perf_counter()
        reads = (p.cache.get("key", source.load, ttl_s=60) for p in processes for _ in range(5))
        seen.update(await asyncio.gather(*reads))
        slowest = max(slowest, perf_counter() - started)
        await asyncio.sleep(0.005)
    assert seen == {b"old", b"new"}
    assert source.loads == 2, "exactly one refreshed"
    assert slowest < 0.15, "nobody waited for the load"


async def test_an_entry_is_refreshed_again_and_again(start: StartProcess) -> None:
    process = await start(early=1e9, lease_s=30)
    source = Source(b"0")
    await process.cache.get("key", source.load)
    async with asyncio.timeout(5):
        for value in (b"1", b"2", b"3"):
            source.value = value
            while await process.cache.get("key", source.load) != value:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def test_who_saw_what_has_been_refreshed_since_does_not_refresh_again(
    process: Process,
) -> None:
    leases, name = Leases(process.redis, CacheSettings()), f"{process.prefix}:key"
    _, first = await leases.take(name)
    assert await leases.store(name, first, b"old", 60, 0)
    seen = (await process.raw("key") or b"")[STAMP]
    assert await leases.take_refresh(name, seen)
    assert not await leases.take_refresh(name, seen), "another one has begun"
    assert await leases.store(name, seen, b"new", 60, 0)
    await leases.end_refresh(name)
    assert not await leases.take_refresh(name, seen), "another one has done it"
    assert not await leases.store(name, seen, b"old", 60, 0)


async def test_a_failing_refresh_is_not_tried_again_at_once(start: StartProcess) -> None:
    process = await start(early=1e9, lease_s=5)
    source = Source(takes_s=0.01)
    await process.cache.get("key", source.load)
    source.error = LookupError("source")
    for _ in range(50):
        assert await process.cache.get("key", source.load, ttl_s=60) == b"value"
        await asyncio.sleep(0.002)
    assert source.loads == 2


async def test_stopping_ends_what_loads_in_the_background(start: StartProcess) -> None:
    process, other = await start(), await start()
    source = Source(takes_s=30)
    read = asyncio.create_task(process.cache.get("key", source.load))
    await source.asked.wait()
    started = perf_counter()
    await process.cache.__aexit__(None, None, None)
    assert perf_counter() - started < 1
    with pytest.raises(asyncio.CancelledError):
        await read
    assert await other.cache.get("key", Source().load) == b"value"
    assert perf_counter() - started < 2, "the lease was given back"
