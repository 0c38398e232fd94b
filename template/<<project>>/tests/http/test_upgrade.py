"""A request that offers another protocol is served as if it did not, and its body stays a body."""

from collections.abc import AsyncIterator

import pytest

from tests.http.wire import LAST
from tests.http.wire import answer_to
from tests.http.wire import echo
from tests.http.wire import echoed
from tests.http.wire import serving

pytestmark = pytest.mark.anyio

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
SOCKET = b"Upgrade: websocket\r\nConnection: upgrade\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: here\r\n\r\n"
FRAMED = {
    "length": b"Content-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
}


@pytest.fixture
async def port(anyio_backend: str) -> AsyncIterator[int]:
    async with serving(echo) as (_, port):
        yield port


@pytest.mark.parametrize("framing", FRAMED)
@pytest.mark.parametrize("offer", [b"", OFFER, SOCKET], ids=["none", "h2c", "websocket"])
@pytest.mark.parametrize(
    "until",
    [b"", b"Host", b"\r\n\r\n", b"GET /hid"],
    ids=["one packet", "cut in the head", "cut before the body", "cut in the body"],
)
async def test_the_body_is_the_requests_own(
    port: int, offer: bytes, framing: str, until: bytes
) -> None:
    sent = b"POST /outer HTTP/1.1\r\nHost: here\r\n" + offer + FRAMED[framing] + LAST
    cut = sent.index(until) + len(until)
    answer = await answer_to(port, sent[:cut], sent[cut:])
    assert echoed(answer) == [b"POST /outer " + HIDDEN, b"GET /last "]


async def test_many_offers_at_once_are_all_answered(port: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: here\r\n" + OFFER + b"\r\n"
    answer = await answer_to(port, request * 500 + LAST)
    assert echoed(answer) == [b"GET / "] * 500 + [b"GET /last "]


async def test_nothing_is_served_after_the_last_request_of_a_connection(port: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: here\r\nUpgrade: h2c\r\nConnection: close, upgrade\r\n"
    answer = await answer_to(port, request + FRAMED["length"] + HIDDEN)
    assert echoed(answer) == [b"POST / " + HIDDEN]
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_the_framing_is_judged_without_the_offer(port: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: identity\r\n" + OFFER + b"\r\n"
    answer = await answer_to(port, request + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_tunnel_is_refused(port: int) -> None:
    answer = await answer_to(port, b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\n\r\n" + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
