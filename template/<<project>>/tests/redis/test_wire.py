"""What comes from Redis reaches who waits for it, in whatever pieces, and nobody else."""

import asyncio
import time
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

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
