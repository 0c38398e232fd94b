"""Items with their owners: by the loader, and, for comparison, by a JOIN."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest
from prometheus_client import REGISTRY
from pydantic import TypeAdapter
from sqlalchemy import event
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app.database import Database
from app.dataloader.example import OwnedItemPage
from app.items.models import Item
from app.items.store import NEWEST_FIRST
from app.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rows(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own; 3 owners, 60 items, every fourth of which has none."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute(
        "INSERT INTO users (name, email)"
        " SELECT 'User ' || n, n || '@x' FROM generate_series(1, 3) n"
    )
    await connection.execute(
        "INSERT INTO items (owner_id, name, price, description)"
        " SELECT nullif(n % 4, 0), 'Item ' || n, n, '' FROM generate_series(1, 60) n"
    )
    yield connection
    await connection.close()


def queries() -> dict[str, float]:
    """How many queries there were, by statement."""
    [family] = [m for m in REGISTRY.collect() if m.name == "database_query_duration_seconds"]
    return {s.labels["statement"]: s.value for s in family.samples if s.name.endswith("_count")}


async def test_a_page_with_its_owners_is_two_queries(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    before = queries()
    answer = await client.get("/items/owned", params={"limit": 50})
    asked = {name: n - before.get(name, 0) for name, n in queries().items()}
    assert {name: n for name, n in asked.items() if n} == {"owned_item_first_page": 1, "owners": 1}
    page = answer.json()
    assert len(page["data"]) == 50
    for item in page["data"]:
        number = int(item["name"].removeprefix("Item ")) % 4
        assert item["owner"] == ({"id": number, "name": f"User {number}"} if number else None)
    view = TypeAdapter(OwnedItemPage).validate_json(answer.content)
    assert page["data"][0].keys() == view.data[0].model_dump().keys()


async def test_a_page_without_owners_is_one_query(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await rows.execute("UPDATE items SET owner_id = NULL")
    before = queries()
    page = (await client.get("/items/owned")).json()
    assert {item["owner"] for item in page["data"]} == {None}
    assert queries().get("owners", 0) == before.get("owners", 0)


async def test_cursors_are_those_of_the_items(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    plain = (await client.get("/items", params={"limit": 7})).json()
    cursor = plain["pagination"]["nextCursor"]
    owned = await client.get("/items/owned", params={"limit": 7, "cursor": cursor})
    following = (await client.get("/items", params={"limit": 7, "cursor": cursor})).json()
    assert [item["id"] for item in owned.json()["data"]] == [i["id"] for i in following["data"]]
    assert owned.links.keys() == {"next", "prev", "first"}
    assert (await client.get("/items/owned", params={"cursor": "x"})).status_code == 400


async def test_a_join_shows_the_same_by_one_query(
    service: Service, client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    """The alternative of the README: eager loading."""
    database = service.get(Database)
    seen: list[str] = []
    event.listen(
        database._engine.sync_engine, "before_cursor_execute", lambda *given: seen.append(given[2])
    )
    query = select(Item).options(joinedload(Item.owner)).order_by(*NEWEST_FIRST).limit(50)
    async with database.session() as session:
        items = (await session.scalars(query)).all()
        joined: list[dict[str, Any] | None] = [
            {"id": item.owner.id, "name": item.owner.name} if item.owner else None for item in items
        ]
    assert len(seen) == 1
    page = (await client.get("/items/owned", params={"limit": 50})).json()
    assert [item["owner"] for item in page["data"]] == joined


async def test_who_is_not_known_sees_nothing(anonymous: httpx2.AsyncClient) -> None:
    assert (await anonymous.get("/items/owned")).status_code == 401
