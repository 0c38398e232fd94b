"""A service with routes of its own, which take keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import BackgroundTasks
from fastapi import FastAPI
from fastapi import HTTPException
from fastapi import Request
from fastapi import Response
from sqlalchemy import Column
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import insert

from app.auth.keys import new_key
from app.database import Database
from app.database import Statement
from app.idempotency import IdempotencyKeys
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service

ORDERS = Table("orders", MetaData(), Column("id", Integer, primary_key=True), Column("what", Text))
MAKE = Statement("order_make", insert(ORDERS).values(what=bindparam("what")).returning(ORDERS.c.id))
ANN, _ann = new_key("ann", "premium", ["read", "write"])
BOB, _bob = new_key("bob", "premium", ["read", "write"])


class Shop:
    """What orders do beside being made: `gate` holds them up, `fail` ends them."""

    def __init__(self, database: Database) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.begun = 0
        self.fail: Callable[[], None] = lambda: None
        self._database = database

    async def order(self, what: str) -> int:
        """Make an order; its id."""
        self.begun += 1
        row = await self._database.fetch_one(MAKE, what=what)
        assert row
        self.entered.set()
        await self.gate.wait()
        self.fail()
        made: int = row["id"]
        return made


def add_routes(api: FastAPI, shop: Shop) -> None:
    """Routes that make orders, some of which take keys."""

    @api.post("/orders")
    @api.post("/shops/{shop_id}/orders")
    @api.put("/orders")
    @api.post("/uncovered")
    async def order(request: Request) -> Response:
        made = await shop.order((await request.body()).decode())
        headers = {"Location": f"/orders/{made}", "Set-Cookie": "secret=1"}
        return Response(b'{"id":%d}' % made, 201, headers=headers, media_type="application/json")

    @api.post("/forgiven")
    async def forgive() -> str:
        await shop.order("forgiven")
        with suppress(asyncpg.UniqueViolationError):
            await shop.order("forgiven")
        return "made"

    @api.post("/noticed")
    async def notice(later: BackgroundTasks) -> str:
        await shop.order("noticed")
        later.add_task(shop.fail)
        return "made"

    @api.post("/refused")
    async def refuse() -> None:
        await shop.order("refused")
        raise HTTPException(409, "Sold out.")


@pytest.fixture
async def rows(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection to the same database, with the table of orders."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute("CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, what text)")
    yield connection
    await connection.execute("DROP TABLE orders")
    await connection.close()


@pytest.fixture
async def service(
    monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], rows: asyncpg.Connection
) -> AsyncIterator[Service]:
    """The service, running."""
    monkeypatch.setenv("AUTH_API_KEYS", f"{_ann},{_bob}")
    service = Service(PATTERNS)
    async with service.running():
        yield service


@pytest.fixture
def shop(service: Service) -> Shop:
    """What makes orders."""
    return Shop(service.get(Database))


@pytest.fixture
async def client(service: Service, shop: Shop) -> AsyncIterator[httpx2.AsyncClient]:
    """Ann's client."""
    api = create_api(service)
    add_routes(api, shop)
    service.get(IdempotencyKeys).cover(
        "/orders", "/shops/{shop_id}/orders", "/refused", "/forgiven", "/noticed"
    )
    transport: Any = httpx2.ASGITransport(
        create_app(service, api, MIDDLEWARE), raise_app_exceptions=False
    )
    async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
        client.headers["X-API-Key"] = ANN
        yield client
