"""Limits as several processes have them: each with a client of its own, on one Redis."""

from __future__ import annotations

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

from app.rate_limit import RateLimits
from app.rate_limit import RateLimitSettings
from app.redis import RedisClient
from app.redis import RedisSettings
from tests.redis.private import PrivateRedis


class Process:
    """What one process of the service has."""

    def __init__(self, redis: RedisClient, limits: RateLimits, prefix: str) -> None:
        self.redis = redis
        self.limits = limits
        self.prefix = prefix


type StartProcess = Callable[..., Awaitable[Process]]


def decisions(decision: str, by: str) -> float:
    """How many were taken so far."""
    labels = {"decision": decision, "by": by}
    return REGISTRY.get_sample_value("rate_limit_decisions_total", labels) or 0


@pytest.fixture
async def start(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[StartProcess]:
    """Starts a process on the tests' Redis, or on `url`, with these settings of the limits."""
    prefix = token_hex(8)
    async with AsyncExitStack() as stack:

        async def start_process(
            url: str = servers["REDIS_URL"], timeout_s: float = 2.0, **settings: Any
        ) -> Process:
            redis_settings = RedisSettings(url=SecretStr(url), timeout_s=timeout_s)
            redis = await stack.enter_async_context(RedisClient(redis_settings))
            chosen = RateLimitSettings(**{"prefix": prefix, **settings})
            limits = await stack.enter_async_context(RateLimits(redis, chosen))
            return Process(redis, limits, prefix)

        yield start_process


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A redis-server of this test's own, running."""
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()
