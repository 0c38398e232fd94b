"""What is sent, what comes back, and how long it may take."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from time import monotonic
from traceback import format_exception
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.http.errors import Unavailable
from app.http_client import Call
from app.http_client import NoAnswer
from app.http_client.errors import Busy
from app.http_client.errors import PastDeadline
from app.http_client.errors import TooLarge
from app.http_client.errors import TooSlow
from app.http_client.errors import Unreachable
from tests.http_client.conftest import Connect
from tests.http_client.conftest import measured
from tests.http_client.conftest import outcomes
from tests.http_client.flaky import BROKEN
from tests.http_client.flaky import MOVED
from tests.http_client.flaky import Flaky

pytestmark = pytest.mark.anyio

ROOM_S = 2.0  # what a busy machine may take besides
SECRET = "hunter2"


async def test_a_call(remote: Flaky, connect: Connect) -> None:
    upstream = await connect(remote.url + "/v1")
    answer = await upstream.request(
        "POST", "things", "a b", query={"q": "ä&b"}, headers={"X-One": "1"}, json={"n": 1}
    )
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"ok", "2")
    [received] = remote.received
    assert (received.method, received.target) == ("POST", "/v1/things/a%20b?q=%C3%A4%26b")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["content-length"] == "7"
    assert received.headers["x-one"] == "1"
    assert "cookie" not in received.headers
    assert outcomes(upstream, "2xx") == 1
    assert measured(upstream, "call_duration_seconds_count") == 1
    assert measured(upstream, "in_flight") == 0


async def test_connections_are_used_again(remote: Flaky, connect: Connect) -> None:
    upstream = await connect()
    for _ in range(20):
        await upstream.request("GET")
    assert (len(remote.received), remote.connections) == (20, 1)


@pytest.mark.parametrize(
    "segment", ["../admin", "a/b", "?x=1", "#x", "@evil.example", "//evil", "%2e%2e"]
)
async def test_what_a_client_sends_stays_one_segment(
    remote: Flaky, connect: Connect, segment: str
) -> None:
    upstream = await connect(remote.url + "/base")
    await upstream.request("GET", segment, "end")
    [received] = remote.received
    first, base, middle, end = received.target.split("/")
    assert (first, base, end) == ("", "base", "end")
    assert "?" not in middle
    assert middle.lower() != "%2e%2e"


@pytest.mark.parametrize("segment", ["", ".", ".."])
async def test_segments_that_lead_elsewhere(remote: Flaky, connect: Connect, segment: str) -> None:
    upstream = await connect()
    with pytest.raises(ValueError, match="segment"):
        await upstream.request("GET", "a", segment)
    assert not remote.received


@pytest.mark.parametrize("header", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
async def test_headers_cannot_be_split(remote: Flaky, connect: Connect, header: str) -> None:
    upstream = await connect()
    with pytest.raises(ValueError, match=r"(?i)header"):
        await upstream.request("GET", headers={"X-One": header})
    assert not remote.received


async def test_no_redirect_is_followed(remote: Flaky, connect: Connect) -> None:
    remote.then = MOVED
    upstream = await connect()
    answer = await upstream.request("GET")
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:1/")
    assert len(remote.received) == 1
    assert outcomes(upstream, "3xx") == 1


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block takes no longer."""
    started = monotonic()
    yield
    assert monotonic() - started < seconds


async def test_nobody_listens(connect: Connect) -> None:
    upstream = await connect("http://127.0.0.1:1", attempts=1)
    with pytest.raises(Unreachable, match=f"^{upstream.name} cannot be reached.$") as error:
        await upstream.request("GET")
    assert isinstance(error.value, Unavailable), "a route answers 503"
    assert outcomes(upstream, "unreachable") == 1


@pytest.mark.parametrize("act", ["reset", "close", "half", b"nonsense\r\n\r\n"])
async def test_what_breaks_is_unreachable(
    remote: Flaky, connect: Connect, act: str | bytes
) -> None:
    remote.then = act
    upstream = await connect(attempts=1)
    with pytest.raises(Unreachable):
        await upstream.request("GET")
    assert len(remote.received) == 1


async def test_silence_ends_at_the_read_timeout(remote: Flaky, connect: Connect) -> None:
    remote.then = "hang"
    upstream = await connect(read_timeout_s=0.2, attempts=1)
    with within(0.2 + ROOM_S), pytest.raises(TooSlow):
        await upstream.request("GET")
    assert outcomes(upstream, "timeout") == 1


async def test_a_body_that_is_not_taken_ends_at_the_write_timeout(
    remote: Flaky, connect: Connect
) -> None:
    remote.then = "deaf"
    upstream = await connect(write_timeout_s=0.2, read_timeout_s=0.2, connect_timeout_s=0.2)
    with within(0.6 + ROOM_S), pytest.raises(TooSlow):
        await upstream.request("POST", json="x" * 30_000_000)
    assert len(remote.received) == 1


@pytest.mark.parametrize("act", ["hang", "drip", "deaf"])
async def test_the_deadline_is_kept(remote: Flaky, connect: Connect, act: str) -> None:
    remote.then = act
    upstream = await connect(read_timeout_s=60, write_timeout_s=60)
    with within(0.5 + ROOM_S), pytest.raises(PastDeadline):
        await upstream.request("PUT", json="x" * 10_000_000, deadline_s=0.5)
    assert len(remote.received) == 1
    assert outcomes(upstream, "deadline") == 1
    assert measured(upstream, "in_flight") == 0


async def test_the_deadline_holds_for_all_attempts_together(
    remote: Flaky, connect: Connect
) -> None:
    remote.then = "hang"
    upstream = await connect(read_timeout_s=0.3, deadline_s=0.8, attempts=10)
    with within(0.8 + ROOM_S), pytest.raises((TooSlow, PastDeadline)):
        await upstream.request("GET")
    assert 2 <= len(remote.received) <= 3


@pytest.mark.parametrize("act", ["close", b"nonsense\r\n\r\n", "hang", "refused"])
async def test_a_query_is_not_logged(remote: Flaky, connect: Connect, act: str | bytes) -> None:
    remote.then = act
    upstream = await connect(
        "http://127.0.0.1:1" if act == "refused" else "", read_timeout_s=0.2, attempts=1
    )
    with capture_logs() as lines, pytest.raises(NoAnswer) as raised:
        await upstream.request("GET", query={"key": SECRET})
    [line] = lines
    assert line["event"] == "call_failed"
    assert line["error"].isascii()
    assert line["error"].split(":")[0].endswith(("Error", "Disconnected"))
    assert (line["error"].endswith(": ECONNREFUSED")) is (act == "refused")
    assert SECRET not in str(line)
    assert SECRET not in "".join(format_exception(raised.value))


async def test_what_nobody_expected_is_an_error(connect: Connect) -> None:
    def broken(_: Call) -> AbstractContextManager[None]:
        raise LookupError

    upstream = await connect(hook=broken)
    with pytest.raises(LookupError):
        await upstream.request("GET")
    assert (outcomes(upstream, "error"), outcomes(upstream, "cancelled")) == (1, 0)


@pytest.mark.parametrize("act", ["endless", "bomb"])
async def test_no_more_is_held_than_may_be(remote: Flaky, connect: Connect, act: str) -> None:
    remote.then = act
    upstream = await connect(max_body_bytes=1_000_000)
    tracemalloc.start()
    try:
        with within(ROOM_S * 5), pytest.raises(TooLarge):
            await upstream.request("GET")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000
    assert len(remote.received) == 1, "another attempt would bring the same"
    assert outcomes(upstream, "too_large") == 1


async def test_a_bounded_number_at_once(remote: Flaky, connect: Connect) -> None:
    remote.delay_s = 0.05
    upstream = await connect(concurrency=3, pool_timeout_s=10)
    await asyncio.gather(*(upstream.request("GET") for _ in range(20)))
    assert (len(remote.received), remote.most_at_once) == (20, 3)
    assert remote.connections == 3


async def test_whose_turn_does_not_come_is_not_sent(remote: Flaky, connect: Connect) -> None:
    remote.then = "hang"
    upstream = await connect(concurrency=2, pool_timeout_s=0.1, read_timeout_s=1, attempts=1)
    results = await asyncio.gather(
        *(upstream.request("GET") for _ in range(10)), return_exceptions=True
    )
    kinds = [type(result) for result in results]
    assert (kinds.count(Busy), kinds.count(TooSlow)) == (8, 2)
    assert len(remote.received) == 2
    assert measured(upstream, "breaker_state") == 0, "the upstream is not to blame"


async def test_what_is_given_up_leaves_nothing(remote: Flaky, connect: Connect) -> None:
    upstream = await connect(concurrency=1)
    for number in range(30):
        remote.script = ["hang"]
        call = asyncio.create_task(upstream.request("GET"))
        await remote.arrived(number + 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert outcomes(upstream, "cancelled") == 30
    assert (await upstream.request("GET")).status == 200


class Watching:
    """A hook that notes what it sees, and adds a header."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @contextmanager
    def __call__(self, call: Call) -> Iterator[None]:
        call.headers["x-attempt"] = f"attempt-{call.attempt}"
        try:
            yield
        except NoAnswer as error:
            self.seen.append((call.attempt, error.outcome))
            raise
        self.seen.append((call.attempt, call.status))


async def test_a_hook_sees_every_attempt(remote: Flaky, connect: Connect) -> None:
    remote.script = ["close", BROKEN]
    hook = Watching()
    upstream = await connect(hook=hook)
    assert (await upstream.request("GET")).status == 500
    assert hook.seen == [(1, "unreachable"), (2, 500)]
    assert [one.headers["x-attempt"] for one in remote.received] == ["attempt-1", "attempt-2"]
