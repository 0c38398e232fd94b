"""Pages of items against PostgreSQL: nothing lost, nothing twice, and read from the index."""

import json
from collections.abc import AsyncIterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import joinedload

from app.database import Database
from app.items import store
from app.items.models import Item
from app.pagination import Position
from app.service import Service

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
# few moments, so that most rows share theirs with others
MOMENT = st.integers(0, 4)
# between two pages: what is inserted, and which of the rows (by place) are deleted
MEANWHILE = st.tuples(st.lists(MOMENT, max_size=4), st.lists(st.integers(0, 200), max_size=4))


async def insert(rows: asyncpg.Connection, moments: list[int]) -> set[int]:
    """Items made at these moments; their ids."""
    made = await rows.fetch(
        "INSERT INTO items (name, price, description, created_at)"
        " SELECT 'x', 1, '', moment FROM unnest($1::timestamptz[]) AS moment RETURNING id",
        [NOON + timedelta(microseconds=moment) for moment in moments],
    )
    return {row["id"] for row in made}


@pytest.fixture(params=[True, False], ids=["with index", "without"])
async def indexed(rows: asyncpg.Connection, request: pytest.FixtureRequest) -> AsyncIterator[bool]:
    """Whether the server has the index: what is seen must not depend on how it is found."""
    define = "SELECT pg_get_indexdef('ix_items_created_at_id'::regclass)"
    again = await rows.fetchval(define)
    if not request.param:
        await rows.execute("DROP INDEX ix_items_created_at_id")
    yield request.param
    if not request.param:
        await rows.execute(again)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moments=st.lists(MOMENT, max_size=25),
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    meanwhile=st.lists(MEANWHILE, max_size=8),
)
async def test_what_is_there_all_the_time_is_seen_exactly_once(
    client: httpx2.AsyncClient,
    rows: asyncpg.Connection,
    indexed: bool,
    moments: list[int],
    limits: list[int],
    meanwhile: list[tuple[list[int], list[int]]],
) -> None:
    await rows.execute("TRUNCATE items RESTART IDENTITY")
    stayed = await insert(rows, moments)
    seen: list[tuple[datetime, int]] = []
    cursor, number, ids = None, 0, sorted(stayed)
    while True:
        params: dict[str, Any] = {"limit": limits[number % len(limits)]}
        page = (
            await client.get("/items", params=params | ({"cursor": cursor} if cursor else {}))
        ).json()
        assert len(page["data"]) <= params["limit"]
        assert number < 100, "no end"
        seen += [(datetime.fromisoformat(item["created_at"]), item["id"]) for item in page["data"]]
        cursor = page["pagination"]["nextCursor"]
        assert page["pagination"]["hasMore"] is (cursor is not None)
        if cursor is None:
            break
        if number < len(meanwhile):
            inserted, deleted = meanwhile[number]
            ids += sorted(await insert(rows, inserted))
            gone = [ids[place % len(ids)] for place in deleted]
            await rows.execute("DELETE FROM items WHERE id = ANY($1::int[])", gone)
            stayed -= set(gone)
        number += 1
    found = [id for _, id in seen]
    assert len(found) == len(set(found)), "seen twice"
    assert stayed <= set(found), "lost"
    assert seen == sorted(seen, reverse=True), "out of order"


async def test_no_page_is_longer_than_the_hard_maximum(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await insert(rows, [1] * 150)
    page = (await client.get("/items", params={"limit": 100})).json()
    assert len(page["data"]) == 100
    assert (await client.get("/items", params={"limit": 101})).status_code == 422
    assert (await client.get("/items", params=[("limit", 100), ("limit", 5000)])).status_code == 422


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_deep_page_is_a_range_of_the_index(
    rows: asyncpg.Connection, mode: str, backward: bool
) -> None:
    await insert(rows, [moment // 3 for moment in range(10_000)])  # ties
    await rows.execute("ANALYZE items")
    await rows.execute(f"SET plan_cache_mode = {mode}")
    deep = NOON + timedelta(microseconds=100)
    values = {"keyset_0": deep, "keyset_1": 300, "keyset_limit": 21}
    statement = store.NEWEST.beyond(Position((deep, 300), backward))
    shown = await rows.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.arguments(values)
    )
    limit = json.loads(shown)[0]["Plan"]
    [scan] = limit["Plans"]
    assert (limit["Node Type"], scan["Node Type"]) == ("Limit", "Index Scan"), shown
    assert scan["Index Name"] == "ix_items_created_at_id"
    assert scan["Scan Direction"] == ("Backward" if backward else "Forward")
    assert "ROW" in scan["Index Cond"]
    assert "Filter" not in scan
    assert scan["Actual Rows"] == 21  # and not one more was read


async def test_the_owner_is_loaded_along_or_not_at_all(
    service: Service, rows: asyncpg.Connection
) -> None:
    await rows.execute("INSERT INTO users (name, email) VALUES ('Ada', 'a@b.c'), ('Bo', 'b@b.c')")
    await insert(rows, [1] * 10)
    await rows.execute("UPDATE items SET owner_id = 1 + id % 2")
    async with service.get(Database).session() as session:
        items = (await session.scalars(select(Item).options(joinedload(Item.owner)))).all()
    assert {item.owner.name for item in items if item.owner} == {"Ada", "Bo"}
    async with service.get(Database).session() as session:
        one = (await session.scalars(select(Item).limit(1))).one()
        with pytest.raises(InvalidRequestError):
            assert one.owner
