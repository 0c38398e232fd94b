"""What comes back: values as they were sent, of the schema as it is now."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import bindparam
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql import JSONB

from app.database import Database
from app.database import Statement
from app.database import metrics
from app.database.lend import LentConnection
from app.database.lend import PooledConnection
from app.http.errors import Unavailable
from tests.database.conftest import Watch
from tests.database.conftest import settings
from tests.database.statements import PROBE
from tests.database.statements import READ
from tests.database.statements import WRITE

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("value", [2**31, -(2**40), "closed", "the connection is closed", None])
async def test_a_wrong_value_is_the_callers_fault(
    database: Database, watch: Watch, logged: list[dict[str, Any]], value: Any
) -> None:
    before = metrics.RETRIES._value.get()
    with pytest.raises(Exception, match=r"invalid input|null value") as caught:
        await database.fetch(READ if value is not None else WRITE, **_given(value))
    assert not isinstance(caught.value, Unavailable)
    assert metrics.RETRIES._value.get() == before
    assert logged == []


def _given(value: Any) -> dict[str, Any]:
    return {"n": None} if value is None else {"wanted": value}


async def test_a_migration_costs_a_session_that_has_begun_one_attempt(
    servers: dict[str, str], watch: Watch
) -> None:
    """Prepared statements whose result changes its type are prepared anew, on every connection."""
    statement = Statement("test_migrated", select(PROBE.c.n).where(PROBE.c.n < bindparam("n")))
    three = {"pool_min": 3, "pool_max": 3}
    async with Database(settings(servers["DATABASE_URL"], **three)) as database:

        async def in_session(pause: float = 0) -> Any:
            try:
                async with database.session() as session:
                    await session.execute(text("SELECT pg_sleep(:s)"), {"s": pause})
                    return len((await session.execute(select(PROBE.c.n))).all())
            except Unavailable:
                return Unavailable

        await watch.connection.execute("INSERT INTO probe VALUES (1)")
        assert await asyncio.gather(*(in_session(0.05) for _ in range(3))) == [1, 1, 1]
        await database.fetch(statement, n=5)
        await watch.connection.execute("ALTER TABLE probe ALTER n TYPE bigint")
        assert [await in_session() for _ in range(4)] == [Unavailable, 1, 1, 1]
        assert await asyncio.gather(*(in_session(0.05) for _ in range(3))) == [1, 1, 1]
        assert len(await database.fetch(statement, n=5)) == 1


async def test_a_session_that_has_done_nothing_begins_again(
    database: Database, watch: Watch
) -> None:
    add = insert(PROBE).values(n=bindparam("n")).returning(PROBE.c.n)

    async def adds(n: int) -> tuple[Any, ...]:
        async with database.session() as session:
            added = (await session.execute(add, {"n": n})).one()
            await session.execute(text("SELECT pg_sleep(0.05)"))  # so that each has its connection
            return tuple(added)

    assert await asyncio.gather(*(adds(n) for n in range(3))) == [(0,), (1,), (2,)]
    await watch.connection.execute("ALTER TABLE probe ALTER n TYPE bigint")
    assert await asyncio.gather(*(adds(n) for n in range(3, 6))) == [(3,), (4,), (5,)]
    assert await watch.rows() == 6


async def test_a_statement_that_is_forgotten_as_it_is_prepared_is_prepared_again(
    database: Database, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session of the pool finds out about a migration just then."""
    clean_up: Any = PooledConnection._cleanup_stmts  # type: ignore[attr-defined]
    forgotten: list[Any] = []

    async def forgetting(self: Any) -> None:
        if not forgotten:
            forgotten.append(self)
            self._drop_global_statement_cache()
        await clean_up(self)

    async def count() -> int:
        async with database.session() as session:
            return len((await session.execute(select(PROBE.c.n))).all())

    await watch.connection.execute("INSERT INTO probe VALUES (1)")
    assert await count() == 1
    async with database.session() as session:  # so that there are statements to be cleaned up
        connection = await session.connection()
        lent = (await connection.get_raw_connection()).driver_connection
        assert isinstance(lent, LentConnection)
        lent.forget_statements()
    monkeypatch.setattr(PooledConnection, "_cleanup_stmts", forgetting)
    assert await count() == 1
    assert forgotten


async def test_a_session_sees_the_columns_that_there_are_now(
    database: Database, watch: Watch
) -> None:
    async def shown() -> dict[str, Any]:
        async with database.session() as session:
            return dict((await session.execute(text("SELECT * FROM probe"))).mappings().one())

    await watch.connection.execute("INSERT INTO probe VALUES (1)")
    assert await shown() == {"n": 1}
    await watch.connection.execute("ALTER TABLE probe ADD more text DEFAULT 'x'")
    assert await shown() == {"n": 1, "more": "x"}


async def test_a_read_whose_row_type_has_changed_is_repeated(
    database: Database, watch: Watch
) -> None:
    whole = Statement("test_whole_rows", select(text("probe AS whole FROM probe")))
    await watch.connection.execute("INSERT INTO probe VALUES (1)")
    assert tuple((await database.fetch(whole))[0]["whole"]) == (1,)
    await watch.connection.execute("ALTER TABLE probe ADD more text DEFAULT 'x'")
    assert tuple((await database.fetch(whole))[0]["whole"]) == (1, "x")


async def test_what_a_prepared_statement_shows_is_never_stale(
    database: Database, watch: Watch
) -> None:
    columns = Statement("test_columns", select(text("* FROM probe")))
    await watch.connection.execute("INSERT INTO probe VALUES (1)")
    assert dict((await database.fetch(columns))[0]) == {"n": 1}
    await watch.connection.execute("ALTER TABLE probe ADD more text DEFAULT 'x'")
    assert dict((await database.fetch(columns))[0]) == {"n": 1, "more": "x"}


async def test_json_arrives_as_values(database: Database, watch: Watch) -> None:
    document = {"a": [1, None, "é"], "b": {"c": 1.5}}
    async with database.session() as session:
        row = await session.execute(
            select(
                bindparam("one", document, type_=JSON), bindparam("other", document, type_=JSONB)
            )
        )
        assert tuple(row.one()) == (document, document)
