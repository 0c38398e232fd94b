"""A place is for work: who sends slowly or reads slowly has none, and what is measured is work."""

from __future__ import annotations

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.backpressure import long_running
from app.backpressure.body import AHEAD
from app.http.edge import Edge
from app.http.errors import send_refusal
from app.settings import CoreSettings
from app.settings import Environment
from tests.backpressure.visitors import Desk
from tests.backpressure.visitors import Handler
from tests.backpressure.visitors import Visitor
from tests.backpressure.visitors import deadlines_exceeded
from tests.backpressure.visitors import settled

pytestmark = pytest.mark.anyio

CHUNKED = [(b"transfer-encoding", b"chunked")]
SOON_S = 0.05


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await Response(body)(scope, receive, send)


def answers(status: int) -> object:
    """An application that answers with this status."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("", status)(scope, receive, send)

    return answer


@pytest.mark.parametrize("header", [CHUNKED[0], (b"content-length", b"9")])
async def test_a_body_on_its_way_has_no_place(header: tuple[bytes, bytes]) -> None:
    desk = Desk(echo, queue=0)
    slow = await desk.visit("/", [header], b"one ", whole=False)
    assert desk.limiter.in_flight == 0
    assert await (await desk.visit("/other")).status() == 200
    slow.send(b"two ", more=True)
    slow.send(b"three", more=False)
    assert await slow.status() == 200
    assert slow.body == b"one two three"


@pytest.mark.parametrize("part", [b"a", bytes(AHEAD)])
async def test_a_body_that_does_not_come_is_its_clients_fault(part: bytes) -> None:
    """Also where both times are the same."""

    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await echo(scope, receive, send)
        except HTTPException as refused:
            await send_refusal(send, refused)

    desk, before = Desk(refuses, deadline_s=SOON_S), deadlines_exceeded()
    edge = Edge(desk.app, CoreSettings(environment=Environment.TEST, body_timeout_s=SOON_S))
    slow = Visitor(edge, "/", CHUNKED, part, whole=False)
    assert await slow.status() == 408
    assert (b"connection", b"close") in slow.sent[0]["headers"]
    assert deadlines_exceeded() == before
    assert desk.observed.told == []


async def test_a_body_that_is_too_large_is_refused_before_it_has_a_place() -> None:
    desk = Desk(echo)
    edge = Edge(desk.app, CoreSettings(environment=Environment.TEST, max_body_bytes=10))
    assert await Visitor(edge, "/", CHUNKED, bytes(11), whole=False).status() == 413
    assert desk.observed.told == []


async def test_a_client_that_leaves_amid_its_body_is_no_failure() -> None:
    desk = Desk(echo)
    leaving = await desk.visit("/", CHUNKED, b"one ", whole=False)
    leaving.leave()
    assert await leaving.status() == 400


async def test_of_a_large_body_the_first_part_is_waited_for() -> None:
    desk = Desk(echo)
    large = await desk.visit("/", CHUNKED, bytes(AHEAD - 1), whole=False)
    assert desk.limiter.in_flight == 0
    large.send(b"x", more=True)
    await settled()
    assert desk.limiter.in_flight == 1
    large.send(b"y", more=False)
    assert await large.status() == 200
    assert large.body == bytes(AHEAD - 1) + b"xy"


async def test_while_the_rest_comes_there_is_no_deadline_and_then_all_of_it() -> None:
    handler = Handler()

    async def reads_and_waits(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        await handler(scope, receive, send)

    desk, before = Desk(reads_and_waits, deadline_s=SOON_S), deadlines_exceeded()
    large = await desk.visit("/", CHUNKED, bytes(AHEAD), whole=False)
    await asyncio.sleep(3 * SOON_S)
    assert not large.task.done()
    large.send(b"", more=False)
    assert await large.status() == 503
    assert handler.entered == ["/"]
    assert deadlines_exceeded() - before == 1


async def test_what_is_measured_begins_with_the_end_of_the_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter((100.0, 200.0, 201.0))  # of the place, of the end of the body, of the answer
    monkeypatch.setattr("app.backpressure.visit.monotonic", lambda: next(times))
    desk = Desk(echo)
    large = await desk.visit("/", CHUNKED, bytes(AHEAD), whole=False)
    large.send(b"", more=False)
    assert await large.status() == 200
    assert desk.observed.told == [(1, True)]


async def test_what_is_streamed_is_not_waited_for() -> None:
    desk = Desk(echo, streamed=["/file"])
    streaming = await desk.visit("/file", CHUNKED, b"first", whole=False)
    assert desk.limiter.in_flight == 1
    streaming.send(b"", more=False)
    assert await streaming.status() == 200
    assert streaming.body == b"first"


async def test_who_does_not_read_has_no_place() -> None:
    desk = Desk(answers(200))
    stuck = await desk.visit("/", reads=False)
    assert (stuck.sent, stuck.task.done()) == ([], False)
    assert desk.limiter.in_flight == 0
    assert await (await desk.visit("/other")).status() == 200
    stuck.task.cancel()


@pytest.mark.parametrize(
    ("status", "finished"),
    [(200, [True]), (304, [True]), (401, []), (429, []), (500, [False]), (503, [False])],
)
async def test_refusals_say_nothing_of_the_service(status: int, finished: list[bool]) -> None:
    desk = Desk(answers(status))
    assert await (await desk.visit("/")).status() == status
    assert [one for _, one in desk.observed.told] == finished


@pytest.mark.parametrize("patience", [b"0", b"60"])
async def test_what_was_given_up_has_taken_longer(patience: bytes) -> None:
    async def sleeps(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    desk = Desk(sleeps, deadline_s=SOON_S)
    await (await desk.visit("/", [(b"x-request-timeout", patience)])).status()
    assert [finished for _, finished in desk.observed.told] == [False]


async def test_what_runs_long_is_not_measured() -> None:
    async def runs_long(scope: Scope, receive: Receive, send: Send) -> None:
        long_running(Request(scope))
        await Response("done")(scope, receive, send)

    desk = Desk(runs_long)
    assert await (await desk.visit("/")).status() == 200
    assert desk.observed.told == []
