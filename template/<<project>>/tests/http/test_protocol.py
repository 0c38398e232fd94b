"""Answers leave in one write, whole; the head of a request is bounded in size and time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http import protocol
from app.http.protocol import MOST_HEAD
from app.http.protocol import MOST_WAITING
from app.http.protocol import CorkedTransport
from app.server import listening
from app.settings import SettingsError

pytestmark = pytest.mark.anyio


class Written(asyncio.Transport):
    """Records each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def writelines(self, data: object) -> None:
        assert isinstance(data, list)
        self.writes.append(b"".join(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_what_is_written_in_one_turn_is_sent_together() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"head")
    corked.write(b"body")
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"headbody"]


async def test_the_next_turn_is_sent_apart_and_in_order() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    for part in (b"1", b"2", b"3"):
        corked.write(part)
        await asyncio.sleep(0)
    assert transport.writes == [b"1", b"2", b"3"]


async def test_closing_sends_what_is_left() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"last words")
    corked.close()
    assert transport.writes == [b"last words"]
    assert corked.is_closing()
    await asyncio.sleep(0)
    assert transport.writes == [b"last words"]


async def test_an_empty_body_adds_nothing() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"")
    await asyncio.sleep(0)
    assert transport.writes == []


async def test_a_connection_that_got_an_empty_answer_ends() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    async with asyncio.timeout(5), listening(nothing, "127.0.0.1", 0, keep_alive_s=5) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        request = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        assert b"content-length: 0" in await answer_to(port, request)


async def test_a_stream_that_never_yields_is_not_collected_without_bound() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    for _ in range(10):
        corked.write(b"x" * (MOST_WAITING // 2 + 1))
    assert len(transport.writes) == 5
    await asyncio.sleep(0)
    assert sum(map(len, transport.writes)) == 10 * (MOST_WAITING // 2 + 1)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("hello")(scope, receive, send)


@pytest.fixture
async def port(anyio_backend: str) -> AsyncIterator[int]:
    async with listening(hello, "127.0.0.1", 0, keep_alive_s=5) as server:
        yield server.servers[0].sockets[0].getsockname()[1]


async def answer_to(port: int, *parts: bytes) -> bytes:
    """All that the server sends until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    answer = await answer_to(port, request * 3 + last[:10], last[10:])
    assert answer.count(b"HTTP/1.1 200 OK") == 4


async def test_a_long_body_before_the_next_head_is_not_counted_to_it(port: int) -> None:
    body = b"x" * (3 * MOST_HEAD)
    post = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    answer = await answer_to(port, post + last[:10], last[10:])
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_an_endless_head_is_cut_off(port: int) -> None:
    line = b"x-padding: " + b"y" * 8000 + b"\r\n"
    try:
        answer = await answer_to(port, b"GET / HTTP/1.1\r\n", *[line] * 40)
    except ConnectionError:
        answer = b""  # the server closed while there was more to come
    assert answer == b""


@pytest.mark.parametrize("sent", [b"", b"GET / HT"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    assert await answer_to(port, sent) == b""


async def test_an_idle_connection_outlives_the_time_for_a_head(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(request)
        assert await reader.readuntil(b"hello")
        await asyncio.sleep(0.4)
    writer.close()


async def test_an_answer_for_a_client_that_is_gone_is_dropped() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"too late")
    transport.close()
    await asyncio.sleep(0)
    assert transport.writes == []


async def test_empty_lines_do_not_keep_a_connection_open(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    answer = await answer_to(port, request, b"\r\n")
    assert answer.count(b"hello") == 1


async def test_a_taken_port_is_said_in_a_sentence(port: int) -> None:
    with pytest.raises(SettingsError, match=f"Cannot listen on 127.0.0.1:{port}"):
        async with listening(hello, "127.0.0.1", port, keep_alive_s=5):
            pass
