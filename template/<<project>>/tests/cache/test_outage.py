"""Redis away: slower, never an error and never wrong."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from tests.cache.conftest import Source
from tests.cache.conftest import StartProcess
from tests.cache.conftest import nothing_pending
from tests.redis.private import PrivateRedis

pytestmark = pytest.mark.anyio


async def test_redis_killed_and_back_is_no_error(
    start: StartProcess, private: PrivateRedis
) -> None:
    process = await start(private.url, timeout_s=0.3)
    versions = dict.fromkeys(range(10), 0)
    deleted = dict(versions)  # the version up to which the deletion is complete
    stopped = False

    async def read(n: int) -> int:
        async def load() -> bytes:
            found = versions[n]
            await asyncio.sleep(0.001)
            return b"%d" % found

        reads = 0
        while not stopped:
            oldest = deleted[n]
            value = await process.cache.get(f"key:{n}", load)
            assert value is not None
            assert oldest <= int(value) <= versions[n]
            reads += 1
        return reads

    async def change() -> None:
        for n in versions:
            versions[n] += 1
            await process.cache.delete(f"key:{n}")
            deleted[n] = versions[n]

    readers = [asyncio.create_task(read(n)) for n in versions for _ in range(5)]
    for _ in range(2):
        await asyncio.sleep(0.3)
        await change()
        private.kill()
        await change()
        await asyncio.sleep(0.3)
        await change()
        private.start()
        await change()
        async with asyncio.timeout(5):
            await process.redis.until_available()
        await change()
    await asyncio.sleep(0.3)
    stopped = True
    assert min(await asyncio.gather(*readers)) > 10
    assert REGISTRY.get_sample_value("cache_pending_invalidations") == 0


async def test_with_redis_away_a_process_still_loads_once(start: StartProcess) -> None:
    process = await start("redis://127.0.0.1:1/0")
    source = Source(takes_s=0.1)
    for _ in range(2):
        reads = (process.cache.get("key", source.load) for _ in range(500))
        assert set(await asyncio.gather(*reads)) == {b"value"}
    assert source.loads == 2

    async def load_many(missing: list[str]) -> dict[str, bytes | None]:
        return {key: key.encode() for key in missing}

    assert await process.cache.get_many(["b", "a"], load_many) == [b"b", b"a"]
    namespace = process.cache.namespace("items")
    assert await namespace.get("a", source.load) == b"value"
    await namespace.delete("a")
    await namespace.invalidate()
    await process.cache.delete_pattern("*")
    assert await namespace.get("a", source.load) == b"value"


async def test_with_redis_away_a_namespace_is_forgotten_too(start: StartProcess) -> None:
    namespace = (await start("redis://127.0.0.1:1/0")).cache.namespace("items")
    source = Source(b"old", takes_s=0.2)
    before = asyncio.create_task(namespace.get("a", source.load))
    await source.asked.wait()
    source.value = b"new"
    await namespace.invalidate()
    assert await namespace.get("a", source.load) == b"new"
    assert await before == b"old"


async def test_a_redis_that_refuses_to_write_is_no_error(
    start: StartProcess, private: PrivateRedis
) -> None:
    process = await start(private.url)
    await process.cache.get("key", Source(b"old").load)
    await process.redis.client.config_set("maxmemory", "1")
    assert await process.cache.get("key", Source(b"new").load) == b"old"
    assert await process.cache.get("other", Source().load) == b"value"


async def test_a_deletion_that_redis_refuses_is_never_undone(
    start: StartProcess, private: PrivateRedis
) -> None:
    """A user without the right to delete: the cache is out of use, the answers are right."""
    admin = await start(private.url)
    await admin.redis.client.acl_setuser(
        "svc", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-unlink"]
    )
    process = await start(private.url.replace("//", "//svc:any@"))
    source = Source(b"old")
    await process.cache.get("key", source.load)
    source.value = b"new"
    await process.cache.delete("key")
    assert await process.cache.get("key", source.load) == b"new"
    await admin.redis.client.acl_setuser("svc", commands=["+unlink"])
    await nothing_pending()
    assert await process.cache.get("key", source.load) == b"new"
    assert await process.raw("key") is not None
