"""Clients of the tests' Redis, and servers to be maltreated."""

from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from pydantic import SecretStr

from app.redis import RedisClient
from app.redis import RedisSettings
from tests.redis.private import PrivateRedis


@pytest.fixture
async def redis(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[RedisClient]:
    """A client of the tests' Redis."""
    async with RedisClient(RedisSettings(url=SecretStr(servers["REDIS_URL"]))) as client:
        yield client


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"test:{token_hex(8)}"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A redis-server of this test's own, running."""
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def private_with(tmp_path: Path) -> Iterator[Callable[..., PrivateRedis]]:
    """Makes a redis-server with these options; it is not yet started."""
    made: list[PrivateRedis] = []

    def make(*options: str) -> PrivateRedis:
        made.append(PrivateRedis(tmp_path, options))
        return made[-1]

    yield make
    for server in made:
        server.kill()
