"""What comes from Redis reaches who waits for it, in whatever pieces, and nobody else."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from weakref import ReferenceType
from weakref import ref

import pytest
from pydantic import SecretStr
from redis import Redis as SyncRedis

from app.redis import RedisClient
from app.redis import RedisSettings
from app.redis import RedisUnavailable
from tests.redis.private import PrivateRedis

pytestmark = pytest.mark.anyio

type Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(*answers: Answer) -> AsyncIterator[RedisClient]:
    """A client of a server that greets, and gives the GETs of each connection these answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        while data := await reader.read(65536):
            for _ in range(data.count(b"GET\r\n")):
                await left.pop(0)(writer)
            writer.write(b"+OK\r\n" * (data.count(b"*") - data.count(b"GET\r\n")))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"redis://127.0.0.1:{port}/0?protocol=2"
        async with RedisClient(RedisSettings(url=SecretStr(url), timeout_s=1)) as redis:
            yield redis


def says(*pieces: bytes) -> Answer:
    """Sends these, each in a packet of its own."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.002)

    return answer


async def test_replies_in_pieces() -> None:
    text = b"$5\r\none\r\n\r\n*2\r\n:7\r\n$-1\r\n"
    one_by_one = [bytes([byte]) for byte in text]
    async with answering(says(*one_by_one), says()) as redis:
        replies = await asyncio.gather(*[redis.execute("GET", key) for key in "ab"])
        assert replies == [b"one\r\n", [7, None]]


async def test_what_nobody_asked_for_is_nobodys_reply() -> None:
    async with answering(says(b"+mine\r\n+odd\r\n"), says(b"+not this\r\n")) as redis:
        assert await redis.execute("GET", "a") == b"mine"
        await asyncio.sleep(0.01)
        # over another connection, whose first answer it is
        assert await redis.execute("GET", "b") == b"mine"
        assert redis.available


async def test_a_notification_is_no_reply() -> None:
    notified = b">2\r\n+invalidate\r\n*1\r\n+key\r\n"
    async with answering(says(notified + b"+mine\r\n" + notified), says(b"+next\r\n")) as redis:
        assert await redis.execute("GET", "a") == b"mine"
        assert await redis.execute("GET", "b") == b"next"


@pytest.mark.parametrize("odd", [b"no protocol at all\r\n", b"-LOADING Redis is loading\r\n"])
async def test_an_answer_after_which_nothing_can_be_trusted(odd: bytes) -> None:
    async with answering(says(odd), says(b"+late\r\n")) as redis:
        replies = [redis.execute("GET", "a"), redis.execute("GET", "b")]
        errors = await asyncio.gather(*replies, return_exceptions=True)
        assert [type(error) for error in errors] == [RedisUnavailable] * 2
        assert not redis.available


async def test_a_subscription_takes_nobodys_reply(private: PrivateRedis) -> None:
    async with RedisClient(RedisSettings(url=SecretStr(private.url), timeout_s=5)) as redis:
        asked = [redis.execute("SUBSCRIBE", "channel"), redis.execute("ECHO", "one")]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in errors] == [RedisUnavailable] * 2
        await redis.until_available()
        assert await redis.execute("ECHO", "two") == b"two"


async def test_a_reply_that_python_cannot_hold_fails_in_order(private: PrivateRedis) -> None:
    unexpected: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: unexpected.append(about))
    async with RedisClient(RedisSettings(url=SecretStr(private.url))) as redis:
        with pytest.raises(RedisUnavailable):
            await redis.execute("EVAL", "redis.setresp(3) return {map={[{1,2}]=1}}", 0)
        await redis.until_available()
    assert unexpected == []


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])
@pytest.mark.parametrize("turns", range(4))
async def test_an_idle_connection_that_redis_has_closed_is_replaced(
    private: PrivateRedis, turns: int
) -> None:
    async with RedisClient(RedisSettings(url=SecretStr(private.url))) as redis:
        await redis.ping()
        with SyncRedis(port=private.port) as admin:
            admin.client_kill_filter(skipme=True)
        time.sleep(0.02)  # noqa: ASYNC251 (until the kernel knows, and the event loop does not)
        for _ in range(turns):
            await asyncio.sleep(0)
        await redis.ping()
        assert redis.available


async def test_the_connection_keeps_nothing_of_who_asked_first(private: PrivateRedis) -> None:
    class Held:
        pass

    held: ContextVar[Held] = ContextVar("held")
    async with RedisClient(RedisSettings(url=SecretStr(private.url))) as redis:

        async def ask() -> ReferenceType[Held]:
            held.set(Held())
            await redis.ping()
            return ref(held.get())

        first = await asyncio.create_task(ask())
        await asyncio.sleep(0)  # which lets the task go as well
        gc.collect()
        assert first() is None


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])
async def test_a_loop_that_stood_still_is_no_outage(private: PrivateRedis) -> None:
    settings = RedisSettings(url=SecretStr(private.url), timeout_s=0.1)
    async with RedisClient(settings) as redis:
        await redis.ping()
        replies = [redis.execute("ECHO", "one")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 (that is the point)
        replies.append(redis.execute("ECHO", "two"))
        assert await asyncio.gather(*replies) == [b"one", b"two"]
        assert redis.available
