"""Caches as several processes have them: each with a client of its own, on one Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from app.cache import Cache
from app.cache import CacheSettings
from app.redis import RedisClient
from app.redis import RedisSettings
from tests.redis.private import PrivateRedis


class Source:
    """Something to load from, that counts how often it is asked."""

    def __init__(self, value: bytes | None = b"value", takes_s: float = 0.0) -> None:
        self.value = value
        self.takes_s = takes_s
        self.loads = 0
        self.error: Exception | None = None
        self.asked = asyncio.Event()

    async def load(self) -> bytes | None:
        """The value as it is when the load begins."""
        self.loads += 1
        self.asked.set()
        found = self.value
        await asyncio.sleep(self.takes_s)
        if self.error:
            raise self.error
        return found


class Process:
    """What one process of the service has."""

    def __init__(self, redis: RedisClient, cache: Cache, prefix: str) -> None:
        self.redis = redis
        self.cache = cache
        self.prefix = prefix

    async def raw(self, key: str) -> bytes | None:
        """What stands in Redis at a key of the cache."""
        held: bytes | None = await self.redis.execute("GET", f"{self.prefix}:{key}")
        return held

    async def lives_ms(self, key: str) -> int:
        """How long it stands there yet."""
        left: int = await self.redis.execute("PTTL", f"{self.prefix}:{key}")
        return left


type StartProcess = Callable[..., Awaitable[Process]]


async def nothing_pending() -> None:
    """Returns when every deletion has been sent."""
    async with asyncio.timeout(5):
        while REGISTRY.get_sample_value("cache_pending_invalidations"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture
async def start(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[StartProcess]:
    """Starts a process on the tests' Redis, or on `url`, with these settings of the cache.

    It has `seconds_left` when it is asked to end.
    """
    prefix = token_hex(8)
    async with AsyncExitStack() as stack:

        async def start_process(
            url: str = servers["REDIS_URL"],
            timeout_s: float = 2.0,
            seconds_left: float = 2.0,
            **settings: Any,
        ) -> Process:
            redis_settings = RedisSettings(url=SecretStr(url), timeout_s=timeout_s)
            redis = await stack.enter_async_context(RedisClient(redis_settings))
            chosen = CacheSettings(**{"prefix": prefix, **settings})
            cache = Cache(redis, chosen, lambda: seconds_left)
            await stack.enter_async_context(cache)
            return Process(redis, cache, chosen.prefix)

        yield start_process


@pytest.fixture
async def process(start: StartProcess) -> Process:
    """One process on the tests' Redis."""
    return await start()


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A redis-server of this test's own, running."""
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()
