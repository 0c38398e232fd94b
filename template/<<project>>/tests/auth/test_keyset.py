"""The issuer's keys: fetched seldom, kept through outages."""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import Any

import jwt
import pytest
from starlette.responses import PlainTextResponse

from app.auth import Authentication
from app.auth import keyset
from app.auth.keyset import KeySet
from app.auth.tokens import Tokens
from app.http.errors import Unavailable
from tests.auth.issuer import Jwks
from tests.auth.issuer import private_key
from tests.auth.issuer import public_jwk
from tests.auth.issuer import token
from tests.http.asgi import Answer
from tests.http.asgi import call

pytestmark = pytest.mark.anyio


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        patch.setattr(keyset, "monotonic", lambda: monotonic() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def ask(keys: KeySet, jwks: Jwks, credential: bytes) -> Answer:
    app = Authentication(PlainTextResponse("let in"), {}, Tokens(jwks.issuer, keys))
    return await call(app, headers=[(b"authorization", b"Bearer " + credential)])


async def settled(keys: KeySet) -> None:
    """Wait for a fetch under way."""
    if keys._fetching:
        await keys._fetching


async def test_keys_are_fetched_at_the_start_and_once(jwks: Jwks) -> None:
    async with KeySet(jwks.url) as keys:
        found = await asyncio.gather(*(keys.find("one") for _ in range(50)))
    assert all(found)
    assert jwks.fetches == 1


async def test_a_storm_of_made_up_ids_is_one_fetch(jwks: Jwks, clock: Clock) -> None:
    async with KeySet(jwks.url) as keys:
        await keys.find("one")
        for round_ in range(1, 4):
            clock.ahead = 31.0 * round_
            made_up = (keys.find(f"made up {number}") for number in range(500))
            assert set(await asyncio.gather(*made_up)) == {None}
            assert jwks.fetches == 1 + round_
            assert await keys.find("one")


async def test_made_up_ids_do_not_wait_between_fetches(jwks: Jwks) -> None:
    async with KeySet(jwks.url) as keys:
        await keys.find("one")
        jwks.wait_s = 30
        assert await keys.find("two") is None
        assert jwks.fetches == 1


async def test_algorithms_that_are_refused_fetch_nothing(jwks: Jwks, clock: Clock) -> None:
    async with KeySet(jwks.url) as keys:
        await keys.find("one")
        clock.ahead = 31
        head = b"eyJhbGciOiJub25lIiwia2lkIjoieCJ9"  # {"alg":"none","kid":"x"}
        assert (await ask(keys, jwks, head + b".e30.")).status == 401
    assert jwks.fetches == 1


async def test_a_new_key_is_found_when_it_is_used(jwks: Jwks, clock: Clock) -> None:
    async with KeySet(jwks.url) as keys:
        assert (await ask(keys, jwks, token())).status == 200
        jwks.keys = [public_jwk("two", "ES256"), public_jwk("one", "RS256")]
        rotated = token("ES256", kid="two")
        assert (await ask(keys, jwks, rotated)).status == 401, "within the pause"
        clock.ahead = 31
        assert (await ask(keys, jwks, rotated)).status == 200
        assert (await ask(keys, jwks, token())).status == 200
    assert jwks.fetches == 2


async def test_a_withdrawn_key_counts_no_longer(jwks: Jwks, clock: Clock) -> None:
    async with KeySet(jwks.url) as keys:
        good, tokens = token(), Tokens(jwks.issuer, keys)
        await tokens.verify(good)
        assert tokens.known(good)
        jwks.keys = [public_jwk("two", "RS256", 1)]
        clock.ahead = 301
        await tokens.verify(good)  # the key is old: fetched behind this request
        await settled(keys)
        assert tokens.known(good) is None
        assert await keys.find("one") is None


async def test_an_unchanged_document_forgets_nothing(jwks: Jwks, clock: Clock) -> None:
    async with KeySet(jwks.url) as keys:
        good, tokens = token(), Tokens(jwks.issuer, keys)
        await tokens.verify(good)
        clock.ahead = 301
        await keys.find("one")
        await settled(keys)
        assert jwks.fetches == 2
        assert tokens.known(good)


async def test_old_keys_are_fetched_behind_the_requests(jwks: Jwks, clock: Clock) -> None:
    async with KeySet(jwks.url) as keys:
        await keys.find("one")
        jwks.wait_s, clock.ahead = 0.5, 301
        assert await keys.find("one")
        assert keys._fetching is not None
        assert not keys._fetching.done()
        await settled(keys)
    assert jwks.fetches == 2


@pytest.mark.parametrize(
    "outage",
    [
        {"status": 500},
        {"status": 404},
        {"status": 204, "body": b""},
        {"body": b"<html>"},
        {"body": b"null"},
        {"body": b'{"keys": 7}'},
        {"body": b'{"keys": []}'},
        {"body": b'{"keys": [7, null]}'},
        {"body": b'{"keys": [{"kid": "one", "kty": "RSA"}]}'},
        {"body": b'{"keys": [' + b" " * 300_000 + b"]}"},
    ],
)
async def test_keys_outlive_an_outage(jwks: Jwks, clock: Clock, outage: dict[str, Any]) -> None:
    async with KeySet(jwks.url) as keys:
        assert (await ask(keys, jwks, token())).status == 200
        for name, value in outage.items():
            setattr(jwks, name, value)
        for later in (301, 400, 100_000):
            clock.ahead = later
            assert (await ask(keys, jwks, token())).status == 200
            assert (await ask(keys, jwks, token(kid="new"))).status == 401
            await settled(keys)
    assert jwks.fetches == 4


async def test_without_keys_the_service_is_to_blame(jwks: Jwks, clock: Clock) -> None:
    jwks.status = 503
    async with KeySet(jwks.url) as keys:
        answers = [await ask(keys, jwks, token()) for _ in range(20)]
        assert {answer.status for answer in answers} == {503}
        assert answers[0].values("retry-after") == ["2"]
        assert answers[0].values("content-type") == ["application/problem+json"]
        assert jwks.fetches == 1, "not once a request"
        jwks.status, clock.ahead = 200, 2.5
        assert (await ask(keys, jwks, token())).status == 200
    assert jwks.fetches == 2


async def test_a_server_that_is_away_is_a_503_too() -> None:
    with Jwks().serving() as jwks:
        pass
    async with KeySet(jwks.url) as keys:
        assert (await ask(keys, jwks, token())).status == 503


async def test_a_server_that_hangs_holds_nothing_up(
    jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "FETCH_TIMEOUT_S", 0.1)
    jwks.wait_s = 5
    started = monotonic()
    async with KeySet(jwks.url) as keys:
        assert keys._fetching is not None
        assert not keys._fetching.done(), "the start waits for nobody"
        assert (await ask(keys, jwks, token())).status == 503
    assert monotonic() - started < 4


@pytest.mark.parametrize(("wait_s", "drip_s"), [(5.0, 0.0), (0.0, 0.02)])
async def test_no_thread_is_left_with_a_slow_server(
    jwks: Jwks, monkeypatch: pytest.MonkeyPatch, wait_s: float, drip_s: float
) -> None:
    monkeypatch.setattr(keyset, "FETCH_TIMEOUT_S", 0.1)
    jwks.wait_s, jwks.drip_s = wait_s, drip_s
    started = monotonic()
    with pytest.raises((TimeoutError, ValueError)):
        await asyncio.to_thread(keyset._download, jwks.url)
    assert monotonic() - started < 4


async def test_redirects_are_not_followed(jwks: Jwks) -> None:
    with Jwks().serving() as other:
        jwks.status, jwks.headers = 302, {"Location": other.url}
        async with KeySet(jwks.url) as keys:
            with pytest.raises(Unavailable):
                await keys.find("one")
        assert other.fetches == 0


async def test_a_request_that_ends_does_not_end_the_fetch(jwks: Jwks) -> None:
    jwks.wait_s = 0.3
    async with KeySet(jwks.url) as keys:
        first = asyncio.create_task(keys.find("one"))
        second = asyncio.create_task(keys.find("one"))
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second
    assert jwks.fetches == 1


async def test_closing_ends_a_fetch_under_way(jwks: Jwks) -> None:
    jwks.wait_s = 1
    async with KeySet(jwks.url) as keys:
        await asyncio.sleep(0.05)
        fetching = keys._fetching
    assert fetching is not None
    assert fetching.cancelled()


async def test_keys_that_cannot_be_used_do_not_spoil_the_others(jwks: Jwks) -> None:
    described = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(private_key("RS256")))
    private = {**described, "kid": "private", "alg": "RS256"}
    assert "d" in private
    jwks.keys = [
        {"kty": "RSA"},
        {"kty": ["RSA"], "kid": "a"},
        {"kty": "unheard of", "kid": "b"},
        {"kty": "RSA", "kid": "c", "n": "!", "e": "AQAB"},
        {"kty": "EC", "kid": "d", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0" * 8, "alg": "HS256"},
        {**public_jwk("weak", "RS256"), "n": "w" * 100},
        private,
        public_jwk("encryption", "RS256", use="enc"),
        public_jwk("first", "RS256"),
        public_jwk("first", "RS256", 1),
    ]
    async with KeySet(jwks.url) as keys:
        await keys.find("first")
        assert keys._keys is not None
        assert set(keys._keys) == {"first"}
        assert (await ask(keys, jwks, token(kid="first"))).status == 200, "the first of two holds"
