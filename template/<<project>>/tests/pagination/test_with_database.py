"""Keyset pages on PostgreSQL: any NOT NULL columns, mixed directions, changes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import Column
from sqlalchemy import Double
from sqlalchemy import Enum
from sqlalchemy import Integer
from sqlalchemy import Interval
from sqlalchemy import LargeBinary
from sqlalchemy import MetaData
from sqlalchemy import Numeric
from sqlalchemy import String
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import UniqueConstraint
from sqlalchemy import Uuid
from sqlalchemy import bindparam
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import TIMESTAMP

from app.database import Database
from app.pagination import BadCursor
from app.pagination import Cursors
from app.pagination import Page
from app.pagination import Position
from app.pagination.with_database import Keyset
from app.service import Service

pytestmark = pytest.mark.anyio

HATS = Table(
    "hats",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("long", String(501), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("size", Double, nullable=False),
    Column("price", Numeric, nullable=False),
    Column("made_at", TIMESTAMP(timezone=True), nullable=False),
    Column("sold_at", TIMESTAMP, nullable=False),
    Column("code", Uuid, nullable=False, unique=True),
    Column("shelf", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("owner", Integer),
    Column("span", Interval, nullable=False),
    Column("kind", Enum("top", "straw", name="kind"), nullable=False),
    UniqueConstraint("shelf", "place"),
)
HAT = HATS.c
CREATE = """
    DROP TABLE IF EXISTS hats;
    CREATE TABLE hats (
        id serial PRIMARY KEY, name text NOT NULL, size float8 NOT NULL, price numeric NOT NULL,
        made_at timestamptz NOT NULL, sold_at timestamp NOT NULL,
        code uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()
    )
"""
# The n-th of few values of each column, so that most rows share theirs with others.
INSERT = """
    INSERT INTO hats (name, size, price, made_at, sold_at)
    SELECT (ARRAY['', 'a', 'B', 'é', '🎩'])[n + 1],
        (ARRAY['-infinity', '0', '0.1', 'infinity', 'nan'])[n + 1]::float8,
        (ARRAY['-5', '0.10', '0.1', '99999999999999999999.5', 'nan'])[n + 1]::numeric,
        (ARRAY['-infinity', '1900-01-01', '2026-01-01 00:00:00.000001+00', '2026-01-01',
            'infinity'])[n + 1]::timestamptz,
        (ARRAY['0001-01-02', '1900-01-01', '2026-01-01 00:00:00.000001', '2026-01-01',
            '9999-12-31'])[n + 1]::timestamp
    FROM unnest($1::int[]) AS n RETURNING id
"""
ORDERS: dict[str, tuple[Any, ...]] = {
    "the id alone": (HAT.id,),
    "down": (HAT.made_at.desc(), HAT.id.desc()),
    "text": (HAT.name, HAT.id),
    "a number that may be none": (HAT.size.desc(), HAT.id.desc()),
    "decimals": (HAT.price, HAT.id),
    "a time without zone, down and up": (HAT.sold_at.desc(), HAT.id),
    "up, down, up": (HAT.price, HAT.made_at.desc(), HAT.id),
    "a unique column that is no key": (HAT.size, HAT.name.desc(), HAT.code),
}


@pytest.fixture
async def hats(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own, and the table."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute(CREATE)
    yield connection
    await connection.execute("DROP TABLE hats")
    await connection.close()


class Pages:
    """The hats in some order, page by page, as a store reads them."""

    def __init__(self, service: Service, order: tuple[Any, ...]) -> None:
        self.database = service.get(Database)
        self.keyset = Keyset("hat", select(HAT.id), *order)
        self.listing = service.get(Cursors).listing("hats", self.keyset.keys)
        self.sql = str(select(HAT.id).order_by(*order))

    async def page(self, limit: int, cursor: str | None = None) -> Page:
        """A page; its data are the ids."""
        position = self.listing.decode(cursor) if cursor else None
        rows = await self.keyset.fetch(self.database, position, limit)
        return self.listing.page(rows, limit, position, view=lambda row: row["id"])


NUMBER = st.integers(0, 4)
# between two pages: what is inserted, and which of the rows (by place) are deleted
MEANWHILE = st.tuples(st.lists(NUMBER, max_size=4), st.lists(st.integers(0, 200), max_size=4))


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    numbers=st.lists(NUMBER, max_size=25),
    limit=st.integers(1, 6),
    meanwhile=st.lists(MEANWHILE, max_size=12),
)
async def test_what_stays_is_seen_once_in_either_direction(
    service: Service,
    hats: asyncpg.Connection,
    order: tuple[Any, ...],
    numbers: list[int],
    limit: int,
    meanwhile: list[tuple[list[int], list[int]]],
) -> None:
    pages = Pages(service, order)
    await hats.execute("TRUNCATE hats RESTART IDENTITY")

    async def insert(numbers: list[int]) -> list[int]:
        return sorted(row["id"] for row in await hats.fetch(INSERT, numbers))

    async def in_order() -> list[int]:
        return [row["id"] for row in await hats.fetch(pages.sql)]

    ids = await insert(numbers)
    page = await pages.page(limit)
    stayed = set(await in_order())
    for onwards in (True, False, True):
        seen = page.data
        while cursor := page.next_cursor if onwards else page.prev_cursor:
            inserted, deleted = meanwhile.pop() if meanwhile else ([], [])
            ids += await insert(inserted)
            gone = [ids[place % len(ids)] for place in deleted] if ids else []
            await hats.execute("DELETE FROM hats WHERE id = ANY($1::int[])", gone)
            stayed -= set(gone)
            page = await pages.page(limit, cursor)
            assert len(page.data) <= limit
            assert len(seen) < 200, "no end"
            seen = seen + page.data if onwards else page.data + seen
        assert len(seen) == len(set(seen)), "seen twice"
        assert stayed <= set(seen), "lost"
        there = await in_order()
        placed = [there.index(id) for id in seen if id in there]
        assert placed == sorted(placed), "out of order"
        # the next run goes over what lies on the other side of the place where this one ended
        stayed = set(there)
        if page.data:
            first, last = there.index(page.data[0]), there.index(page.data[-1])
            stayed = set(there[: last + 1] if onwards else there[first:])


async def test_filters_are_parameters_of_the_query(
    service: Service, hats: asyncpg.Connection
) -> None:
    await hats.execute(INSERT.replace("RETURNING id", ""), [n % 5 for n in range(20)])
    of_name = select(HAT.id).where(HAT.name == bindparam("name"))
    keyset = Keyset("hat", of_name, HAT.made_at, HAT.id)
    listing = service.get(Cursors).listing("hats", keyset.keys).where(name="a")
    database = service.get(Database)
    rows = await keyset.fetch(database, None, 3, name="a")
    page = listing.page(rows, 3, None)
    assert page.next_cursor
    position = listing.decode(page.next_cursor)
    [last] = await keyset.fetch(database, position, 3, name="a")
    assert [row["id"] for row in page.data] + [last["id"]] == [2, 7, 12, 17]
    with pytest.raises(BadCursor):
        listing.where(name="B").decode(page.next_cursor)


async def test_one_page_is_one_query_of_one_row_more(
    service: Service, hats: asyncpg.Connection
) -> None:
    await hats.execute(INSERT.replace("RETURNING id", ""), [1] * 20)
    keyset = Keyset("hat", select(HAT.id), HAT.price, HAT.id)
    for backward in (False, True):
        position = Position((0, 10), backward)
        assert len(await keyset.fetch(service.get(Database), position, 3)) <= 4


def test_order_columns_are_selected_behind_the_rest() -> None:
    shown = Keyset("hat", select(HAT.name, HAT.id), HAT.price.desc(), HAT.id)
    first, _ = shown.beyond(Position((), backward=False)).sql.split("\nWHERE")
    assert first.strip() == "SELECT hats.name, hats.id, hats.price \nFROM hats"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((HAT.owner, HAT.id), "owner may be NULL"),
        ((HAT.span, HAT.id), "a cursor cannot hold span"),
        ((HAT.name,), "two rows may agree in name"),
        ((HAT.id, HAT.name), None),
        ((HAT.shelf, HAT.place), None),
        ((HAT.place, HAT.name), "two rows may agree in name, place"),
        ((HAT.kind, HAT.id), None),
        ((HAT.text, HAT.id), "text may be longer than a cursor"),
        ((HAT.long, HAT.id), "long may be longer than a cursor"),
        ((HAT.data, HAT.id), "data may be longer than a cursor"),
        ((HAT.code,), None),
    ],
)
def test_an_order_that_would_lose_rows_is_refused(order: tuple[Any, ...], said: str | None) -> None:
    if said is None:
        assert Keyset("hat", select(HAT.name), *order).keys
        return
    with pytest.raises(ValueError, match=f"^hat: {said}"):
        Keyset("hat", select(HAT.name), *order)


def test_a_column_of_another_meaning_is_not_taken_for_it() -> None:
    with pytest.raises(ValueError, match="ordered by id, and shows something else"):
        Keyset("hat", select(HAT.name.label("id")), HAT.id)


def test_a_column_of_any_length_may_be_shown_as_well() -> None:
    table = Table("caps", MetaData(), Column("name", String(40), primary_key=True))
    assert [key.type for key in Keyset("cap", select(table.c.name), table.c.name).keys] == [str]
