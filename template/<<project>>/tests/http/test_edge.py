"""The outermost layer: ids, headers, bounded bodies, the access log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated
from typing import Any

import pytest
from fastapi import Body
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send
from structlog.testing import capture_logs

from app.auth import Principal
from app.http import errors
from app.http.edge import MOST_PATH
from app.http.edge import BodyBound
from app.http.edge import Edge
from app.http.logs import _as_json
from app.http.logs import request_id
from app.http.protocol import _COMPLETE
from app.settings import CoreSettings
from app.settings import Environment
from app.settings import SettingsError
from app.settings import load_settings
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

HELLO = PlainTextResponse("hello")


def edge(app: Any = HELLO, **settings: Any) -> Edge:
    return Edge(app, CoreSettings(**{"environment": Environment.TEST, **settings}))


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


async def test_every_answer_has_an_id_of_its_own() -> None:
    app = edge()
    ids = [(await call(app)).values("x-request-id") for _ in range(100)]
    assert len({one for (one,) in ids}) == 100


async def test_the_id_of_a_caller_is_kept() -> None:
    seen: list[str | None] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(request_id.get())
        await HELLO(scope, receive, send)

    answer = await call(edge(inner), headers=[(b"x-request-id", b"trace-1.a_B")])
    assert answer.values("x-request-id") == seen == ["trace-1.a_B"]


@pytest.mark.parametrize(
    "given",
    [b"", b" ", b"a b", b"a\r\nset-cookie: x", b'"', b"\xff", b"x" * 65, b"a\n", "é".encode()],
)
async def test_an_id_that_could_do_harm_is_replaced(given: bytes) -> None:
    (answered,) = (await call(edge(), headers=[(b"x-request-id", given)])).values("x-request-id")
    assert answered.encode() != given
    assert answered.isalnum()


async def test_security_headers_are_on_every_answer() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    too_large = [(b"content-length", b"99999999")]
    for app, headers, status in ((HELLO, [], 200), (fails, [], 500), (HELLO, too_large, 413)):
        answer = await call(edge(app), headers=headers)
        assert answer.status == status
        assert answer.values("x-content-type-options") == ["nosniff"]
        assert "frame-ancestors 'none'" in answer.values("content-security-policy")[0]
        assert answer.values("cache-control") == ["no-store"]
        assert answer.values("strict-transport-security") == []


async def test_production_insists_on_tls() -> None:
    answer = await call(edge(environment=Environment.PRODUCTION))
    assert len(answer.values("strict-transport-security")) == 1


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (b"10", 200),
        (b"11", 413),
        (b"9" * 5000, 413),
        (b"0" * 40 + b"11", 413),
        (b"010", 200),
        (b"x", 200),
        (b"", 200),
    ],
)
async def test_a_declared_length_is_bounded(length: bytes, status: int) -> None:
    answer = await call(edge(max_body_bytes=10), "POST", headers=[(b"content-length", length)])
    assert answer.status == status
    if status == 413:
        assert answer.values("connection") == ["close"]
        assert answer.json()["detail"] == "The body may have at most 10 bytes."


@pytest.mark.parametrize(("parts", "status"), [([b"[1,", b"2]"], 200), ([b"[1,", b"2,3,4]"], 413)])
async def test_an_undeclared_length_is_bounded(parts: list[bytes], status: int) -> None:
    api = FastAPI()
    errors.install(api)

    @api.post("/")
    async def total(numbers: Annotated[list[int], Body()]) -> int:
        return sum(numbers)

    headers = [(b"transfer-encoding", b"chunked"), (b"content-type", b"application/json")]
    answer = await call(edge(api, max_body_bytes=6), "POST", headers=headers, body=parts)
    assert answer.status == status
    if status == 413:
        assert answer.values("connection") == ["close"]
        assert answer.values("content-type") == ["application/problem+json"]


async def test_only_what_is_there_and_as_long_as_it_says_is_not_watched() -> None:
    watched: list[bool] = []

    async def complete(scope: Scope, receive: Receive, send: Send) -> None:
        async def app(scope: Scope, given: Receive, send: Send) -> None:
            watched.append(given is not receive)
            await HELLO(scope, given, send)

        scope["state"][_COMPLETE] = True
        await edge(app, max_body_bytes=10)(scope, receive, send)

    length, chunked = (b"content-length", b"10"), (b"transfer-encoding", b"chunked")
    for headers in ([length], [chunked], [length, chunked]):
        assert (await call(complete, "POST", headers=headers)).status == 200
    assert watched == [False, True, True]
    assert (await call(complete, "POST", headers=[(b"content-length", b"11")])).status == 413


async def test_the_body_of_a_path_may_have_a_bound_of_its_own() -> None:
    api = FastAPI()
    errors.install(api)

    @api.post("/{path}")
    async def length(request: Request) -> int:
        return len(await request.body())

    core = CoreSettings(environment=Environment.TEST, max_body_bytes=10)
    app = Edge(api, core, {"/large": BodyBound(20, 60)})
    for path, size, status in (("/large", 20, 200), ("/large", 21, 413), ("/other", 11, 413)):
        for header in ((b"content-length", b"%d" % size), (b"transfer-encoding", b"chunked")):
            answer = await call(app, "POST", path, [header], [b"x" * 10, b"x" * (size - 10)])
            assert answer.status == status


async def test_one_line_a_request(logs: list[Any]) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope["principal"] = Principal("key:acme", "standard", frozenset())
        await HELLO(scope, receive, send)

    await call(edge(inner), "POST", "/items", [(b"authorization", b"Bearer hunter2")])
    (line,) = logs
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/items", 200)
    assert (line["client"], line["principal"]) == ("192.0.2.1", "key:acme")
    assert line["ms"] >= 0
    assert "hunter2" not in str(line)


async def test_of_a_path_no_more_is_logged_than_somebody_reads(logs: list[Any]) -> None:
    await call(edge(), path="/" + "x" * 60_000)
    (line,) = logs
    assert line["path"] == "/" + "x" * (MOST_PATH - 1)


async def test_the_access_log_can_be_off(logs: list[Any]) -> None:
    await call(edge(access_log=False))
    assert logs == []


async def test_a_failure_is_answered_and_logged_without_details(logs: list[Any]) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("hunter2")

    answer = await call(edge(fails))
    assert (answer.status, answer.json()["title"]) == (500, "Internal Server Error")
    assert answer.json()["requestId"] == answer.values("x-request-id")[0]
    assert b"hunter2" not in answer.body
    assert [line["event"] for line in logs] == ["request_failed", "request"]
    assert str(logs[0]["exc_info"]) == "hunter2"
    assert logs[1]["status"] == 500


async def test_a_failure_of_a_handler_is_logged_once(logs: list[Any]) -> None:
    api = FastAPI()
    errors.install(api)

    @api.get("/")
    async def fails() -> None:
        raise RuntimeError("hunter2")

    answer = await call(edge(api))
    assert (answer.status, answer.json()["title"]) == (500, "Internal Server Error")
    assert answer.json()["requestId"] == answer.values("x-request-id")[0]
    assert b"hunter2" not in answer.body
    assert [line["event"] for line in logs] == ["request_failed", "request"]


async def test_a_failure_amid_an_answer_is_logged(logs: list[Any]) -> None:
    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    await call(edge(breaks_off))
    assert [line["event"] for line in logs] == ["request_failed", "request"]


async def test_other_scopes_pass() -> None:
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    await edge(inner)({"type": "lifespan"}, receive, send)
    assert seen == [{"type": "lifespan"}]


names = st.sampled_from([b"x-request-id", b"content-length", b"transfer-encoding", b"host"])


@given(st.lists(st.tuples(names, st.binary(max_size=40)), max_size=5))
async def test_no_header_breaks_it(headers: list[tuple[bytes, bytes]]) -> None:
    answer = await call(edge(access_log=False), headers=headers)
    assert answer.status in (200, 413)
    json.dumps(answer.values("x-request-id"))


@pytest.mark.parametrize("head", [(b"content-length", b"100"), (b"transfer-encoding", b"chunked")])
async def test_a_body_that_does_not_come_is_not_waited_for(head: tuple[bytes, bytes]) -> None:
    api = FastAPI()
    errors.install(api)

    @api.post("/")
    async def take(body: Annotated[dict[str, int], Body()]) -> None:
        """Read the body."""

    started: list[Message] = []

    async def receive() -> Message:
        if not started:
            started.append({})
            return {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        started.append(message)

    headers = [head, (b"content-type", b"application/json")]
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    scope.update(query_string=b"", client=None, root_path="", http_version="1.1")
    async with asyncio.timeout(5):
        await edge(api, body_timeout_s=0.1)(scope, receive, send)
    assert started[1]["status"] == 408
    assert (b"connection", b"close") in started[1]["headers"]


async def test_what_cannot_be_encoded_is_logged_all_the_same() -> None:
    assert b"ud800" in _as_json(None, "info", {"event": "\ud800"})


def test_an_empty_variable_is_not_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "INTERNAL_HOST", "PORT", "DOCS"):
        monkeypatch.setenv(name, "")
    settings = CoreSettings()
    assert (settings.host, settings.internal_host) == ("127.0.0.1", "127.0.0.1")


def test_a_time_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODY_TIMEOUT_S", "inf")
    with pytest.raises(SettingsError, match="BODY_TIMEOUT_S is not usable"):
        load_settings([])
