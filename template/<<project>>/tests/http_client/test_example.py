"""Prices in other currencies, by a service of rates."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from app.http import errors
from app.http_client import HttpClientSettings
from app.http_client.example import PATIENCE_S
from app.http_client.example import add_price
from app.http_client.upstream import Upstream
from tests.http_client.conftest import Connect
from tests.http_client.flaky import BUSY
from tests.http_client.flaky import Flaky

pytestmark = pytest.mark.anyio


async def test_a_price_by_the_stub(client: httpx2.AsyncClient) -> None:
    made = (await client.post("/items", json={"name": "A", "price": 100, "description": ""})).json()
    path = f"/items/{made['id']}/price"
    assert (await client.get(path)).json() == {"amount": 100.0, "currency": "USD"}
    answer = await client.get(path, params={"currency": "EUR"})
    assert answer.json() == {"amount": 92.0, "currency": "EUR"}
    assert (await client.get(path, params={"currency": "XXX"})).status_code == 404
    assert (await client.get(path, params={"currency": "eur"})).status_code == 422
    assert (await client.get("/items/999/price", params={"currency": "EUR"})).status_code == 404


def test_the_route_waits_for_longer_than_the_read_timeout() -> None:
    """Else an upstream that hangs would never open the circuit."""
    assert HttpClientSettings().read_timeout_s < PATIENCE_S


class Items:
    """One item."""

    async def get(self, item_id: int) -> bytes | None:
        """The item."""
        return b'{"id":1,"price":10.0}' if item_id == 1 else None


async def price(upstream: Upstream | None, currency: str) -> httpx2.Response:
    """What the route answers over this upstream."""
    api = FastAPI()
    errors.install(api)
    add_price(api.router, Items(), upstream)
    transport = httpx2.ASGITransport(api)
    async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get("/items/1/price", params={"currency": currency})


async def test_without_an_upstream(anyio_backend: str) -> None:
    assert (await price(None, "USD")).json() == {"amount": 10.0, "currency": "USD"}
    refused = await price(None, "EUR")
    assert (refused.status_code, refused.json()["detail"]) == (
        404,
        "There is no rate for this currency.",
    )


def document(text: bytes) -> bytes:
    """An answer of the upstream."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


@pytest.mark.parametrize(
    "then",
    [
        BUSY,
        "close",
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
        document(b"nonsense"),
        document(b"[]"),
        document(b'{"rates": {"EUR": "1"}}'),
        document(b'{"rates": {"EUR": -1}}'),
        document(b'{"rates": {"EUR": 1e300}}'),
    ],
)
async def test_without_rates_it_is_503(remote: Flaky, connect: Connect, then: str | bytes) -> None:
    remote.then = then
    answer = await price(await connect(attempts=1), "EUR")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in answer.text


async def test_a_currency_that_the_upstream_does_not_know(remote: Flaky, connect: Connect) -> None:
    upstream = await connect()
    remote.script = [document(b'{"rates": {}}'), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]
    assert [(await price(upstream, "EUR")).status_code for _ in range(2)] == [404, 404]
