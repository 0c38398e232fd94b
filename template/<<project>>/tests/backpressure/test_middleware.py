"""A request gets a place, or 503 at once; it is answered in time, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from fastapi import Depends
from fastapi import FastAPI
from starlette.responses import Response
from starlette.responses import StreamingResponse
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.backpressure import long_running
from tests.backpressure.visitors import Desk
from tests.backpressure.visitors import Handler
from tests.backpressure.visitors import Visitor
from tests.backpressure.visitors import deadlines_exceeded
from tests.backpressure.visitors import settled
from tests.backpressure.visitors import sheds

pytestmark = pytest.mark.anyio

LONG_WAIT_S = 2  # whoever has waited for a twentieth of it listens for its client


def missed_by_choice() -> float:
    """How many deadlines that clients chose were exceeded, so far."""
    return deadlines_exceeded("client")


async def sleeps(scope: Scope, receive: Receive, send: Send) -> None:
    """Never answers."""
    await asyncio.sleep(60)


def header(visitor: Visitor, name: bytes) -> bytes:
    """A header of the answer."""
    headers: dict[bytes, bytes] = dict(visitor.sent[0]["headers"])
    return headers[name]


def assert_unavailable(visitor: Visitor, detail: str) -> None:
    """503 as a problem document that says when to come back."""
    assert visitor.sent[0]["status"] == 503
    assert header(visitor, b"content-type") == b"application/problem+json"
    assert 1 <= int(header(visitor, b"retry-after")) <= 3
    document = json.loads(visitor.body)
    assert (document["status"], document["detail"]) == (503, detail)


async def test_as_many_as_the_limit_are_served_at_once() -> None:
    handler = Handler()
    desk = Desk(handler, limit=2)
    visitors = [await desk.visit(path) for path in ("/1", "/2", "/3", "/4")]
    assert handler.entered == ["/1", "/2"]
    assert (desk.limiter.in_flight, desk.limiter.queued) == (2, 2)
    handler.answer("/2", "/3")
    await settled()
    assert handler.entered == ["/1", "/2", "/3", "/4"]
    handler.answer("/1", "/4")
    assert [await one.status() for one in visitors] == [200] * 4
    assert (desk.limiter.in_flight, desk.limiter.queued) == (0, 0)


async def test_beyond_the_queue_is_503_at_once() -> None:
    handler, before = Handler(), sheds("full")
    desk = Desk(handler, queue=1)
    served, queued, refused = [await desk.visit(path) for path in ("/1", "/2", "/3")]
    assert refused.task.done()
    assert_unavailable(refused, "The service is busy.")
    assert sheds("full") - before == 1
    handler.answer("/1", "/2")
    assert [await served.status(), await queued.status()] == [200, 200]


async def test_a_wait_that_is_too_long_is_503() -> None:
    handler, before = Handler(), sheds("timed_out")
    desk = Desk(handler, wait_s=0.05)
    served, queued = await desk.visit("/1"), await desk.visit("/2")
    assert await queued.status() == 503
    assert_unavailable(queued, "The service is busy.")
    assert sheds("timed_out") - before == 1
    handler.answer("/1")
    assert await served.status() == 200
    assert handler.entered == ["/1"]


async def test_the_public_health_needs_no_place() -> None:
    handler = Handler()
    handler.answer("/health")
    desk = Desk(handler, queue=0)
    served = await desk.visit("/1")
    assert await (await desk.visit("/health")).status() == 200
    assert await (await desk.visit("/other")).status() == 503
    handler.answer("/1")
    assert await served.status() == 200


async def test_low_priority_is_refused_first() -> None:
    handler, before = Handler(), sheds("low_priority")
    desk = Desk(handler, limit=2, low_priority=["/reports", "/bulk/"])
    first = await desk.visit("/1")
    assert await (await desk.visit("/reports/7")).status() == 503
    assert await (await desk.visit("/bulk/")).status() == 503
    second = await desk.visit("/bulk")
    assert handler.entered == ["/1", "/bulk"]
    assert sheds("low_priority") - before == 2
    handler.answer("/1", "/bulk")
    assert [await first.status(), await second.status()] == [200, 200]


@pytest.mark.parametrize("parts", [(), (b"whole",)])
async def test_who_goes_away_leaves_the_queue(parts: tuple[bytes, ...]) -> None:
    handler, before = Handler(), sheds("client_gone")
    desk = Desk(handler, wait_s=LONG_WAIT_S)
    served, queued = await desk.visit("/1"), await desk.visit("/2", (), *parts)
    assert desk.limiter.queued == 1
    queued.leave()
    await asyncio.wait_for(queued.task, 1)
    assert desk.limiter.queued == 0
    assert sheds("client_gone") - before == 1
    handler.answer("/1")
    assert await served.status() == 200
    assert handler.entered == ["/1"]


async def test_of_a_body_that_is_on_its_way_one_part_is_read_and_none_is_lost() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await Response(body)(scope, receive, send)

    desk = Desk(echo, wait_s=LONG_WAIT_S)
    desk.limiter.enter(low_priority=False)
    queued = await desk.visit("/", (), b"one ", b"two ", b"three")
    await asyncio.sleep(LONG_WAIT_S / 10)  # now it listens
    assert queued.coming.qsize() == 2
    desk.limiter.leave(0)
    assert await queued.status() == 200
    assert queued.body == b"one two three"


@pytest.mark.parametrize("waited_s", [0, LONG_WAIT_S / 10])
async def test_the_application_learns_that_a_queued_client_has_gone(waited_s: float) -> None:
    heard: list[str] = []

    async def listens(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    desk = Desk(listens, wait_s=LONG_WAIT_S)
    desk.limiter.enter(low_priority=False)
    queued = await desk.visit("/")
    await asyncio.sleep(waited_s)
    desk.limiter.leave(0)
    await settled()
    assert heard == []
    queued.leave()
    await asyncio.wait_for(queued.task, 1)
    assert heard == ["http.request", "http.disconnect"]


async def test_a_failure_gives_the_place_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    desk = Desk(fails)
    with pytest.raises(RuntimeError):
        await (await desk.visit("/")).task
    assert desk.limiter.in_flight == 0


async def test_at_the_deadline_the_work_is_cancelled() -> None:
    cancelled, before = asyncio.Event(), deadlines_exceeded()

    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    desk = Desk(works, deadline_s=0.05)
    visitor = await desk.visit("/")
    assert await visitor.status() == 503
    assert_unavailable(visitor, "The request took too long.")
    assert cancelled.is_set()
    assert deadlines_exceeded() - before == 1
    assert desk.limiter.in_flight == 0


async def test_the_deadline_counts_the_wait() -> None:
    before = sheds("timed_out")
    desk = Desk(sleeps, deadline_s=0.05)
    desk.limiter.enter(low_priority=False)
    queued = await desk.visit("/")
    assert await queued.status() == 503
    assert_unavailable(queued, "The request took too long.")
    assert (desk.limiter.in_flight, desk.limiter.queued) == (1, 0)
    assert sheds("timed_out") == before


@pytest.mark.parametrize("value", [b"0.05", b"0.050000", b"0"])
async def test_a_client_may_wait_for_less(value: bytes) -> None:
    desk, ours, theirs = Desk(sleeps, deadline_s=60), deadlines_exceeded(), missed_by_choice()
    visitor = await desk.visit("/", [(b"x-request-timeout", value)])
    assert await visitor.status() == 408
    assert "X-Request-Timeout" in json.loads(visitor.body)["detail"]
    assert (deadlines_exceeded(), missed_by_choice()) == (ours, theirs + 1)


@pytest.mark.parametrize(
    "value", [b"60", b"1e-9", b"-1", b"nan", b"inf", b"", b" 0", b"0" * 7, b"0,1", b"0\n", b"1s"]
)
async def test_a_client_may_not_wait_for_more_and_nonsense_is_ignored(value: bytes) -> None:
    desk = Desk(sleeps, deadline_s=0.2)
    visitor = await desk.visit("/", [(b"x-request-timeout", value)])
    await asyncio.sleep(0.05)
    assert not visitor.task.done()
    assert await visitor.status() == 503


async def test_a_timeout_of_the_application_is_its_own() -> None:
    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await (await Desk(gives_up).visit("/")).task


async def test_an_answer_that_has_begun_is_not_cut() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(4):
                yield b"x"
                await asyncio.sleep(0.05)

        await StreamingResponse(parts())(scope, receive, send)

    desk = Desk(stream, deadline_s=0.1)
    streaming = await desk.visit("/")
    assert desk.limiter.in_flight == 0  # others may come in while it streams
    assert await streaming.status() == 200
    assert streaming.body == b"xxxx"
    assert desk.limiter.in_flight == 0


async def test_an_answer_to_the_cancelled_request_is_sent_once() -> None:
    """What answers although it was cancelled has answered."""

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await Response("half", 202)(scope, receive, send)

    desk = Desk(stubborn, deadline_s=0.05)
    visitor = await desk.visit("/")
    assert await visitor.status() == 202
    assert [message["type"] for message in visitor.sent] == [
        "http.response.start",
        "http.response.body",
    ]


async def test_what_is_long_running_has_neither_place_nor_deadline() -> None:
    api = FastAPI()
    entered: list[int] = []

    @api.get("/long", dependencies=[Depends(long_running)])
    async def long() -> str:
        entered.append(desk.limiter.in_flight)
        await asyncio.sleep(0.2)
        return "done"

    desk = Desk(api, deadline_s=0.1)
    visitor = Visitor(_complete(desk.app), "/long")
    assert await visitor.status() == 200
    assert visitor.body == b'"done"'
    assert entered == [0]
    assert desk.limiter.in_flight == 0


def _complete(app: object) -> object:
    """FastAPI wants more of the scope."""

    async def complete(scope: Scope, receive: Receive, send: Send) -> None:
        more = {"query_string": b"", "root_path": "", "http_version": "1.1", "state": {}}
        await app({**more, **scope}, receive, send)  # type: ignore[operator]

    return complete


async def test_other_scopes_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    desk = Desk(app)
    await desk.app({"type": "lifespan"}, sleeps, sleeps)  # type: ignore[arg-type]
    assert seen == ["lifespan"]
