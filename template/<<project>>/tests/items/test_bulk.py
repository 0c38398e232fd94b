"""Many items in one statement: all or none, and far cheaper than one by one."""

from time import perf_counter

import asyncpg
import pytest

from app.database import Database
from app.items.store import NewItem
from app.items.store import StoredItems
from app.pagination import Cursors
from app.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
def items(service: Service) -> StoredItems:
    """The items in the database, without a cache."""
    return StoredItems(service.get(Database), service.get(Cursors))


def new(count: int) -> list[NewItem]:
    """Items to be made."""
    return [NewItem(name=f"Item {n}", price=n / 4, description="x" * 300) for n in range(count)]


async def test_any_number_of_items_is_one_statement(
    items: StoredItems, rows: asyncpg.Connection
) -> None:
    for count in (1, 10, 1000):
        await rows.execute("TRUNCATE items")
        ids = await items.create_many(new(count))
        # the server's own mark of transaction and of statement within it
        shown = await rows.fetchrow(
            "SELECT count(*), count(DISTINCT (xmin::text, cmin::text)) FROM items"
        )
        assert tuple(shown or ()) == (count, 1)
        assert len(set(ids)) == count


async def test_ids_come_in_the_order_of_the_items(
    items: StoredItems, rows: asyncpg.Connection
) -> None:
    ids = await items.create_many(new(500))
    named = {row["id"]: row["name"] for row in await rows.fetch("SELECT id, name FROM items")}
    assert [named[id] for id in ids] == [item.name for item in new(500)]


async def test_one_item_that_the_database_refuses_leaves_none(
    items: StoredItems, rows: asyncpg.Connection
) -> None:
    await rows.execute("ALTER TABLE items ADD CONSTRAINT cheap CHECK (price < 100) NOT VALID")
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await items.create_many(new(500))
        assert await rows.fetchval("SELECT count(*) FROM items") == 0
        await items.create_many(new(400))
    finally:
        await rows.execute("ALTER TABLE items DROP CONSTRAINT cheap")
    assert await rows.fetchval("SELECT count(*) FROM items") == 400


async def test_one_statement_is_cheaper_than_many(items: StoredItems) -> None:
    made = new(500)
    await items.create_many(made)
    await items.create(made[0])
    started = perf_counter()
    await items.create_many(made)
    together = perf_counter() - started
    started = perf_counter()
    for item in made:
        await items.create(item)
    alone = perf_counter() - started
    print(
        f"\n500 items: {together * 1000:.0f} ms in one statement, {alone * 1000:.0f} ms one by one,"
        f" a ratio of {alone / together:.0f}"
    )
