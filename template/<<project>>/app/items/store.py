"""Items in PostgreSQL, and the protocols by which the routes know them."""

from collections.abc import Sequence
from typing import Any
from typing import Protocol

import msgspec
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from sqlalchemy import Double
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import ARRAY

from app.database import Database
from app.database import Statement
from app.items.models import Item
from app.pagination import Cursors
from app.pagination import Page
from app.pagination.with_database import Keyset


class NewItem(BaseModel):
    """An item to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=200)
    price: float = Field(ge=0, le=1e12, allow_inf_nan=False)
    description: str = Field(max_length=10_000)


class ItemReader(Protocol):
    """Reads single items as the JSON documents that are sent."""

    async def get(self, item_id: int) -> bytes | None:
        """The item as JSON, or None."""


class ItemPages(Protocol):
    """Reads items page by page, newest first."""

    async def page(self, limit: int, cursor: str | None) -> Page:
        """The page of a cursor, or the first one: at most `limit` items."""


class ItemWriter(Protocol):
    """Makes items."""

    async def create(self, item: NewItem) -> tuple[int, bytes]:
        """Make an item; its id, and the item as JSON."""

    async def create_many(self, items: list[NewItem]) -> list[int]:
        """Make all of them, or none; their ids."""


class ItemStore(ItemReader, ItemWriter, Protocol):
    """Reads single items and makes new ones."""


# The order of every listing of items, so that a cursor of one is good for the others.
NEWEST_FIRST = (Item.created_at.desc(), Item.id.desc())

SHOWN = (Item.id, Item.name, Item.price, Item.description, Item.created_at)
_BY_ID = Statement("item_by_id", select(*SHOWN).where(Item.id == bindparam("item_id")))
NEWEST = Keyset("item", select(*SHOWN), *NEWEST_FIRST)
_CREATE = Statement(
    "item_create",
    insert(Item)
    .values({name: bindparam(name) for name in ("name", "price", "description")})
    .returning(Item.id, Item.created_at),
)
# One statement however many rows: a column is sent as one array, see `columns_of`.
INSERT_MANY = (
    insert(Item)
    .from_select(
        ["name", "price", "description"],
        select(
            func.unnest(
                bindparam("names", type_=ARRAY(Text)),
                bindparam("prices", type_=ARRAY(Double)),
                bindparam("descriptions", type_=ARRAY(Text)),
            )
            .table_valued("name", "price", "description")
            .render_derived()
        ),
    )
    .returning(Item.id)
)
# The ids as one array, too, which costs less than so many rows.
_CREATE_MANY = Statement("item_create_many", select(func.array_agg(INSERT_MANY.cte("made").c.id)))


def columns_of(items: Sequence[NewItem]) -> dict[str, list[Any]]:
    """These items as the parameters of INSERT_MANY."""
    return {
        "names": [item.name for item in items],
        "prices": [item.price for item in items],
        "descriptions": [item.description for item in items],
    }


class StoredItems:
    """The items in the database."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._listing = cursors.listing("items", NEWEST.keys)

    async def get(self, item_id: int) -> bytes | None:
        """The item as JSON, or None."""
        row = await self._database.fetch_one(_BY_ID, item_id=item_id)
        return msgspec.json.encode(dict(row)) if row else None

    async def page(self, limit: int, cursor: str | None) -> Page:
        """The page of a cursor, or the first one: at most `limit` items."""
        position = None if cursor is None else self._listing.decode(cursor)
        rows = await NEWEST.fetch(self._database, position, limit)
        return self._listing.page(rows, limit, position)

    async def create(self, item: NewItem) -> tuple[int, bytes]:
        """Make an item; its id, and the item as JSON."""
        values = {"name": item.name, "price": item.price, "description": item.description}
        row = await self._database.fetch_one(_CREATE, **values)
        assert row, "INSERT … RETURNING gives a row"
        made = {"id": row["id"], **values, "created_at": row["created_at"]}
        return made["id"], msgspec.json.encode(made)

    async def create_many(self, items: list[NewItem]) -> list[int]:
        """Make all of them, or none; their ids."""
        ((made,),) = await self._database.fetch(_CREATE_MANY, **columns_of(items))
        return list(made or [])
