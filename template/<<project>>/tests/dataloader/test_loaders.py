"""Loaders of a request, on PostgreSQL."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError
from sqlalchemy import Identity
from sqlalchemy import Integer
from sqlalchemy import Text
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from app.database import Database
from app.dataloader import DataLoaderSettings
from app.dataloader import Loaders
from app.dataloader import Lookup
from app.dataloader import pattern
from app.service import Service

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    """Apart from the service's tables."""


class Hat(Base):
    """A hat."""

    __tablename__ = "hats"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)


HATS = Lookup("test_hats", select(Hat.id, Hat.name), Hat.id)


def queries() -> float:
    """How many queries there were for hats."""
    name = "database_query_duration_seconds_count"
    return REGISTRY.get_sample_value(name, {"statement": "test_hats"}) or 0


async def running(connection: Any, wanted: int) -> None:
    """Wait until the server runs so many queries for hats."""
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
        " AND query LIKE '%FROM hats%ANY%' AND pid <> pg_backend_pid()"
    )
    deadline = monotonic() + 5
    while (found := await connection.fetchval(count)) != wanted:
        assert monotonic() < deadline, f"{found} queries, not {wanted}"
        await asyncio.sleep(0.02)


@pytest.fixture
async def hats(servers: dict[str, str], service: Service) -> Any:
    """A table of 1,000 hats."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute("DROP TABLE IF EXISTS hats; CREATE TABLE hats (id int, name text)")
    await connection.execute(
        "INSERT INTO hats SELECT n, 'hat ' || n FROM generate_series(1, 1000) n"
    )
    yield connection
    await connection.execute("DROP TABLE hats")
    await connection.close()


async def test_a_thousand_lookups_are_a_query_for_each_batch(service: Service, hats: Any) -> None:
    loader = service.get(Loaders).of({}, HATS)
    before = queries()
    ids = [*range(1000, 0, -1), 5000]
    found = await asyncio.gather(*(loader.load(id) for id in ids))
    assert [hat and hat["name"] for hat in found] == [*(f"hat {id}" for id in ids[:-1]), None]
    assert queries() - before == 3, "500 keys each, and one is left"
    assert await loader.load_many(ids) == found
    assert queries() - before == 3


async def test_each_request_has_its_own(service: Service, hats: Any) -> None:
    loaders = service.get(Loaders)
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    assert loaders.of(one, HATS) is loaders.of(one, HATS)
    assert loaders.of(one, HATS) is not loaders.of(other, HATS)
    more = Lookup("test_more_hats", select(Hat.id), Hat.id)
    assert loaders.of(one, more) is not loaders.of(one, HATS)
    before = await loaders.of(one, HATS).load(1)
    await hats.execute("UPDATE hats SET name = 'cap' WHERE id = 1")
    assert await loaders.of(one, HATS).load(1) is before
    changed = await loaders.of(other, HATS).load(1)
    assert changed
    assert changed["name"] == "cap"


async def test_an_error_of_the_database_reaches_each_caller(service: Service, hats: Any) -> None:
    loader = service.get(Loaders).of({}, HATS)
    await hats.execute("ALTER TABLE hats RENAME TO caps")
    try:
        calls = (loader.load(1), loader.load(2))
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in found] == [asyncpg.UndefinedTableError] * 2
    finally:
        await hats.execute("ALTER TABLE caps RENAME TO hats")
    assert await loader.load(1)


async def test_a_request_that_is_cancelled_leaves_no_query(
    servers: dict[str, str], service: Service, hats: Any
) -> None:
    loader = service.get(Loaders).of({}, HATS)
    other = await asyncpg.connect(servers["DATABASE_URL"])
    async with hats.transaction():
        await hats.execute("LOCK TABLE hats IN ACCESS EXCLUSIVE MODE")
        request = asyncio.create_task(loader.load(1))
        await running(other, 1)
        request.cancel()
        await running(other, 0)
    await other.close()
    assert await service.get(Database).fetch_one(HATS._statement, keys=[1])


@pytest.mark.parametrize("size", ["0", "10001", "many"])
def test_a_size_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("DATALOADER_MAX_BATCH", size)
    with pytest.raises(ValidationError):
        DataLoaderSettings()
    assert pattern.settings is DataLoaderSettings
