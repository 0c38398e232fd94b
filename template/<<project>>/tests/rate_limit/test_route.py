"""A route may have a limit of its own, beside that of whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import Depends
from fastapi import Request

from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.rate_limit import RateLimits
from app.service import Service
from tests.conftest import KEY

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(
    monkeypatch: pytest.MonkeyPatch, servers: dict[str, str]
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service that has two costly routes and a cheap one."""
    monkeypatch.setenv("AUTH_PUBLIC_READS", "true")
    monkeypatch.setenv("RATE_LIMIT_TIERS", "standard:100")
    service = Service(PATTERNS)
    api, limits = create_api(service), service.get(RateLimits)
    imports = limits.route("imports", limit=1, window_s=3600)

    @api.get("/reports", dependencies=[Depends(limits.route("reports", limit=2))])
    async def reports() -> str:
        return "report"

    @api.get("/imports")
    async def imported(request: Request) -> str:
        await imports(request)
        return "import"

    @api.get("/cheap")
    async def cheap() -> str:
        return "cheap"

    transport = httpx2.ASGITransport(create_app(service, api, MIDDLEWARE))
    async with (
        service.running(),
        httpx2.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        client.headers["X-API-Key"] = KEY
        yield client


async def test_it_holds_beside_the_other_limit(client: httpx2.AsyncClient) -> None:
    answers = [await client.get("/reports") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    policies = '"standard";q=100;w=900, "reports";q=2;w=60'
    assert {one.headers["ratelimit-policy"] for one in answers} == {policies}
    assert answers[0].headers["ratelimit"].startswith('"standard";r=99;t=')
    assert ', "reports";r=1;t=' in answers[0].headers["ratelimit"]
    refused = answers[2]
    assert refused.headers["content-type"] == "application/problem+json"
    assert "At most 2 requests" in refused.json()["detail"]
    seconds = int(refused.headers["retry-after"])
    assert refused.headers["ratelimit"].endswith(f', "reports";r=0;t={seconds}')
    assert 0 < seconds <= 60


async def test_other_routes_do_not_know_of_it(client: httpx2.AsyncClient) -> None:
    for _ in range(3):
        await client.get("/reports")
    assert [(await client.get("/imports")).status_code for _ in range(2)] == [200, 429]
    cheap = await client.get("/cheap")
    assert cheap.status_code == 200
    assert cheap.headers["ratelimit-policy"] == '"standard";q=100;w=900'


async def test_everybody_has_his_own(client: httpx2.AsyncClient) -> None:
    with_key = [(await client.get("/imports")).status_code for _ in range(2)]
    del client.headers["X-API-Key"]
    without = [(await client.get("/imports")).status_code for _ in range(2)]
    assert with_key == without == [200, 429]
