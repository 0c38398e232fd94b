"""Who guesses waits longer each time, per account and per address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from secrets import token_hex

import pytest
from pydantic import SecretStr
from starlette.types import Scope

from app.http.errors import Unavailable
from app.redis import RedisClient
from app.redis import RedisSettings
from app.sessions import Throttle
from app.sessions.throttle import FREE_OF_ACCOUNT
from app.sessions.throttle import FREE_OF_ADDRESS
from app.sessions.throttle import LONGEST_OF_ACCOUNT_S
from tests.redis.private import PrivateRedis

pytestmark = pytest.mark.anyio


def at(address: str) -> Scope:
    return {"client": (address, 5000)}


@pytest.fixture
async def redis(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[RedisClient]:
    """A client of the tests' Redis."""
    async with RedisClient(RedisSettings()) as client:
        yield client


@pytest.fixture
def throttle(redis: RedisClient) -> Throttle:
    """One that knows nobody."""
    return Throttle(redis, token_hex(4))


async def forget_waiting(redis: RedisClient) -> None:
    """Let the time pass that everybody has to wait."""
    for key in await redis.execute("KEYS", "*attempts*"):
        await redis.execute("HDEL", key, "wait")


async def test_an_account_is_guessed_slower_and_slower_from_wherever(
    redis: RedisClient, throttle: Throttle
) -> None:
    for n in range(FREE_OF_ACCOUNT):
        assert await throttle.attempt(at(f"192.0.2.{n}"), "ann@example.com") == 0
    waits = []
    for n in range(10):
        waits.append(await throttle.attempt(at(f"198.51.100.{n}"), "Ann@Example.com"))
        await forget_waiting(redis)
        assert await throttle.attempt(at(f"203.0.113.{n}"), "ann@example.com") == 0
    assert waits == [1, 2, 4, 8, 16, 32, *[LONGEST_OF_ACCOUNT_S] * 4]
    assert await throttle.attempt(at("192.0.2.1"), "bob@example.com") == 0


async def test_an_address_guesses_slower_and_slower_whoever_is_guessed(
    throttle: Throttle,
) -> None:
    for n in range(FREE_OF_ADDRESS):
        assert await throttle.attempt(at("2001:db8::1"), f"user{n}") == 0
    assert await throttle.attempt(at("2001:db8::2"), "another") == 1
    assert await throttle.attempt(at("2001:db8:0:1::1"), "another") == 0


async def test_many_at_once_are_counted_before_they_fail(throttle: Throttle) -> None:
    waits = await asyncio.gather(*(throttle.attempt(at("192.0.2.1"), "ann") for _ in range(50)))
    assert waits.count(0) == FREE_OF_ACCOUNT


async def test_success_gives_back_the_account_but_not_the_address(throttle: Throttle) -> None:
    """Who has an account of their own does not guess others' for free by logging in between."""
    for n in range(FREE_OF_ADDRESS // 2):
        assert await throttle.attempt(at("192.0.2.1"), f"victim{n}") == 0
        for _ in range(3):
            assert await throttle.attempt(at("192.0.2.1"), "own") == 0
            await throttle.succeeded(at("192.0.2.1"), "own")
    for n in range(FREE_OF_ADDRESS // 2):
        assert await throttle.attempt(at("192.0.2.1"), f"other{n}") == 0
    assert await throttle.attempt(at("192.0.2.1"), "one more") == 1


async def test_what_is_undone_does_not_count(redis: RedisClient, throttle: Throttle) -> None:
    for _ in range(2 * FREE_OF_ADDRESS):
        assert await throttle.attempt(at("192.0.2.1"), "ann") == 0
        await throttle.undone(at("192.0.2.1"), "ann")
    for _ in range(FREE_OF_ACCOUNT):
        assert await throttle.attempt(at("192.0.2.1"), "ann") == 0
    assert await throttle.attempt(at("192.0.2.1"), "ann") == 1
    await forget_waiting(redis)
    assert await throttle.attempt(at("192.0.2.1"), "ann") == 0
    await throttle.undone(at("192.0.2.1"), "ann")
    assert await throttle.attempt(at("192.0.2.1"), "ann") == 2, "there are five others"


async def test_a_wait_ends(throttle: Throttle) -> None:
    for _ in range(FREE_OF_ACCOUNT):
        await throttle.attempt(at("192.0.2.1"), "ann")
    assert await throttle.attempt(at("192.0.2.1"), "ann") == 1
    await asyncio.sleep(1.05)
    assert await throttle.attempt(at("192.0.2.1"), "ann") == 0


async def test_with_redis_away_nobody_guesses(private: PrivateRedis) -> None:
    private.kill()
    async with RedisClient(RedisSettings(url=SecretStr(private.url))) as away:
        with pytest.raises(Unavailable):
            await Throttle(away, "x").attempt(at("192.0.2.1"), "ann")
