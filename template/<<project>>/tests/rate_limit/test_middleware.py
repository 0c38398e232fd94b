"""Every answer tells what is left, and who has nothing left is refused before any work is done."""

from __future__ import annotations

import re

import httpx2
import pytest
from fastapi import FastAPI

from app.auth.keys import new_key
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

KEY, ENTRY = new_key("acme", "standard", ["read"])
OTHER, OTHER_ENTRY = new_key("other", "premium", ["read", "write"])
WRONG = "pk_" + "A" * 43
LEFT = re.compile(r'"([a-z]+)";r=(\d+);t=(\d+)')


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, servers: dict[str, str]) -> Service:
    """A service with small limits, not yet running."""
    monkeypatch.setenv("AUTH_API_KEYS", f"{ENTRY},{OTHER_ENTRY}")
    monkeypatch.setenv("RATE_LIMIT_TIERS", "standard:3,premium:5")
    monkeypatch.setenv("RATE_LIMIT_ANONYMOUS", "2")
    monkeypatch.setenv("CORS_ORIGINS", "")
    return Service(PATTERNS)


class Client:
    """Asks the service, one key after another."""

    def __init__(self, service: Service, api: FastAPI | None = None) -> None:
        self.handled = 0
        api = api or create_api(service)

        @api.get("/handled")
        async def handled() -> int:
            self.handled += 1
            return self.handled

        transport = httpx2.ASGITransport(create_app(service, api, MIDDLEWARE))
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://service")

    async def ask(
        self, key: str | None = KEY, path: str = "/handled", method: str = "GET"
    ) -> httpx2.Response:
        """The answer to one request."""
        headers = {"X-API-Key": key} if key else {}
        return await self._client.request(method, path, headers=headers)


def left(answer: httpx2.Response) -> tuple[str, int, int]:
    """What the answer says: policy, requests left, seconds."""
    found = LEFT.fullmatch(answer.headers["ratelimit"])
    assert found, answer.headers
    return found[1], int(found[2]), int(found[3])


def assert_refused(answer: httpx2.Response) -> None:
    """429 as a problem document, and the two headers agree."""
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 429
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert len(answer.headers.get_list("ratelimit")) == 1
    _, remaining, seconds = left(answer)
    assert remaining == 0
    assert answer.headers["retry-after"] == str(seconds)
    assert 0 < seconds <= 900
    assert "www-authenticate" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_every_answer_says_what_is_left(service: Service) -> None:
    async with service.running():
        client = Client(service)
        answers = [
            await client.ask(),
            await client.ask(path="/nowhere"),
            await client.ask(path="/handled?x=1"),
        ]
    assert [one.status_code for one in answers] == [200, 404, 200]
    assert [left(one)[:2] for one in answers] == [("standard", n) for n in (2, 1, 0)]
    assert all(0 < left(one)[2] <= 900 for one in answers)
    assert {one.headers["ratelimit-policy"] for one in answers} == {'"standard";q=3;w=900'}
    assert not any("retry-after" in one.headers for one in answers)


async def test_who_has_nothing_left_is_refused_before_the_handler(service: Service) -> None:
    async with service.running():
        client = Client(service)
        for _ in range(3):
            assert (await client.ask()).status_code == 200
        for path in ("/handled", "/nowhere"):
            assert_refused(await client.ask(path=path))
        assert client.handled == 3
        assert (await client.ask(OTHER)).status_code == 200


async def test_wrong_keys_count_for_the_address(service: Service) -> None:
    async with service.running():
        client = Client(service)
        guesses = [await client.ask(WRONG), await client.ask(None)]
        assert [one.status_code for one in guesses] == [401, 401]
        assert [left(one)[:2] for one in guesses] == [("anonymous", 1), ("anonymous", 0)]
        assert all("www-authenticate" in one.headers for one in guesses)
        for key in (WRONG, None, "rubbish"):
            assert_refused(await client.ask(key))
        valid = await client.ask(KEY)
    assert (valid.status_code, left(valid)[:2]) == (200, ("standard", 2))


async def test_of_a_refusal_that_is_replaced_nothing_is_sent(service: Service) -> None:
    app = create_app(service, create_api(service), MIDDLEWARE)
    async with service.running():
        answers = [await call(app) for _ in range(3)]
    assert [one.status for one in answers] == [401, 401, 429]
    assert [one.json()["status"] for one in answers] == [401, 401, 429]
    assert [int(one.values("content-length")[0]) for one in answers] == [
        len(one.body) for one in answers
    ]


async def test_a_refusal_by_scope_uses_up_nothing_of_the_principal(service: Service) -> None:
    async with service.running():
        client = Client(service)
        assert (await client.ask(KEY, method="POST")).status_code == 403
        assert left(await client.ask(KEY))[1] == 2


async def test_the_public_health_is_not_limited(service: Service) -> None:
    async with service.running():
        service.started = True
        client = Client(service)
        for key in (None, WRONG, KEY):
            answers = [await client.ask(key, "/health", method) for method in ("GET", "HEAD") * 3]
            assert [one.status_code for one in answers] == [200] * 6
            assert not any("ratelimit" in one.headers for one in answers)
        assert left(await client.ask(KEY))[1] == 2
        assert left(await client.ask(None))[1] == 1


async def test_only_to_ask_for_the_health_is_not_limited(service: Service) -> None:
    async with service.running():
        client = Client(service)
        statuses = [(await client.ask(None, "/health", "POST")).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]
        statuses = [(await client.ask(OTHER, "/health", "POST")).status_code for _ in range(6)]
        assert statuses == [405] * 5 + [429]


async def test_options_is_limited_by_address(service: Service) -> None:
    async with service.running():
        client = Client(service)
        statuses = [(await client.ask(None, method="OPTIONS")).status_code for _ in range(3)]
    assert statuses == [405, 405, 429]


async def test_a_failure_says_what_is_left(service: Service) -> None:
    api = create_api(service)

    @api.get("/fails")
    async def fails() -> int:
        raise RuntimeError

    async with service.running():
        failed = await Client(service, api).ask(path="/fails")
    assert (failed.status_code, left(failed)[1]) == (500, 2)


async def test_it_wraps_authentication() -> None:
    names = [pattern.name for pattern in MIDDLEWARE]
    kept = [name for name in names if name in ("auth", "rate_limit")]
    assert kept == ["rate_limit", "auth", "rate_limit"]
