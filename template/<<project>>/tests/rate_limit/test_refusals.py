"""Which of authentication's refusals count for the address: those of guesses, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from time import time

import pytest
from starlette.types import ASGIApp

from app.auth.keys import new_key
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from tests.auth.issuer import AUDIENCE
from tests.auth.issuer import NAME
from tests.auth.issuer import Jwks
from tests.auth.issuer import token
from tests.http.asgi import Answer
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

type Headers = list[tuple[bytes, bytes]]

LONG_AGO = int(time()) - 600
KEY, ENTRY = new_key("acme", "standard", ["read"])


def bearer(credential: bytes) -> Headers:
    return [(b"authorization", b"Bearer " + credential)]


GUESS = bearer(b"pk_" + b"A" * 43)


@pytest.fixture
def jwks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jwks]:
    """A running JWKS server, which no proxy is asked for."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Jwks().serving() as running:
        yield running


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], jwks: Jwks) -> Service:
    """A service that knows a key and an issuer, and admits one request of an address."""
    monkeypatch.setenv("AUTH_API_KEYS", ENTRY)
    monkeypatch.setenv("AUTH_JWT_ISSUER", NAME)
    monkeypatch.setenv("AUTH_JWT_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("AUTH_JWKS_URL", jwks.url)
    monkeypatch.setenv("RATE_LIMIT_ANONYMOUS", "1")
    return Service(PATTERNS)


async def ask(app: ASGIApp, *asked: Headers, method: str = "GET") -> list[Answer]:
    """The answers to these requests, one after another."""
    return [await call(app, method, headers=headers) for headers in asked]


async def assert_not_counted(service: Service, status: int, headers: Headers, method: str) -> None:
    """It is answered so before and after guesses have used up the address, and uses up nothing."""
    app = create_app(service, create_api(service), MIDDLEWARE)
    async with service.running():
        before = await ask(app, headers, headers, headers, method=method)
        guesses = await ask(app, GUESS, GUESS)
        after = await ask(app, headers, method=method)
    assert [one.status for one in guesses] == [401, 429]
    for answer in before + after:
        assert answer.status == answer.json()["status"] == status
        assert not answer.values("ratelimit")
        assert int(answer.values("content-length")[0]) == len(answer.body)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        GUESS,
        bearer(b"rubbish"),
        bearer(b""),
        [(b"authorization", b"Basic YTpi")],
        [*bearer(KEY.encode()), (b"x-api-key", KEY.encode())],
        bearer(token(kid="unknown")),
        bearer(token(number=1)),
        bearer(token(number=1, exp=LONG_AGO)),
        bearer(token(aud="payments")),
    ],
)
async def test_a_guess_counts(service: Service, headers: Headers) -> None:
    app = create_app(service, create_api(service), MIDDLEWARE)
    async with service.running():
        answers = await ask(app, headers, headers)
    assert [one.status for one in answers] == [401, 429]
    assert all(one.values("ratelimit") for one in answers)


async def test_an_expired_token_is_told_so_at_any_rate(service: Service) -> None:
    await assert_not_counted(service, 401, bearer(token(exp=LONG_AGO)), "GET")


@pytest.mark.parametrize("credential", [KEY.encode(), token(scope="read")], ids=["key", "token"])
async def test_a_scope_that_is_missing_is_no_guess(service: Service, credential: bytes) -> None:
    await assert_not_counted(service, 403, bearer(credential), "POST")


async def test_an_issuer_that_is_away_is_nobodys_guess(service: Service, jwks: Jwks) -> None:
    jwks.status = 500
    await assert_not_counted(service, 503, bearer(token()), "GET")
