"""Copies of what stands in Redis, in several processes: each with a client of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.cache import Cache
from app.cache import CacheSettings
from app.local_cache import with_cache
from app.local_cache.with_cache import NearCache
from app.redis import RedisClient
from app.redis import RedisSettings
from tests.local_cache.conftest import BOUNDS
from tests.local_cache.conftest import Source
from tests.local_cache.conftest import counted
from tests.redis.private import PrivateRedis

pytestmark = pytest.mark.anyio


class Process:
    """What one process of the service has; it reads from the source through both caches."""

    def __init__(self, redis: RedisClient, cache: Cache, near: NearCache) -> None:
        self.redis = redis
        self.cache = cache
        self.near = near

    async def get(self, key: str, source: Source) -> Any:
        """The value of a key."""
        return await self.near.get(key, partial(self.cache.get, key, source.load))  # type: ignore[arg-type]

    async def delete(self, key: str) -> None:
        """Forget a key that was changed."""
        await self.cache.delete(key)
        self.near.delete(key)

    @property
    def tracks(self) -> bool:
        """Whether it may serve copies."""
        return self.near._tracking.trusted_until > monotonic()

    async def has_heard(self) -> None:
        """Returns when it has heard of everything that has happened by now."""
        trusted_s = monotonic() + with_cache.TRUST_S
        await until(lambda: self.near._tracking.trusted_until > trusted_s)

    def holds(self, key: str) -> bool:
        """Whether it has a copy."""
        return key in self.near._store._entries

    async def copy(self, key: str, source: Source) -> None:
        """Read until there is a copy."""
        async with asyncio.timeout(5):
            while not self.holds(key):
                await self.get(key, source)
                await asyncio.sleep(0.01)


type Start = Callable[..., Awaitable[Process]]


async def until(true: Callable[[], object], seconds: float = 5) -> None:
    """Returns when it holds."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A redis-server of this test's own, running."""
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def start(private: PrivateRedis, anyio_backend: str) -> AsyncIterator[Start]:
    """Starts a process, which tracks unless it is not to wait for that."""
    async with AsyncExitStack() as stack:

        async def start_process(url: str = private.url, tracks: bool = True) -> Process:
            enter = stack.enter_async_context
            redis = await enter(RedisClient(RedisSettings(url=SecretStr(url), timeout_s=2)))
            cache = await enter(Cache(redis, CacheSettings(prefix="t", early=0), lambda: 2.0))
            near = await enter(NearCache(BOUNDS, cache, redis, "t"))
            process = Process(redis, cache, near)
            await process.get("first", Source())
            if tracks:
                await until(lambda: process.tracks)
            return process

        yield start_process


async def test_what_stands_in_redis_is_copied_and_redis_is_asked_no_more(
    start: Start, private: PrivateRedis
) -> None:
    process, source = await start(), Source()
    await process.copy("key", source)
    before = REGISTRY.get_sample_value("redis_commands_total")
    assert [await process.get("key", source) for _ in range(100)] == [b"value"] * 100
    assert REGISTRY.get_sample_value("redis_commands_total") == before
    assert source.loads == 1


async def test_none_is_copied_too(start: Start) -> None:
    process, source = await start(), Source(None)
    await process.copy("key", source)
    assert await process.get("key", source) is None
    assert source.loads == 1


async def test_an_invalidation_reaches_every_process(start: Start) -> None:
    processes, source = [await start() for _ in range(3)], Source(b"0")
    for n in range(1, 30):
        for process in processes:
            await process.copy("key", source)
        source.value = b"%d" % n
        await processes[n % 3].delete("key")
        assert await processes[n % 3].get("key", source) == source.value, "at once where it is made"
        await until(lambda: not any(process.holds("key") for process in processes[1:]), 1)
        for process in processes:
            assert await process.get("key", source) == source.value


@pytest.mark.parametrize(
    "change",
    [
        ("UNLINK", "t:key"),
        ("SET", "t:key", "somebody else's"),
        ("PEXPIRE", "t:key", 1),
        ("FLUSHALL",),
    ],
)
async def test_whatever_happens_to_the_entry_ends_the_copy(
    start: Start, change: tuple[str | int, ...]
) -> None:
    process, source = await start(), Source()
    await process.copy("key", source)
    await process.redis.execute(*change)
    await until(lambda: not process.holds("key"), 1)


async def test_a_pattern_ends_the_copies(start: Start) -> None:
    process, other, source = await start(), await start(), Source()
    for key in ("user:1", "user:2", "item:1"):
        await other.copy(key, source)
    await process.cache.delete_pattern("user:*")
    await until(lambda: not other.holds("user:1") and not other.holds("user:2"), 1)
    assert other.holds("item:1")


async def test_changes_of_others_keys_are_not_even_heard(start: Start) -> None:
    process, source = await start(), Source()
    await process.copy("key", source)
    for name in ("key", "t2:key", "u:key"):
        await process.redis.execute("SET", name, "x")
    await asyncio.sleep(0.1)
    assert process.holds("key")


async def test_a_load_that_an_invalidation_overtakes_is_not_copied(start: Start) -> None:
    """The invalidation is another process's, and comes while the value is on its way."""
    process, other = await start(), await start()
    source = Source(b"old", takes_s=0.2)
    reading = asyncio.create_task(process.get("key", source))
    await source.asked.wait()
    source.value, source.takes_s = b"new", 0
    await other.delete("key")
    assert await reading == b"old", "asked before"
    assert not process.holds("key")
    assert await process.get("key", source) == b"new"


async def test_what_redis_holds_when_an_invalidation_overtakes_it_is_not_copied(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to GET was sent before the deletion, and is looked at after it."""
    process, other, source = await start(), await start(), Source(b"old")
    await other.get("key", source)
    peek, deleted = process.cache.peek, asyncio.Event()

    async def slowly(key: str) -> tuple[bool, bytes | None]:
        found = await peek(key)
        await deleted.wait()
        return found

    monkeypatch.setattr(process.cache, "peek", slowly)
    reading = asyncio.create_task(process.get("key", source))
    await asyncio.sleep(0.1)
    source.value = b"new"
    await other.delete("key")
    await asyncio.sleep(0.1)
    deleted.set()
    assert await reading == b"old"
    assert not process.holds("key")
    assert await process.get("key", source) == b"new"


async def test_no_reader_sees_what_is_older_than_the_last_invalidation(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers and writers in three processes, which have heard of all that was before a PING."""
    monkeypatch.setattr(with_cache, "PING_S", 0.01)
    processes = [await start() for _ in range(3)]
    versions, sources = dict.fromkeys("abcd", 0), {key: Source(b"0") for key in "abcd"}
    for source in sources.values():
        source.takes_s = 0.001
    random, stopped, hits = Random(1), False, 0

    async def read(process: Process, key: str) -> None:
        nonlocal hits
        while not stopped:
            oldest = versions[key]
            hits += process.holds(key)
            assert int(await process.get(key, sources[key])) >= oldest
            await asyncio.sleep(0)

    async def write() -> None:
        for n in range(1, 200):
            key = random.choice("abcd")
            sources[key].value = b"%d" % n
            await random.choice(processes).delete(key)
            await asyncio.gather(*(process.has_heard() for process in processes))
            versions[key] = n

    readers = [asyncio.create_task(read(one, key)) for one in processes for key in versions]
    await write()
    stopped = True
    await asyncio.gather(*readers)
    assert hits > 500


async def test_a_lost_connection_empties_the_copies(start: Start, private: PrivateRedis) -> None:
    process, source = await start(), Source(b"old")
    await process.copy("key", source)
    private.kill()
    await until(lambda: not process.holds("key"), 1)
    assert not process.tracks
    source.value = b"new"
    assert await process.get("key", source) == b"new"
    assert not process.holds("key"), "nothing is copied meanwhile"
    private.start()
    await until(lambda: process.tracks)
    await process.copy("key", source)
    assert await process.get("key", source) == b"new"


async def test_a_connection_that_redis_ends_empties_the_copies(start: Start) -> None:
    process, source = await start(), Source()
    await process.copy("key", source)
    await process.redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: not process.holds("key"), 1)
    await until(lambda: process.tracks)


async def test_a_network_that_is_silent_is_no_excuse(start: Start, private: PrivateRedis) -> None:
    """Redis is frozen, so no invalidation comes, nor an error: after a second no copy is served."""
    process, other, source = await start(), await start(), Source(b"old")
    await process.copy("key", source)
    await other.redis.client.client_pause(60_000)  # not even a PING is answered
    await asyncio.sleep(with_cache.TRUST_S)
    source.value = b"new"
    assert await process.get("key", source) == b"new"
    await until(lambda: not process.holds("key"), with_cache.LOST_S + 1)


async def test_copies_outlive_a_pause_of_redis_that_is_short(start: Start) -> None:
    process, source = await start(), Source()
    await process.copy("key", source)
    await process.redis.client.client_pause(500)
    await asyncio.sleep(0.8)
    await until(lambda: process.tracks, 1)
    assert process.holds("key")


async def test_while_redis_may_hold_what_is_deleted_nothing_is_copied(
    start: Start, private: PrivateRedis
) -> None:
    """Who may not delete does not read from Redis, and copies nothing that nobody would end."""
    admin = await start()
    await admin.redis.client.acl_setuser(
        "svc",
        enabled=True,
        nopass=True,
        keys=["*"],
        channels=["*"],
        categories=["+@all"],
        commands=["-unlink"],
    )
    process = await start(private.url.replace("//", "//svc:any@"))
    source = Source(b"old")
    await process.copy("key", source)
    source.value = b"new"
    await process.delete("key")
    for _ in range(3):
        assert await process.get("key", source) == b"new"
        assert not process.holds("key")


@pytest.mark.parametrize("commands", [["-client|tracking"], ["-client"], ["-subscribe"]])
async def test_a_redis_that_does_not_tell_is_no_error(
    start: Start, private: PrivateRedis, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_cache, "RETRY_S", 0.05)
    admin = await start()
    await admin.redis.client.acl_setuser(
        "svc",
        enabled=True,
        nopass=True,
        keys=["*"],
        channels=["*"],
        categories=["+@all"],
        commands=commands,
    )
    with capture_logs() as logs:
        process = await start(private.url.replace("//", "//svc:any@"), tracks=False)
        source = Source()
        await asyncio.sleep(0.5)
        before = counted("misses_total", "near")
        assert [await process.get("key", source) for _ in range(3)] == [b"value"] * 3
    assert counted("misses_total", "near") == before + 3
    assert not process.holds("key")
    assert source.loads == 1
    assert [line["event"] for line in logs] == ["local_cache_not_tracking"], "said once"


async def test_who_never_reads_has_no_connection(private: PrivateRedis) -> None:
    redis = RedisClient(RedisSettings(url=SecretStr(private.url)))
    async with redis, Cache(redis, CacheSettings(), lambda: 2.0) as cache:
        async with NearCache(BOUNDS, cache, redis, "t"):
            clients = await redis.client.client_list()
        assert len(clients) == 1


async def test_the_end_closes_the_connection(start: Start) -> None:
    process, other = await start(), await start()
    await process.near.__aexit__(None, None, None)
    await until(lambda: not process.tracks)
    clients = await other.redis.client.client_list(_type="pubsub")
    assert len(clients) == 1
