"""Commands of concurrent callers go out together, and each caller has its own reply."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis.exceptions import ResponseError

from app.redis import Argument
from app.redis import RedisClient
from app.redis import RedisSettings
from app.redis import RedisUnavailable
from app.redis.client import MAX_BATCH
from app.redis.client import TURNS
from tests.redis.private import PrivateRedis

pytestmark = pytest.mark.anyio


def batches() -> float:
    """How many were sent so far."""
    return REGISTRY.get_sample_value("redis_batches_total") or 0


async def test_concurrent_commands_share_one_batch(redis: RedisClient, key: str) -> None:
    before = batches()
    numbers = await asyncio.gather(*(redis.execute("INCR", key) for _ in range(100)))
    assert sorted(numbers) == list(range(1, 101))
    assert batches() - before == 1


async def test_a_batch_is_bounded(redis: RedisClient, key: str) -> None:
    before = batches()
    await asyncio.gather(*(redis.execute("INCR", key) for _ in range(3 * MAX_BATCH + 1)))
    assert batches() - before == 4
    assert await redis.execute("GET", key) == b"%d" % (3 * MAX_BATCH + 1)


async def test_commands_collect_while_batches_are_under_way(private: PrivateRedis) -> None:
    settings = RedisSettings(url=SecretStr(private.url), in_flight=2, timeout_s=5)
    async with RedisClient(settings) as redis:
        await redis.ping()
        before = batches()
        # the server answers nobody for a while
        await redis.client.client_pause(300)
        replies = []
        for _ in range(20):
            replies.append(redis.execute("INCR", "n"))
            await asyncio.sleep(0.005)
        assert sorted(await asyncio.gather(*replies)) == list(range(1, 21))
        assert batches() - before == 3


async def test_a_busy_loop_collects_for_some_turns(private: PrivateRedis) -> None:
    async with RedisClient(RedisSettings(url=SecretStr(private.url), timeout_s=5)) as redis:
        await redis.ping()
        await redis.client.client_pause(300)
        before, replies = batches(), [redis.execute("INCR", "n")]
        await asyncio.sleep(0.01)
        for _ in range(1 + TURNS):  # one for the first of them to be asked for
            replies.append(redis.execute("INCR", "n"))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        replies.append(redis.execute("INCR", "n"))
        assert sorted(await asyncio.gather(*replies)) == list(range(1, 4 + TURNS))
        assert batches() - before == 3


async def test_no_more_batches_are_under_way_than_said(private: PrivateRedis) -> None:
    settings = RedisSettings(url=SecretStr(private.url), in_flight=2, timeout_s=5)
    async with RedisClient(settings) as redis:
        await redis.ping()
        await redis.client.client_pause(200)
        before = batches()
        replies = [redis.execute("INCR", "n") for _ in range(8 * MAX_BATCH)]
        await asyncio.sleep(0.05)
        assert batches() - before == 2
        assert sorted(await asyncio.gather(*replies)) == list(range(1, 8 * MAX_BATCH + 1))
        assert batches() - before == 8


async def test_one_connection_has_them_all(private: PrivateRedis) -> None:
    settings = RedisSettings(url=SecretStr(private.url), in_flight=2, timeout_s=5)
    async with RedisClient(settings) as redis:
        await asyncio.gather(*(redis.execute("INCR", "n") for _ in range(8 * MAX_BATCH)))
        assert await redis.execute("GET", "n") == b"%d" % (8 * MAX_BATCH)
        clients = await redis.client.info("clients")
    assert clients["connected_clients"] == 1 + 1


async def test_an_error_stays_with_its_caller(redis: RedisClient, key: str) -> None:
    await redis.execute("SET", key, "text")
    replies = await asyncio.gather(
        redis.execute("GET", key),
        redis.execute("INCR", key),
        redis.execute("GET", key),
        redis.execute("NO SUCH COMMAND"),
        redis.execute("GET", key),
        return_exceptions=True,
    )
    assert [*replies[::2]] == [b"text"] * 3
    assert isinstance(replies[1], ResponseError)
    assert isinstance(replies[3], ResponseError)
    assert redis.available


async def test_an_argument_that_cannot_be_sent_disturbs_nobody(
    redis: RedisClient, key: str
) -> None:
    other = redis.execute("SET", key, b"\x00\xff")
    with pytest.raises(TypeError):
        redis.execute("SET", key, None)  # type: ignore[arg-type]
    await other
    assert await redis.execute("GET", key) == b"\x00\xff"


async def test_a_cancelled_caller_disturbs_nobody(redis: RedisClient, key: str) -> None:
    async def increment() -> int:
        number: int = await redis.execute("INCR", key)
        return number

    for turns in range(4):  # cancelled before, while and after the batch is sent
        tasks = [asyncio.create_task(increment()) for _ in range(10)]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[3].cancel()
        tasks[7].cancel()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
        left = [reply for reply in replies if isinstance(reply, int)]
        assert len(left) == 8
        assert left == sorted(left)
        await redis.execute("SET", key, 0)


async def test_commands_of_one_caller_keep_their_order(redis: RedisClient, key: str) -> None:
    async def caller(name: str) -> None:
        for number in range(50):
            assert await redis.execute("RPUSH", name, number) == number + 1
        assert await redis.execute("LRANGE", name, 0, -1) == [b"%d" % n for n in range(50)]

    await asyncio.gather(*(caller(f"{key}:{n}") for n in range(20)))


async def test_closing_waits_for_what_is_under_way(servers: dict[str, str], key: str) -> None:
    async with RedisClient(RedisSettings(url=SecretStr(servers["REDIS_URL"]))) as redis:
        replies = [redis.execute("INCR", key) for _ in range(3 * MAX_BATCH)]
    assert sorted(reply.result() for reply in replies) == list(range(1, 3 * MAX_BATCH + 1))
    with pytest.raises(RedisUnavailable, match="stopping"):
        await redis.execute("PING")


async def test_a_script_is_called_by_digest_and_loaded_again(private: PrivateRedis) -> None:
    async with RedisClient(RedisSettings(url=SecretStr(private.url))) as redis:
        add = redis.script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        assert [await add(["n"], 2), await add(["n"], 3)] == [2, 5]
        await redis.client.script_flush()
        assert await asyncio.gather(*(add(["n"], 1) for _ in range(3))) == [6, 7, 8]
        assert await add(["n"], 1) == 9
        calls = await redis.client.info("commandstats")
        assert calls["cmdstat_eval"]["calls"] == 4  # the first ever, and three after the flush


async def test_the_plain_client_is_redis_pys(redis: RedisClient, key: str) -> None:
    async with redis.client.pipeline(transaction=True) as pipeline:
        pipeline.set(key, "1")
        pipeline.incr(key)
        assert await pipeline.execute() == [True, 2]


async def test_a_watcher_is_told_of_every_command(redis: RedisClient, key: str) -> None:
    told: list[tuple[Sequence[Argument], asyncio.Future[Any]]] = []
    redis.watcher = lambda command, reply: told.append((command, reply))
    await redis.execute("SET", key, 1)
    with pytest.raises(ResponseError):
        await redis.execute("LPUSH", key, 1)
    redis.watcher = None
    await redis.execute("GET", key)
    assert [command for command, _ in told] == [("SET", key, 1), ("LPUSH", key, 1)]
    assert (told[0][1].result(), type(told[1][1].exception())) == (b"OK", ResponseError)
