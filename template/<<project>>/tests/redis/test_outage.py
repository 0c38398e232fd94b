"""Redis away costs its timeout once; then commands fail at once until it is back."""

import asyncio
import socket
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import asynccontextmanager
from time import perf_counter

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis.exceptions import ReadOnlyError
from structlog.testing import capture_logs

from app.redis import RedisClient
from app.redis import RedisSettings
from app.redis import RedisUnavailable
from app.redis.outage import Outage
from tests.redis.private import PrivateRedis
from tests.redis.private import free_port

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def client_of(url: str, timeout_s: float = 0.5) -> AsyncIterator[RedisClient]:
    """A client of this Redis."""
    async with RedisClient(RedisSettings(url=SecretStr(url), timeout_s=timeout_s)) as redis:
        yield redis


async def fails(redis: RedisClient) -> float:
    """Seconds until a command failed, as it must."""
    started = perf_counter()
    with pytest.raises(RedisUnavailable):
        await redis.execute("PING")
    return perf_counter() - started


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(100)
        yield f"redis://127.0.0.1:{hole.getsockname()[1]}/0"


async def test_the_service_starts_without_redis(private_with: Callable[..., PrivateRedis]) -> None:
    server = private_with()
    async with client_of(server.url) as redis:
        await fails(redis)
        assert not redis.available
        server.start()
        async with asyncio.timeout(5):
            await redis.until_available()
        assert await redis.execute("PING") == b"PONG"


async def test_a_black_hole_costs_its_timeout_once(black_hole: str) -> None:
    async with client_of(black_hole, timeout_s=0.2) as redis:
        first = await asyncio.gather(*(fails(redis) for _ in range(100)))
        assert all(0.15 < seconds < 1 for seconds in first)
        started = perf_counter()
        later = [await fails(redis) for _ in range(100)]
        assert sum(later) < 0.1, "failing at once takes no time"
        assert perf_counter() - started < 0.15


async def test_a_server_that_stops_to_answer_costs_its_timeout_once(private: PrivateRedis) -> None:
    async with client_of(private.url, timeout_s=0.2) as redis:
        await redis.ping()
        await redis.client.client_pause(2_000)
        first = await asyncio.gather(*(fails(redis) for _ in range(1_000)))
        assert all(0.15 < seconds < 1 for seconds in first)
        assert sum([await fails(redis) for _ in range(100)]) < 0.1


async def test_who_waits_behind_a_black_hole_waits_no_longer(black_hole: str) -> None:
    async with client_of(black_hole, timeout_s=1) as redis:
        waits = []
        with capture_logs() as logs:
            for _ in range(20):
                waits.append(asyncio.create_task(fails(redis)))
                await asyncio.sleep(0.01)
            assert max(await asyncio.gather(*waits)) < 1.9
        assert [line["event"] for line in logs] == ["redis_unavailable"], "one for all batches"


async def test_an_outage_is_logged_once_and_so_is_its_end(private: PrivateRedis) -> None:
    async with client_of(private.url) as redis:
        await redis.ping()
        with capture_logs() as logs:
            private.kill()
            for _ in range(50):
                await fails(redis)
            assert REGISTRY.get_sample_value("redis_unavailable") == 1
            private.start()
            async with asyncio.timeout(5):
                await redis.until_available()
            await redis.ping()
        assert [line["event"] for line in logs] == ["redis_unavailable", "redis_available"]
        assert {line["log_level"] for line in logs} == {"warning"}
        assert REGISTRY.get_sample_value("redis_unavailable") == 0


async def test_an_odd_answer_to_the_probe_does_not_end_the_probing() -> None:
    """redis-py trips over some answers with an error of its own, an AttributeError for example."""
    answers: list[Exception | None] = [AttributeError("odd"), AttributeError("odd"), None]

    async def probe() -> None:
        if error := answers.pop(0):
            raise error

    outage = Outage(probe)
    with capture_logs() as logs:
        outage.begin(ConnectionError("gone"))
        async with asyncio.timeout(5):
            await outage.over()
    assert outage.reason is None
    assert answers == []
    told = [line["event"] for line in logs]
    assert told == ["redis_unavailable", "redis_probe_failed", "redis_available"], "told once"
    assert logs[1]["error"] == "AttributeError: odd"


async def test_a_command_whose_connection_breaks_is_not_sent_again() -> None:
    """Nobody knows whether Redis has executed it, and it may be one that counts."""
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while data := await reader.read(65536):
            if b"INCR" in data:
                received += 1
                break
            writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"redis://127.0.0.1:{port}/0") as redis:
            await redis.ping()
            with pytest.raises(RedisUnavailable):
                await redis.execute("INCR", "n")
            async with asyncio.timeout(5):
                await redis.until_available()
    assert received == 1


async def test_killed_connections_are_replaced(private: PrivateRedis) -> None:
    async with client_of(private.url) as redis:
        await redis.ping()
        await redis.client.client_kill_filter(skipme=True)
        await asyncio.sleep(0.05)
        await redis.ping()
        assert redis.available


async def test_a_demoted_primary_is_left(private: PrivateRedis) -> None:
    """After a failover the name stands for another server; old connections must not stay."""
    async with client_of(private.url) as redis:
        connection = await redis.execute("CLIENT", "ID")
        await redis.client.replicaof("127.0.0.1", free_port())
        with pytest.raises(ReadOnlyError):
            await redis.execute("SET", "key", "value")
        assert not redis.available
        await redis.client.replicaof("NO", "ONE")
        async with asyncio.timeout(5):
            await redis.until_available()
        await redis.execute("SET", "key", "value")
        assert await redis.execute("CLIENT", "ID") > connection


async def test_closing_during_an_outage_does_not_wait_for_its_end(black_hole: str) -> None:
    async with client_of(black_hole, timeout_s=0.1) as redis:
        await fails(redis)
        started = perf_counter()
    assert perf_counter() - started < 0.5
    assert REGISTRY.get_sample_value("redis_unavailable") == 0
