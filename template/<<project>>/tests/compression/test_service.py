"""Compression within a service: opting out, errors, large bodies, a real server."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from fastapi import Depends
from fastapi import FastAPI
from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send
from structlog.testing import capture_logs

from app.compression import Compression
from app.compression import no_compression
from app.compression.codings import LARGE
from app.compression.codings import Coding
from app.http import errors
from app.http.edge import Edge
from app.http.responses import JSONBytes
from app.server import listening
from app.settings import CoreSettings
from app.settings import Environment
from tests.compression.answers import BODY
from tests.compression.answers import DECODE
from tests.compression.answers import GZIP
from tests.compression.answers import JSON
from tests.compression.answers import answering
from tests.compression.answers import compressed
from tests.http.asgi import call

pytestmark = pytest.mark.anyio


def service() -> ASGIApp:
    """Routes that are compressed, and some that are not."""
    api = FastAPI()
    errors.install(api)

    @api.get("/open")
    async def as_usual() -> Response:
        return JSONBytes(BODY)

    @api.get("/asked")
    async def by_a_call(request: Request) -> Response:
        no_compression(request)
        return JSONBytes(BODY)

    @api.get("/declared", dependencies=[Depends(no_compression)])
    async def by_declaration() -> Response:
        return JSONBytes(BODY)

    @api.post("/numbers")
    async def numbers(given: list[int]) -> int:
        return len(given)

    return compressed(api)


async def test_a_route_may_opt_out() -> None:
    app = service()
    answer = await call(app, path="/open", headers=[GZIP])
    assert DECODE["gzip"](answer.body) == BODY
    for path in ("/asked", "/declared"):
        answer = await call(app, path=path, headers=[GZIP])
        assert answer.body == BODY
        assert answer.values("content-encoding") == answer.values("vary") == []


async def test_a_problem_document_is_compressed_too() -> None:
    wrong = json.dumps(["x"] * 50).encode()
    headers = [GZIP, (b"content-type", b"application/json")]
    answer = await call(service(), "POST", "/numbers", headers, [wrong])
    assert (answer.status, answer.values("content-encoding")) == (422, ["gzip"])
    assert answer.values("content-type") == ["application/problem+json"]
    document = json.loads(DECODE["gzip"](answer.body))
    assert (document["status"], len(document["errors"])) == (422, 20)


async def test_a_failure_before_the_body_can_still_be_answered() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        raise RuntimeError

    edge = Edge(compressed(fails), CoreSettings(environment=Environment.TEST))
    with capture_logs():
        answer = await call(edge, headers=[GZIP])
    assert answer.status == 500


class Waiting(Coding):
    """A coding that goes on only while the event loop does."""

    def __init__(self) -> None:
        super().__init__("gzip", lambda body: body[:10])
        self.begun = threading.Event()
        self.turned = threading.Event()
        self.in_loop: bool | None = None

    def encode(self, body: bytes) -> bytes:
        """Wait until the loop says that it turns, if this is not the loop's own thread."""
        self.in_loop = threading.current_thread() is threading.main_thread()
        self.begun.set()
        if not self.in_loop:
            assert self.turned.wait(10)
        return super().encode(body)


async def test_a_large_body_does_not_stop_the_event_loop() -> None:
    coding = Waiting()
    body = bytes(LARGE)
    asked = asyncio.create_task(call(Compression(answering(body), [coding], 1), headers=[GZIP]))
    await asyncio.to_thread(coding.begun.wait, 10)
    coding.turned.set()  # by the loop, while the thread compresses
    answer = await asked
    assert coding.in_loop is False
    assert answer.body == body[:10]


async def test_a_smaller_one_changes_no_threads() -> None:
    coding = Waiting()
    await call(Compression(answering(bytes(LARGE - 1)), [coding], 1), headers=[GZIP])
    assert coding.in_loop is True


async def test_many_large_bodies_at_once() -> None:
    bodies = [json.dumps([number] * 50_000).encode() for number in range(20)]
    asked = [(b"accept-encoding", name.encode()) for name in DECODE]
    calls = [call(compressed(answering(body)), headers=[one]) for body in bodies for one in asked]
    answers = await asyncio.gather(*calls)
    decoded = [DECODE[a.values("content-encoding")[0]](a.body) for a in answers]
    assert decoded == [body for body in bodies for _ in asked]


async def test_on_a_real_connection_head_and_get_follow_each_other() -> None:
    """Without a length, HEAD has no body all the same: nothing of it is taken for the next."""
    given = [JSON, (b"content-length", b"%d" % len(BODY))]
    request = b"%s / HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\n\r\n"
    async with listening(compressed(answering(headers=given)), "127.0.0.1", 0, 5) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request % b"HEAD" + request % b"GET")
        head = await _fields(reader)
        got = await _fields(reader)
        body = await reader.readexactly(int(got["content-length"]))
        writer.close()
    assert DECODE["gzip"](body) == BODY
    assert head["content-encoding"] == got["content-encoding"] == "gzip"
    assert not {"content-length", "transfer-encoding"} & head.keys()


async def _fields(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The fields of the next head."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    assert lines[0] == "HTTP/1.1 200 OK"
    return dict(line.split(": ", 1) for line in lines[1:] if line)
