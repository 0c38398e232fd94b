"""Which address counts, and that no header changes it unless a trusted proxy says so."""

from __future__ import annotations

import httpx2
import pytest
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.rate_limit.sender import address
from app.service import Service

PROXY = "10.1.2.3"


@pytest.mark.parametrize(
    ("host", "sender"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("unknown", "unknown"),
        ("192.0.2.1:80:80", "unknown"),
        ("192.0.2.256", "unknown"),
        ("A" * 100_000, "unknown"),
        ("\xff\x00", "unknown"),
    ],
)
def test_the_sender_is_an_address_or_a_network(host: str, sender: str) -> None:
    assert address({"client": (host, 1)}) == f"address:{sender}"


def test_a_connection_without_address_is_one_sender() -> None:
    assert address({"client": None}) == address({}) == "address:unknown"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        (PROXY, ["198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        (PROXY, ["2001:db8::1"], "2001:db8::/64"),
        (PROXY, ["203.0.113.7:4711"], "203.0.113.7"),  # as Azure's gateway writes it
        (PROXY, ["203.0.113.7:4711, 10.9.9.9:80"], "203.0.113.7"),
        (PROXY, ["[2001:db8::1]:80"], "2001:db8::/64"),
        (PROXY, ["[2001:db8::1]"], "2001:db8::/64"),
        (PROXY, [], PROXY),
        (PROXY, ["rubbish"], "unknown"),
    ],
)
async def test_only_trusted_proxies_say_who_it_is(
    monkeypatch: pytest.MonkeyPatch,
    servers: dict[str, str],
    peer: str,
    forwarded: list[str],
    sender: str,
) -> None:
    """In the service as it is put together, with each request's first hop in `peer`."""
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8")
    monkeypatch.setenv("RATE_LIMIT_ANONYMOUS", "1")
    service = Service(PATTERNS)
    app = create_app(service, create_api(service), MIDDLEWARE)
    assert isinstance(app, ProxyHeadersMiddleware)
    seen: list[str] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)  # type: ignore[arg-type]
        seen.append(address(scope))

    transport = httpx2.ASGITransport(watched, client=(peer, 5000))
    async with (
        service.running(),
        httpx2.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        headers = [("X-Forwarded-For", value) for value in forwarded]
        headers += [("X-Real-IP", "1.1.1.1"), ("Forwarded", "for=1.1.1.1")]
        statuses = [(await client.get("/x", headers=headers)).status_code for _ in range(2)]
    assert statuses == [401, 429]
    assert set(seen) == {f"address:{sender}"}
