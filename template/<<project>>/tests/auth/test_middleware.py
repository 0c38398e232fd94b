"""Who is let in, with API keys."""

from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi import Request
from prometheus_client import REGISTRY
from starlette.responses import PlainTextResponse
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import Authentication
from app.auth import Principal
from app.auth import require
from app.auth.keys import Entry
from app.auth.keys import new_key
from app.http import errors
from tests.http.asgi import Answer
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

WRITES = ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "PROPFIND", "get"]


async def reached(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that tells who came."""
    principal = scope.get("principal")
    await PlainTextResponse(principal.id if principal else "anonymous")(scope, receive, send)


def made(name: str, *scopes: str) -> tuple[bytes, Entry]:
    key, entry = new_key(name, "standard", list(scopes))
    return key.encode(), Entry.parse(entry, 1)


(FULL, _full), (READER, _reader), (WRITER, _writer) = (
    made("full", "read", "write"),
    made("reader", "read"),
    made("writer", "write"),
)
PRINCIPALS = {entry.digest: entry.principal for entry in (_full, _reader, _writer)}
UNKNOWN = made("unknown", "read", "write")[0]

private = Authentication(reached, PRINCIPALS)
public = Authentication(reached, PRINCIPALS, public_reads=True)


def bearer(credential: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"test"), (b"authorization", b"Bearer " + credential)]


def key_header(credential: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"x-api-key", credential), (b"accept", b"*/*")]


def refused(reason: str) -> float:
    return REGISTRY.get_sample_value("auth_refused_total", {"reason": reason}) or 0


def assert_refused(answer: Answer, status: int, error: str | None) -> None:
    assert answer.status == status
    assert answer.values("content-type") == ["application/problem+json"]
    assert answer.json()["status"] == status
    (challenge,) = answer.values("www-authenticate")
    assert challenge.startswith("Bearer realm=")
    assert ("error=" in challenge) == (error is not None)
    assert error is None or f'error="{error}"' in challenge
    assert "principal" not in answer.scope


@pytest.mark.parametrize("method", ["GET", "HEAD", *WRITES])
@pytest.mark.parametrize("headers", [bearer(FULL), key_header(FULL)])
async def test_a_key_in_either_header_is_let_in(method: str, headers: Any) -> None:
    answer = await call(private, method, headers=headers)
    assert answer.status == 200
    assert answer.scope["principal"] == Principal(
        "key:full", "standard", frozenset({"read", "write"})
    )


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR", b"Bearer  "])
async def test_the_scheme_is_read_in_any_case(scheme: bytes) -> None:
    answer = await call(private, headers=[(b"authorization", scheme + b" " + FULL)])
    assert answer.status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", *WRITES])
async def test_nobody_is_let_in_without_credentials(method: str) -> None:
    before = refused("missing")
    assert_refused(await call(private, method), 401, None)
    assert refused("missing") == before + 1


@pytest.mark.parametrize("method", WRITES)
async def test_public_reads_are_reads(method: str) -> None:
    for read in ("GET", "HEAD"):
        answer = await call(public, read)
        assert (answer.status, "principal" in answer.scope) == (200, False)
    assert_refused(await call(public, method), 401, None)


@pytest.mark.parametrize("app", [private, public])
async def test_bad_credentials_are_refused_even_where_none_are_needed(app: Authentication) -> None:
    before = refused("unknown_key")
    assert_refused(await call(app, headers=bearer(UNKNOWN)), 401, "invalid_token")
    assert_refused(await call(app, headers=key_header(UNKNOWN)), 401, "invalid_token")
    assert refused("unknown_key") == before + 2


@pytest.mark.parametrize("app", [private, public])
@pytest.mark.parametrize(
    ("key", "method", "status"),
    [
        (READER, "GET", 200),
        (READER, "HEAD", 200),
        *((READER, method, 403) for method in WRITES),
        (WRITER, "GET", 403),
        (WRITER, "POST", 200),
    ],
)
async def test_scopes_hold(app: Authentication, key: bytes, method: str, status: int) -> None:
    answer = await call(app, method, headers=bearer(key))
    if status == 200:
        assert answer.status == 200
    else:
        assert_refused(answer, 403, "insufficient_scope")


async def test_only_health_is_public_and_only_to_read() -> None:
    assert (await call(private, path="/health")).status == 200
    assert (await call(private, "HEAD", "/health")).status == 200
    assert (await call(private, "POST", "/health")).status == 401
    for path in ("/", "/health/", "//health", "/Health", "/health/..", "/healthz", "/metrics"):
        assert (await call(private, path=path)).status == 401, path


async def test_what_is_open_is_so_for_that_method_and_path_alone() -> None:
    app = Authentication(reached, PRINCIPALS, open_routes={("POST", "/login")})
    assert (await call(app, "POST", "/login")).body == b"anonymous"
    for method, path in (("PUT", "/login"), ("GET", "/login"), ("POST", "/login/"), ("POST", "/")):
        assert_refused(await call(app, method, path), 401, None)
    assert_refused(await call(app, "POST", "/login", bearer(UNKNOWN)), 401, "invalid_token")
    for key, name in ((FULL, b"key:full"), (READER, b"key:reader")):
        assert (await call(app, "POST", "/login", bearer(key))).body == name


async def test_what_asks_no_scope_is_for_whoever_is_known() -> None:
    app = Authentication(reached, PRINCIPALS, any_scope_routes=[("DELETE", "/mine/{id}")])
    assert (await call(app, "DELETE", "/mine/1", bearer(READER))).body == b"key:reader"
    for method, path in (("POST", "/mine/1"), ("DELETE", "/mine"), ("DELETE", "/mine/1/2")):
        answer = await call(app, method, path, bearer(READER))
        assert_refused(answer, 403, "insufficient_scope")
    assert_refused(await call(app, "DELETE", "/mine/1"), 401, None)
    assert_refused(await call(app, "DELETE", "/mine/1", bearer(UNKNOWN)), 401, "invalid_token")


async def test_a_layer_further_out_may_know_more_ways_to_be_known() -> None:
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["missing"] = "Knock."
        await private(scope, receive, send)

    assert (await call(outer)).json()["detail"] == "Knock."
    wrong = (await call(outer, headers=bearer(UNKNOWN))).json()["detail"]
    assert wrong == "The API key is not valid."


@pytest.mark.parametrize(
    ("scopes", "method", "status"),
    [("read", "GET", 200), ("read", "POST", 403), ("write", "POST", 200), ("write", "GET", 403)],
)
async def test_a_layer_further_out_may_have_found_who_it_is(
    scopes: str, method: str, status: int
) -> None:
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["principal"] = Principal("user:7", "standard", frozenset({scopes}))
        await private(scope, receive, send)

    answer = await call(outer, method)
    assert answer.status == status
    assert status != 200 or answer.body == b"user:7"
    # credentials in a header count, whatever was found
    assert (await call(outer, method, headers=bearer(FULL))).body == b"key:full"
    assert (await call(outer, method, headers=bearer(UNKNOWN))).status == 401


async def test_options_passes_and_has_no_principal() -> None:
    answer = await call(private, "OPTIONS", headers=bearer(UNKNOWN))
    assert (answer.status, answer.body) == (200, b"anonymous")


async def test_a_revoked_key_is_refused() -> None:
    left = {digest: who for digest, who in PRINCIPALS.items() if who.id != "key:full"}
    assert (await call(private, headers=bearer(FULL))).status == 200
    assert (await call(Authentication(reached, left), headers=bearer(FULL))).status == 401


@pytest.mark.parametrize("app", [private, public])
@pytest.mark.parametrize(
    "headers",
    [
        bearer(FULL) + bearer(FULL),
        bearer(FULL) + bearer(UNKNOWN),
        bearer(UNKNOWN) + bearer(FULL),
        bearer(FULL) + key_header(FULL),
        key_header(FULL) + key_header(FULL),
        [*bearer(FULL), (b"authorization", b"")],
        [(b"authorization", b"Basic dTpw"), *key_header(FULL)],
    ],
)
async def test_two_credentials_are_refused(app: Authentication, headers: Any) -> None:
    assert_refused(await call(app, headers=headers), 401, "invalid_request")


@pytest.mark.parametrize("app", [private, public])
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"Bearer    ",
        b"Bearer\t" + FULL,
        b"Bearer:" + FULL,
        b"Bearer" + FULL,
        b" Bearer " + FULL,
        FULL,
        b"Basic " + FULL,
        b"Token " + FULL,
        b"Bearer\xa0" + FULL,
        "Bеarer ".encode() + FULL,  # noqa: RUF001 - a Cyrillic letter
        b"Bearer " + FULL + b" ",
        b"Bearer " + FULL + b",",
        b"Bearer " + FULL + b"\0",
        b"Bearer " + FULL + b" " + FULL,
        b"Bearer \t" + FULL,
        b'Bearer "' + FULL + b'"',
        b"Bearer " + FULL[:-1],
        b"Bearer " + FULL.upper(),
        b"Bearer " + FULL.replace(b"pk_", b"PK_"),
        b"Bearer \xff\xfe",
        b"Bearer pk_" + b"\xff" * 43,
        b"Bearer pk_" + b"A" * 100_000,
        b"Bearer " + b"e30." * 30_000,
    ],
)
async def test_what_is_almost_a_credential_is_refused(app: Authentication, value: bytes) -> None:
    answer = await call(app, headers=[(b"authorization", value)])
    assert answer.status == 401
    assert len(answer.body) < 300
    assert (await call(app, headers=[(b"x-api-key", value or b" ")])).status == (
        200 if value == FULL else 401
    )


async def test_headers_that_only_look_alike_are_not_read() -> None:
    for name in (b"x_api_key", b"x-apikey", b"proxy-authorization", b"authorization "):
        assert_refused(await call(private, headers=[(name, FULL)]), 401, None)


@pytest.mark.parametrize(
    ("credential", "hashes"),
    [(FULL, 1), (UNKNOWN, 1), (b"pk_x", 0), (b"pk_" + b"A" * 100_000, 0), (b"x" * 46, 0)],
)
async def test_the_work_does_not_depend_on_the_key(
    monkeypatch: pytest.MonkeyPatch, credential: bytes, hashes: int
) -> None:
    hashed: list[bytes] = []

    def counting(data: bytes) -> Any:
        hashed.append(data)
        return sha256(data)

    monkeypatch.setattr("app.auth.middleware.sha256", counting)
    await call(private, headers=key_header(credential))
    assert len(hashed) == hashes


async def test_what_is_sent_appears_nowhere() -> None:
    answer = await call(private, headers=bearer(b"pk_" + b"S" * 43))
    assert b"SSS" not in answer.body + repr(answer.headers).encode()


async def test_websockets_need_a_credential_that_may_write() -> None:
    async def connect(headers: list[tuple[bytes, bytes]]) -> tuple[list[Message], bool]:
        sent: list[Message] = []
        inside: list[Scope] = []

        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            inside.append(scope)

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/health", "headers": headers}
        await Authentication(inner, PRINCIPALS, public_reads=True)(scope, receive, send)
        return sent, bool(inside)

    closed = [{"type": "websocket.close", "code": 1008}]
    assert await connect([]) == (closed, False)
    assert await connect(bearer(READER)) == (closed, False)
    assert await connect(bearer(FULL)) == ([], True)


async def test_the_lifespan_passes() -> None:
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any: ...

    await Authentication(inner, {})({"type": "lifespan"}, nothing, nothing)
    assert seen == [{"type": "lifespan"}]


async def test_a_handler_may_ask_for_more() -> None:
    api = FastAPI()
    errors.install(api)

    @api.get("/")
    async def settings(request: Request) -> str:
        return require(request, "admin").id

    admin_key, admin = made("boss", "read", "admin")
    app = Authentication(api, {**PRINCIPALS, admin.digest: admin.principal}, public_reads=True)
    before = refused("scope"), refused("missing")
    let_in = await call(app, headers=bearer(admin_key))
    assert (let_in.status, let_in.json()) == (200, "key:boss")
    for headers, status in ((bearer(FULL), 403), ([], 401)):
        answer = await call(app, headers=headers)
        assert answer.status == status
        assert answer.values("content-type") == ["application/problem+json"]
        assert len(answer.values("www-authenticate")) == 1
    assert (refused("scope"), refused("missing")) == (before[0] + 1, before[1] + 1)
