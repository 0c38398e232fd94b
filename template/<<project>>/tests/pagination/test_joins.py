"""Joins: refused where they would lose rows, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column
from sqlalchemy import ForeignKey
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import String
from sqlalchemy import Table
from sqlalchemy import UniqueConstraint
from sqlalchemy import bindparam
from sqlalchemy import exists
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import true
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import aliased
from sqlalchemy.orm import mapped_column
from sqlalchemy.orm import relationship

from app.database import Database
from app.pagination import Cursors
from app.pagination.with_database import Keyset
from app.service import Service


class Base(DeclarativeBase):
    """Of models with a relation."""


class Maker(Base):
    """Who makes hats."""

    __tablename__ = "makers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    code: Mapped[int] = mapped_column(unique=True, index=True)


class Cap(Base):
    """What one of them has made."""

    __tablename__ = "caps"

    id: Mapped[int] = mapped_column(primary_key=True)
    maker_id: Mapped[int | None] = mapped_column(ForeignKey(Maker.id))
    maker: Mapped[Maker | None] = relationship()


metadata = MetaData()
BOXES = Table(
    "boxes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", Integer, nullable=False, unique=True),
)
HATS = Table(
    "hats",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("box_id", ForeignKey(BOXES.c.id)),
    Column("row", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    UniqueConstraint("row", "place"),
)
LABELS = Table("labels", metadata, Column("hat_id", ForeignKey(HATS.c.id), nullable=False))
BOX, HAT, LABEL = BOXES.c, HATS.c, LABELS.c
OTHER = HATS.alias("other")
MAKER = aliased(Maker)
IN_BOX = HAT.box_id == BOX.id
LABELLED = LABEL.hat_id == HAT.id
HAT_AND_BOX = select(HAT.id, BOX.code)
BOX_OF_HAT = HAT_AND_BOX.select_from(HATS).join(BOXES, IN_BOX)
PERHAPS_IN_BOX = HAT_AND_BOX.select_from(HATS).outerjoin(BOXES, IN_BOX)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        (BOX_OF_HAT, (HAT.id,)),
        (BOX_OF_HAT, (BOX.code, HAT.id)),
        (PERHAPS_IN_BOX, (HAT.row, HAT.place)),
        (HAT_AND_BOX.where(IN_BOX), (HAT.id,)),
        (HAT_AND_BOX.select_from(HATS).join(BOXES, BOX.code == HAT.row + HAT.place), (HAT.id,)),
        (HAT_AND_BOX.select_from(HATS).join(BOXES, true()), (HAT.id, BOX.code)),
        (
            HAT_AND_BOX.select_from(BOXES).join(
                HATS, (HAT.row == BOX.code) & (HAT.place == bindparam("n"))
            ),
            (BOX.code,),
        ),
        (select(HAT.id).join(OTHER, OTHER.c.id == HAT.place), (HAT.id,)),
        (select(HAT.id).where(exists().where(LABELLED)), (HAT.id,)),
        (select(HAT.id, func.count()).join(LABELS, LABELLED).group_by(HAT.id), (HAT.id,)),
        (select(Cap.id).outerjoin(Cap.maker), (Cap.id,)),
        (select(Cap.id).outerjoin(MAKER, MAKER.id == Cap.maker_id), (Cap.id,)),
        (select(HAT.id).join(Maker, Maker.code == HAT.place), (HAT.id,)),
        (select(HAT.id).distinct().join(LABELS, LABELLED), (HAT.id,)),
        (select(HAT.id).join(select(LABELS).subquery(), true()), (HAT.id,)),
    ],
)
def test_joins_that_keep_rows_apart_are_taken(query: Any, order: tuple[Any, ...]) -> None:
    assert Keyset("hat", query, *order).keys


@pytest.mark.parametrize(
    ("query", "order", "said"),
    [
        (PERHAPS_IN_BOX, (BOX.code, HAT.id), "code may be NULL, as its table is joined"),
        (PERHAPS_IN_BOX, (HAT.id, BOX.id), "id may be NULL, as"),
        (HAT_AND_BOX.select_from(HATS).outerjoin(BOXES, IN_BOX, full=True), (HAT.id,), "id may be"),
        (BOX_OF_HAT, (BOX.id,), "a JOIN may repeat a row; add the primary key of hats"),
        (select(HAT.id).join(LABELS, LABELLED), (HAT.id,), ".* the primary key of labels"),
        (select(HAT.id).outerjoin(LABELS, LABELLED), (HAT.id,), ".* the primary key of labels"),
        (HAT_AND_BOX, (HAT.id,), ".* the primary key of boxes"),
        (HAT_AND_BOX.where(IN_BOX | (HAT.id == 1)), (HAT.id,), ".* the primary key of boxes"),
        (select(HAT.id).join(OTHER, OTHER.c.row == HAT.row), (HAT.id,), ".* key of other"),
        (select(Maker.name).join(Cap, Cap.maker_id == Maker.id), (Maker.id,), ".* key of caps"),
        (
            select(Cap.id).outerjoin(Cap.maker),
            (Maker.code, Cap.id),
            "code may be NULL",
        ),
        (
            select(Cap.id).outerjoin(MAKER, MAKER.id == Cap.maker_id),
            (MAKER.code, Cap.id),
            "code may be NULL",
        ),
        (
            # where no label is found, nothing is said of the box that a hat is in
            select(BOX.id)
            .join(HATS, HAT.row == BOX.code)
            .outerjoin(LABELS, LABELLED & (HAT.id == BOX.id)),
            (BOX.id,),
            ".* key of hats and labels",
        ),
    ],
)
def test_joins_that_would_lose_rows_are_refused(
    query: Any, order: tuple[Any, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=f"^hat: {said}"):
        Keyset("hat", query, *order)


@pytest.fixture
async def rows(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """The tables, with 8 hats, every other one in one of 2 boxes."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute(
        "CREATE TABLE boxes (id int PRIMARY KEY, code int NOT NULL UNIQUE);"
        "CREATE TABLE hats (id int PRIMARY KEY, box_id int, row int NOT NULL, place int NOT NULL);"
        "INSERT INTO boxes SELECT n, n FROM generate_series(1, 2) n;"
        "INSERT INTO hats SELECT n, CASE WHEN n % 2 = 0 THEN 1 + n / 2 % 2 END, n, n"
        " FROM generate_series(1, 8) n"
    )
    yield connection
    await connection.execute("DROP TABLE hats, boxes")
    await connection.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "order", "expected"),
    [(PERHAPS_IN_BOX, (HAT.id,), 8), (BOX_OF_HAT, (BOX.code.desc(), HAT.id), 4)],
)
async def test_all_rows_are_seen(
    service: Service, rows: asyncpg.Connection, query: Any, order: tuple[Any, ...], expected: int
) -> None:
    keyset = Keyset("hat", query, *order)
    listing = service.get(Cursors).listing("hats", keyset.keys)
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        position = listing.decode(cursor) if cursor else None
        found = await keyset.fetch(service.get(Database), position, 3)
        page = listing.page(found, 3, position)
        seen += page.data
        cursor = page.next_cursor
    assert len(seen) == expected
