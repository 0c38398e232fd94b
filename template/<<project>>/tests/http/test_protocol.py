"""What a client sends is bounded: heads, trailers, bodies that nobody reads, requests at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http import protocol
from app.http.protocol import MOST_HEAD
from app.http.protocol import is_complete
from app.server import Server
from app.server import listening
from app.settings import SettingsError
from tests.http.wire import LAST
from tests.http.wire import answer_to
from tests.http.wire import echo
from tests.http.wire import echoed
from tests.http.wire import hello
from tests.http.wire import serving

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def port(anyio_backend: str) -> AsyncIterator[int]:
    async with serving(hello) as (_, port):
        yield port


async def test_a_connection_that_got_an_empty_answer_ends() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    async with asyncio.timeout(5), serving(nothing) as (_, port):
        assert b"content-length: 0" in await answer_to(port, LAST)


async def test_pipelined_requests_are_answered_in_order() -> None:
    requests = b"".join(GET.replace(b"/ ", b"/%d " % number) for number in range(300))
    async with serving(echo) as (_, port):
        answer = await answer_to(port, requests + LAST[:10], LAST[10:])
    assert echoed(answer) == [b"GET /%d " % number for number in range(300)] + [b"GET /last "]


async def test_a_long_body_before_the_next_head_is_not_counted_to_it(port: int) -> None:
    body = b"x" * (3 * MOST_HEAD)
    post = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answer = await answer_to(port, post + LAST[:10], LAST[10:])
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_whether_a_request_is_there_as_a_whole_is_known() -> None:
    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        before = is_complete(scope)
        await Request(scope, receive).body()
        await Response(f"whole: {before} {is_complete(scope)}")(scope, receive, send)

    post = POST + b"Content-Length: 4\r\n\r\nbo"
    async with serving(tell) as (_, port):
        assert b"whole: True True" in await answer_to(port, post + b"dy" + LAST)
        assert b"whole: False True" in await answer_to(port, post, b"dy" + LAST)
        assert (await answer_to(port, post + b"dy" + post, b"dy" + LAST)).count(b"True True") == 2


async def closed_by(port: int, sent: bytes, part: bytes) -> bytes:
    """The answer to a request that never ends, which the server must cut off."""
    try:
        return await answer_to(port, sent, *[part] * (5 * MOST_HEAD // len(part)))
    except ConnectionError:  # the server closed while there was more to come
        return b""


async def test_an_endless_head_is_cut_off(port: int) -> None:
    assert await closed_by(port, b"GET / HTTP/1.1\r\n", b"x: " + b"y" * 8000 + b"\r\n") == b""


@pytest.mark.parametrize(
    ("begun", "part"),
    [
        (b"0\r\n", b"x-padding: " + b"y" * 8000 + b"\r\n"),
        (b"0\r\nx-padding: ", b"y" * 8000),
        (b"1;", b"e" * 8000),
        (b"", b"1;" + b"e" * 8000 + b"\r\nx\r\n"),
    ],
    ids=["trailers", "one trailer", "one extension", "extensions"],
)
async def test_an_endless_body_without_data_is_cut_off(begun: bytes, part: bytes) -> None:
    async with serving(echo) as (_, port):
        assert await closed_by(port, CHUNKED + begun, part) == b""


async def test_a_body_in_the_smallest_chunks_is_taken() -> None:
    async with serving(echo) as (_, port):
        sent = CHUNKED + b"1;a=b\r\nx\r\n" * MOST_HEAD + b"0\r\nx-sum: 1\r\n\r\n" + LAST
        assert echoed(await answer_to(port, sent)) == [b"POST / " + b"x" * MOST_HEAD, b"GET /last "]


async def test_trailers_do_not_pass_for_headers() -> None:
    async def names(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await Response(b",".join(name for name, _ in scope["headers"]))(scope, receive, send)

    async with serving(names) as (_, port):
        answer = await answer_to(port, CHUNKED + b"0\r\nauthorization: me\r\n\r\n" + LAST)
    assert b"host,transfer-encoding" in answer
    assert b"authorization" not in answer


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
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(GET)
        assert await reader.readuntil(b"hello")
        await asyncio.sleep(0.4)
    writer.close()


async def test_empty_lines_do_not_keep_a_connection_open() -> None:
    async with serving(hello, keep_alive_s=1) as (_, port):
        answer = await answer_to(port, GET, *[b"\r\n"] * 50)
    assert answer.count(b"hello") == 1


@pytest.mark.parametrize("begun", [b"", b"x"], ids=["nothing", "a byte"])
async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(
    port: int, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_TIMEOUT_S", 0.2)
    answer = await answer_to(port, POST + b"Content-Length: 9\r\n\r\n", begun)
    assert answer.count(b"hello") == 1


async def test_drops_of_a_body_that_nobody_reads_do_not_keep_a_connection_open(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_TIMEOUT_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST + b"Content-Length: 99999999\r\n\r\n")
    reading = asyncio.create_task(reader.read())
    async with asyncio.timeout(5):
        while not reading.done():
            writer.write(b"x")
            await asyncio.sleep(0.01)
    with suppress(ConnectionError):  # there was more to come
        await reading
    writer.close()


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_usable(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_TIMEOUT_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST + b"Content-Length: 2\r\n\r\n")
    await reader.readuntil(b"hello")
    writer.write(b"xy")
    await asyncio.sleep(0.4)
    writer.write(LAST)
    assert (await reader.read()).count(b"hello") == 1
    writer.close()


async def test_no_rest_of_a_body_and_no_answer_need_come_in_the_time_to_be_idle() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.2 if scope["path"] == "/last" else 0)
        await hello(scope, receive, send)

    async with serving(slow, keep_alive_s=1) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: 1\r\n\r\n")
        await reader.readuntil(b"hello")
        await asyncio.sleep(1.2)
        writer.write(b"x" + LAST)
        assert (await reader.read()).count(b"hello") == 1
        writer.close()


async def test_a_connection_is_idle_after_a_body_that_came_late() -> None:
    async with serving(hello, keep_alive_s=1) as (_, port):
        answer = await answer_to(port, POST + b"Content-Length: 1\r\n\r\n", b"x")
    assert answer.count(b"hello") == 1


def connection_of(server: Server) -> HttpToolsProtocol:
    """The only connection that the server has."""
    (connection,) = server.server_state.connections
    assert isinstance(connection, HttpToolsProtocol)
    return connection


@pytest.mark.parametrize("body", [b"", b"x" * 99], ids=["GET", "POST"])
async def test_requests_wait_outside_while_others_are_queued(body: bytes) -> None:
    request = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    gate = asyncio.Event()
    queued: list[int] = []
    reading: list[bool] = []

    async def gated(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # which makes uvicorn read on
        connection = connection_of(server)
        queued.append(len(connection.pipeline))
        reading.append(bool(connection.pipeline) and not connection.flow.read_paused)
        await gate.wait()
        await hello(scope, receive, send)

    async with serving(gated) as (server, port):
        asyncio.get_running_loop().call_later(0.2, gate.set)
        answer = await answer_to(port, request * 1500 + LAST[:10], LAST[10:])
    assert answer.count(b"hello") == len(queued) == 1501
    assert 0 < max(queued) < 228  # what 4 KiB hold of the smallest requests
    assert not any(reading), "more was read while requests were queued"


async def test_a_head_behind_queued_requests_has_its_time_when_they_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await asyncio.sleep(0.3)
        await hello(scope, receive, send)

    async with serving(slow) as (_, port):
        post = POST + b"Content-Length: 0\r\n\r\n"
        answer = await answer_to(port, post * 2 + GET + LAST[:10])
    assert answer.count(b"hello") == 3


async def test_what_follows_a_refused_request_is_not_even_parsed(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await answer_to(port, b"what?\r\n\r\n" + GET * 200)
    assert answer.count(b"HTTP/1.1") == answer.count(b"HTTP/1.1 400 ") == 1
    assert caplog.messages == ["Invalid HTTP request received."]


async def test_a_taken_port_is_said_in_a_sentence(port: int) -> None:
    with pytest.raises(SettingsError, match=f"Cannot listen on 127.0.0.1:{port}"):
        async with listening(hello, "127.0.0.1", port, keep_alive_s=5):
            pass


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends until the client is gone, and says so by returning."""
    leaving = asyncio.create_task(_gone(receive))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not leaving.done():
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await asyncio.sleep(0)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """uvloop, as in production: in asyncio of 3.13.0 `writelines` never asks to pause."""
    return "asyncio", {"use_uvloop": True}


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKE_TIMEOUT_S", 0.3)
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await endless(scope, receive, send)
        ended.set()

    async with serving(app) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(GET)
        await asyncio.wait_for(ended.wait(), 10)
        writer.transport.abort()


async def test_a_client_that_takes_little_at_a_time_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKE_TIMEOUT_S", 1)
    async with serving(endless) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(GET)
        for _ in range(40):
            await asyncio.sleep(0.05)
            await reader.readexactly(1_000_000)
        assert len(server.server_state.connections) == 1
        writer.transport.abort()


async def test_an_answer_that_cannot_be_completed_is_cut_off_at_once() -> None:
    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await endless(
                    scope, receive, lambda m: send(m) if "body" in m else asyncio.sleep(0)
                )
        protocol.cut_off(scope)

    async with serving(gives_up) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(GET)
        async with asyncio.timeout(5):
            await asyncio.sleep(0.6)
            while server.server_state.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        writer.transport.abort()


def test_without_a_connection_nothing_is_cut_off() -> None:
    protocol.cut_off({"type": "http"})
