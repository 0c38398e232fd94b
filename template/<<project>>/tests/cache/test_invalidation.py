"""What was deleted is not served, whatever was under way and whatever Redis does meanwhile."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.cache import invalidation
from app.unit_of_work import UnitOfWork
from tests.cache.conftest import Process
from tests.cache.conftest import Source
from tests.cache.conftest import StartProcess
from tests.cache.conftest import nothing_pending
from tests.redis.private import PrivateRedis

pytestmark = pytest.mark.anyio


async def test_after_delete_everybody_loads_anew(start: StartProcess) -> None:
    processes = [await start() for _ in range(2)]
    source = Source(b"old")
    await processes[0].cache.get("key", source.load)
    source.value = b"new"
    await processes[1].cache.delete("key", "never there")
    assert [await p.cache.get("key", source.load) for p in processes] == [b"new"] * 2
    await processes[0].cache.delete()


@pytest.mark.parametrize("by", ["delete", "pattern", "many"])
async def test_a_load_under_way_does_not_store_what_it_found(start: StartProcess, by: str) -> None:
    reader, writer = await start(), await start()
    source = Source(b"old", takes_s=0.2)

    async def load_many(missing: list[str]) -> dict[str, bytes | None]:
        return {key: await source.load() for key in missing}

    async def read() -> bytes | None:
        if by == "many":
            return (await reader.cache.get_many(["key"], load_many))[0]
        return await reader.cache.get("key", source.load)

    slow = asyncio.create_task(read())
    await source.asked.wait()
    source.value = b"new"
    if by == "pattern":
        await writer.cache.delete_pattern("k*")
    else:
        await writer.cache.delete("key")
    assert await slow == b"old"
    assert await reader.raw("key") is None
    assert await reader.cache.get("key", source.load) == b"new"


@pytest.mark.parametrize("by", ["delete", "pattern"])
async def test_who_asks_after_delete_does_not_join_an_older_load(process: Process, by: str) -> None:
    source = Source(b"old", takes_s=0.2)
    before = asyncio.create_task(process.cache.get("key", source.load))
    await source.asked.wait()
    source.value = b"new"
    if by == "pattern":
        await process.cache.delete_pattern("*")
    else:
        await process.cache.delete("key")
    assert await process.cache.get("key", source.load) == b"new"
    assert await before == b"old"
    assert await process.cache.get("key", Source().load) == b"new"


async def test_a_refresh_under_way_does_not_store_what_it_found(start: StartProcess) -> None:
    process = await start(early=1e9)
    source = Source(b"old", takes_s=0.1)
    await process.cache.get("key", source.load)
    source.asked.clear()
    await process.cache.get("key", source.load, ttl_s=60)  # begins a refresh
    await source.asked.wait()
    source.value = b"new"
    await process.cache.delete("key")
    await asyncio.sleep(0.15)  # the refresh ends
    assert await process.raw("key") is None
    assert await process.cache.get("key", source.load) == b"new"


async def test_a_cancelled_delete_is_done_all_the_same(process: Process) -> None:
    await process.cache.get("key", Source(b"old").load)
    deleting = asyncio.create_task(process.cache.delete("key"))
    await asyncio.sleep(0)
    deleting.cancel()
    await asyncio.gather(deleting, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert await process.raw("key") is None
    assert REGISTRY.get_sample_value("cache_pending_invalidations") == 0


async def test_a_cancelled_delete_that_failed_is_pending(
    start: StartProcess, private: PrivateRedis
) -> None:
    process = await start(private.url, timeout_s=0.2)
    await process.redis.ping()
    await process.redis.client.client_pause(500)
    deleting = asyncio.create_task(process.cache.delete("key"))
    await asyncio.sleep(0.05)
    deleting.cancel()
    await asyncio.sleep(0.3)
    assert REGISTRY.get_sample_value("cache_pending_invalidations") == 1
    await nothing_pending()


async def test_a_pattern_deletes_what_matches_without_keys(
    start: StartProcess, private: PrivateRedis
) -> None:
    process = await start(private.url, prefix="odd[a-z]*?\\prefix")
    redis = process.redis
    mine = [f"{process.prefix}:user:{n}" for n in range(10_000)]
    others = [f"{process.prefix}:item:1", "oddaxprefix:user:1", "user:1"]
    for name in (*mine, *others):
        redis.execute("SET", name, b"")
    await redis.ping()
    await process.cache.delete_pattern("user:*")
    left = await redis.execute("KEYS", "*")
    assert {name.decode() for name in left} == set(others)
    commands = await redis.client.info("commandstats")
    assert commands["cmdstat_keys"]["calls"] == 1, "this test's own"
    assert commands["cmdstat_scan"]["calls"] >= 10
    assert "cmdstat_del" not in commands


async def test_a_namespace_is_forgotten_in_one_step(start: StartProcess) -> None:
    one, two = [(await start()).cache.namespace("items") for _ in range(2)]
    source = Source(b"old")
    assert {await ns.get(key, source.load) for ns in (one, two) for key in "abc"} == {b"old"}
    assert source.loads == 3
    source.value = b"new"
    await one.invalidate()
    assert {await ns.get(key, source.load) for ns in (two, one) for key in "abc"} == {b"new"}
    assert source.loads == 6
    source.value = b"newest"
    await two.delete("a")
    assert [await one.get(key, source.load) for key in "ab"] == [b"newest", b"new"]
    late = (await start()).cache.namespace("items")
    await late.delete("b")
    assert await one.get("b", source.load) == b"newest"


async def test_a_load_under_way_in_a_namespace_is_not_found_after_invalidation(
    start: StartProcess,
) -> None:
    one, two = [(await start()).cache.namespace("items") for _ in range(2)]
    source = Source(b"old", takes_s=0.2)
    slow = asyncio.create_task(one.get("a", source.load))
    await source.asked.wait()
    source.value = b"new"
    await two.invalidate()
    assert await one.get("a", source.load) == b"new"
    assert await slow == b"old"
    assert await two.get("a", Source().load) == b"new"


async def test_a_namespace_whose_version_redis_lost_finds_nothing_old(process: Process) -> None:
    namespace = process.cache.namespace("items")
    await namespace.get("a", Source(b"old").load)
    await process.redis.execute("DEL", f"{process.prefix}:@items")
    assert await namespace.get("a", Source(b"new").load) == b"new"


async def test_a_pending_deletion_is_sent_when_redis_is_back(
    start: StartProcess, private: PrivateRedis
) -> None:
    """Redis goes on serving others, but not the one who deletes: its old value survives."""
    process, other = await start(private.url, timeout_s=0.2), await start(private.url)
    namespace = process.cache.namespace("items")
    source = Source(b"old")
    await process.cache.get("key", source.load)
    await namespace.get("a", source.load)
    await other.redis.client.client_pause(1000)
    source.value = b"new"
    await process.cache.delete("key")
    await namespace.invalidate()
    assert REGISTRY.get_sample_value("cache_pending_invalidations") == 2
    await asyncio.sleep(1)
    for _ in range(100):
        # at no time the old one, also while Redis is back and the deletion is not yet sent
        assert await process.cache.get("key", source.load) == b"new"
        assert await namespace.get("a", source.load) == b"new"
        await asyncio.sleep(0.01)
    assert REGISTRY.get_sample_value("cache_pending_invalidations") == 0
    assert await other.cache.get("key", source.load) == b"new"
    loads = source.loads
    assert await process.cache.get("key", source.load) == b"new"
    assert source.loads == loads, "and it is cached again"


async def test_too_many_pending_deletions_become_one_of_everything(
    start: StartProcess, private: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidation, "MOST_PENDING", 10)
    process, other = await start(private.url, timeout_s=0.2), await start(private.url)
    await other.redis.execute("SET", "of another service", "1")
    for n in range(20):
        await other.cache.get(f"key:{n}", Source(b"old").load)
    await other.redis.client.client_pause(500)
    for n in range(20):
        await process.cache.delete(f"key:{n}")
    assert REGISTRY.get_sample_value("cache_pending_invalidations") == 10
    await nothing_pending()
    assert await other.redis.client.keys("*") == [b"of another service"]


async def test_a_process_that_ends_goes_on_trying(
    start: StartProcess, private: PrivateRedis
) -> None:
    """Redis is back two seconds later, as after a failover: the old value does not outlive it."""
    ending = await start(private.url, timeout_s=0.2, seconds_left=20)
    other = await start(private.url)
    await ending.cache.get("key", Source(b"old").load)
    await other.redis.client.client_pause(2000)
    await ending.cache.delete("key")
    with capture_logs() as logs:
        await ending.cache.__aexit__(None, None, None)
    assert [line["event"] for line in logs] == ["redis_available", "cache_trusted"]
    assert await other.raw("key") is None


async def test_a_process_that_has_no_time_left_says_what_is_lost(start: StartProcess) -> None:
    ending = await start("redis://127.0.0.1:1/0", seconds_left=0.2)
    await ending.cache.delete("key", "other")
    with capture_logs() as logs:
        async with asyncio.timeout(2):
            await ending.cache.__aexit__(None, None, None)
    assert logs == [{"event": "cache_invalidations_lost", "log_level": "error", "count": 2}]


@pytest.mark.parametrize("by", ["delete", "pattern", "namespace", "version"])
async def test_what_is_not_committed_yet_is_deleted_once_more_when_it_is(
    start: StartProcess, by: str
) -> None:
    """Between the deletion and the commit, somebody else still reads and stores what was."""
    reader, writer = await start(), await start()
    source = Source(b"old")
    reads, deletes = reader.cache, writer.cache
    act: Any = {
        "delete": lambda: deletes.delete("key"),
        "pattern": lambda: deletes.delete_pattern("k*"),
        "namespace": lambda: deletes.namespace("all").delete("key"),
        "version": lambda: deletes.namespace("all").invalidate(),
    }[by]
    read = reads.namespace("all").get if by in ("namespace", "version") else reads.get
    work = UnitOfWork()
    with work.begun():
        await act()
        assert await read("key", source.load) == b"old"
        source.value = b"new"
    await work.committed()
    assert await read("key", source.load) == b"new"
