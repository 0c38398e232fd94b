"""Hats, their makers, and the towns of those: tables of the tests' own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import ForeignKey
from sqlalchemy import Integer
from sqlalchemy import Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from app.database import Database
from app.database import Statement
from app.fields import Related
from app.fields import Shape


class Base(DeclarativeBase):
    """Apart from the service's tables."""


class Town(Base):
    """Where makers live."""

    __tablename__ = "towns"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)


class Maker(Base):
    """Who makes hats."""

    __tablename__ = "makers"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    town_id: Mapped[int | None] = mapped_column(ForeignKey(Town.id))


class Hat(Base):
    """A hat, of one maker and perhaps repaired by another."""

    __tablename__ = "hats"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    maker_id: Mapped[int | None] = mapped_column(ForeignKey(Maker.id))
    mender_id: Mapped[int | None] = mapped_column(ForeignKey(Maker.id))


TOWN = Shape(Town.id, Town.name)
MAKER = Shape(Maker.id, Maker.name, town=Related(TOWN, Maker.town_id, Town.id))
HAT = Shape(
    Hat.id,
    Hat.name,
    maker=Related(MAKER, Hat.maker_id, Maker.id),
    mender=Related(MAKER, Hat.mender_id, Maker.id),
)
CREATE = """
    DROP TABLE IF EXISTS hats, makers, towns;
    CREATE TABLE towns (id int PRIMARY KEY, name text);
    CREATE TABLE makers (id int PRIMARY KEY, name text, secret text, town_id int);
    CREATE TABLE hats (id int PRIMARY KEY, name text, maker_id int, mender_id int);
    INSERT INTO towns VALUES (1, 'Rome'), (2, 'Bonn');
    INSERT INTO makers VALUES (1, 'Ada', 's', 1), (2, 'Bo', 's', NULL), (3, 'Cy', 's', 2);
    INSERT INTO hats
        SELECT n, 'hat ' || n, nullif(n % 4, 0), nullif(n % 3, 0) FROM generate_series(1, 12) n;
    INSERT INTO hats VALUES (13, 'of a maker who is gone', 99, 1);
"""


@pytest.fixture
async def hats(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own, and the tables."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute(CREATE)
    yield connection
    await connection.execute("DROP TABLE hats, makers, towns")
    await connection.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of every statement, as it is sent."""
    sent: list[str] = []
    run = Database._run

    async def watched(self: Database, statement: Statement, arguments: list[object]) -> object:
        sent.append(" ".join(statement.sql.split()))
        return await run(self, statement, arguments)

    monkeypatch.setattr(Database, "_run", watched)
    return sent
