"""What is compressed, and what the client is told of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from prometheus_client import REGISTRY
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from tests.compression.answers import BODY
from tests.compression.answers import DECODE
from tests.compression.answers import GZIP
from tests.compression.answers import JSON
from tests.compression.answers import answering
from tests.compression.answers import compressed
from tests.http.asgi import Answer
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

PNG = (b"content-type", b"image/png")
VARY = ["Accept-Encoding"]


async def passes_as_it_is(app: ASGIApp, method: str = "GET") -> bool:
    """Whether a client that accepts gzip gets exactly what the application sends."""
    plain = await call(app, method, headers=[GZIP])
    answer = await call(compressed(app), method, headers=[GZIP])
    return (answer.status, answer.headers, answer.body) == (
        plain.status,
        plain.headers,
        plain.body,
    )


def is_gzip(answer: Answer, body: bytes = BODY) -> bool:
    """Whether the answer is this body, compressed, and says so."""
    assert answer.values("content-encoding") == ["gzip"]
    assert answer.values("content-length") == [str(len(answer.body))]
    assert answer.values("vary") == VARY
    return DECODE["gzip"](answer.body) == body


@pytest.mark.parametrize("coding", DECODE)
async def test_an_answer_comes_as_it_was_asked_for(coding: str) -> None:
    given = [JSON, (b"content-length", b"%d" % len(BODY)), (b"x-one", b"1")]
    app = compressed(answering(status=201, headers=given))
    answer = await call(app, headers=[(b"accept-encoding", coding.encode())])
    assert answer.status == 201
    assert answer.headers == [
        JSON,
        (b"x-one", b"1"),
        (b"vary", b"Accept-Encoding"),
        (b"content-encoding", coding.encode()),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    assert len(answer.body) < len(BODY) / 3
    assert DECODE[coding](answer.body) == BODY


@pytest.mark.parametrize(
    "asked",
    [
        [],
        [(b"accept-encoding", b"")],
        [(b"accept-encoding", b"deflate")],
        [(b"accept-encoding", b"gzip;q=0")],
        [(b"accept-encoding", b"identity;q=0, deflate")],
        [GZIP, (b"x-no-compression", b"1")],
        [(b"accept-encoding", b"gzip, " * 1000)],
    ],
)
async def test_without_a_coding_it_says_that_there_are_others(
    asked: Iterable[tuple[bytes, bytes]],
) -> None:
    given = [JSON, (b"etag", b'"1"'), (b"accept-ranges", b"bytes")]
    answer = await call(compressed(answering(headers=given)), headers=asked)
    assert answer.body == BODY
    assert answer.headers == [*given, (b"vary", b"Accept-Encoding")]


@pytest.mark.parametrize(
    ("size", "asked", "smaller"),
    [
        (1024, b"gzip", True),
        (1023, b"gzip", False),
        (1023, b"gzip, identity;q=0", True),
        (1, b"gzip, *;q=0", True),
        (0, b"gzip, identity;q=0", False),
        (1023, b"identity;q=0", False),
    ],
)
async def test_the_threshold_holds_unless_the_body_as_it_is_is_refused(
    size: int, asked: bytes, smaller: bool
) -> None:
    body = b"x" * size
    answer = await call(compressed(answering(body)), headers=[(b"accept-encoding", asked)])
    if smaller:
        assert is_gzip(answer, body)
    else:
        assert (answer.body, answer.headers) == (body, [JSON])


async def test_the_threshold_is_a_setting() -> None:
    app = compressed(answering(b"x" * 10), threshold_bytes=10)
    assert is_gzip(await call(app, headers=[GZIP]), b"x" * 10)


@pytest.mark.parametrize("status", [200, 404, 422, 500])
@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"application/problem+json",
        b"Application/JSON; charset=utf-8",
        b"text/html; charset=utf-8",
        b"text/csv",
        b"image/svg+xml",
        b"application/javascript",
    ],
)
async def test_text_of_every_kind_is_compressed(kind: bytes, status: int) -> None:
    app = compressed(answering(status=status, headers=[(b"content-type", kind)]))
    assert is_gzip(await call(app, headers=[GZIP]))


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [PNG]),
        (200, [(b"content-type", b"application/zip")]),
        (200, [(b"content-type", b"application/octet-stream")]),
        (200, [(b"content-type", b"text/event-stream")]),
        (200, [(b"content-type", b"text/event-stream; charset=utf-8")]),
        (200, []),
        (200, [JSON, (b"content-encoding", b"br")]),
        (200, [JSON, (b"Content-Encoding", b"identity")]),
        (200, [JSON, (b"cache-control", b"public, No-Transform")]),
        (200, [JSON, (b"content-digest", b"sha-256=:AA==:")]),
        (200, [JSON, (b"repr-digest", b"sha-256=:AA==:")]),
        (200, [JSON, (b"transfer-encoding", b"chunked")]),
        (206, [JSON, (b"content-range", b"bytes 0-99/200")]),
        (206, [JSON]),
        (416, [JSON, (b"content-range", b"bytes */200")]),
        (204, [JSON]),
        (205, [JSON]),
    ],
)
async def test_what_is_to_stay_as_it_is_does(
    status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    assert await passes_as_it_is(answering(status=status, headers=headers))


async def test_a_stream_passes_part_by_part() -> None:
    assert await passes_as_it_is(answering(BODY, BODY, b""))
    assert await passes_as_it_is(answering(b"", BODY))
    received: list[Message] = []
    at_each_send: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_look(message: Message) -> None:
            await send(message)
            at_each_send.append(len(received))

        await answering(BODY, BODY)(scope, receive, send_and_look)

    await compressed(app)(_SCOPE, _nothing, _into(received))
    assert at_each_send == [0, 2, 3]  # the head waits for the first part, and nothing else waits


_SCOPE: Scope = {"type": "http", "method": "GET", "headers": [GZIP]}


def _into(received: list[Message]) -> Send:
    async def send(message: Message) -> None:
        received.append(message)

    return send


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def test_other_messages_pass_in_their_place() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [JSON]}
    path = {"type": "http.response.pathsend", "path": "/etc/hostname"}
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(start))
        await send(path)

    await compressed(app)(_SCOPE, _nothing, _into(received))
    assert received == [start, path]


async def test_what_says_that_it_is_small_is_not_held_back() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [JSON, (b"content-length", b"2")]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        await send(start)
        assert received == [start]
        await send({"type": "http.response.body", "body": b"{}"})

    await compressed(app)(_SCOPE, _nothing, _into(received))
    assert [message.get("body") for message in received] == [None, b"{}"]


async def test_other_scopes_pass() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await compressed(app)({"type": "lifespan"}, _nothing, _into([]))
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize(
    ("given", "etag", "vary"),
    [
        ([(b"etag", b'"1"')], 'W/"1"', "Accept-Encoding"),
        ([(b"ETag", b'"1"')], 'W/"1"', "Accept-Encoding"),
        ([(b"etag", b'W/"1"')], 'W/"1"', "Accept-Encoding"),
        ([(b"vary", b"Origin")], None, "Origin, Accept-Encoding"),
        ([(b"vary", b"Origin"), (b"Vary", b"a, b")], None, "Origin, a, b, Accept-Encoding"),
        ([(b"vary", b"Accept-ENCODING, Origin")], None, "Accept-ENCODING, Origin"),
        ([(b"vary", b"*")], None, "*"),
        ([(b"vary", b"")], None, "Accept-Encoding"),
        ([(b"accept-ranges", b"bytes")], None, "Accept-Encoding"),
        ([(b"Content-Length", b"9999"), (b"content-length", b"9999")], None, "Accept-Encoding"),
    ],
)
async def test_what_was_true_of_the_other_bytes_is_changed(
    given: list[tuple[bytes, bytes]], etag: str | None, vary: str
) -> None:
    answer = await call(compressed(answering(headers=[JSON, *given])), headers=[GZIP])
    lower = [(name.lower().decode(), value.decode()) for name, value in answer.headers]
    assert [value for name, value in lower if name == "etag"] == ([etag] if etag else [])
    assert [value for name, value in lower if name == "vary"] == [vary]
    lengths = [value for name, value in lower if name == "content-length"]
    assert lengths == [str(len(answer.body))]
    assert "accept-ranges" not in dict(lower)


@pytest.mark.parametrize(
    ("held", "etag"),
    [(b'W/"1"', 'W/"1"'), (b'"0", W/"1"', 'W/"1"'), (b'"1"', '"1"'), (b"*", '"1"'), (b"", '"1"')],
)
async def test_not_modified_has_the_head_of_the_answer_that_is_held(held: bytes, etag: str) -> None:
    app = compressed(answering(b"", status=304, headers=[(b"etag", b'"1"')]))
    answer = await call(app, headers=[GZIP, (b"if-none-match", held)])
    assert (answer.status, answer.body) == (304, b"")
    assert (answer.values("etag"), answer.values("vary")) == ([etag], VARY)
    assert answer.values("content-encoding") == []


async def test_head_has_the_head_of_get_without_the_work() -> None:
    def work() -> float | None:
        return REGISTRY.get_sample_value("compression_before_bytes_total", {"coding": "gzip"})

    given = [JSON, (b"content-length", b"%d" % len(BODY)), (b"etag", b'"1"')]
    app = compressed(answering(headers=given))
    got = await call(app, headers=[GZIP])
    before = work()
    head = await call(app, "HEAD", headers=[GZIP])
    assert work() == before
    assert got.headers == [*head.headers, (b"content-length", b"%d" % len(got.body))]
    small = answering(b"", headers=[JSON, (b"content-length", b"99")])
    assert await passes_as_it_is(small, "HEAD")
