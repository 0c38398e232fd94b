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


async def test_what_is_in_use_is_not_forgotten_when_somebody_else_finds_out_about_a_migration(
    database: Database, watch: Watch
) -> None:
    async def probe() -> None:
        async with database.session() as session:
            await session.execute(select(PROBE.c.n))

    await probe()
    async with database.connection() as connection:
        lent: Any = connection
        held = (await lent._prepare("SELECT 1", use_cache=True), await lent.prepare("SELECT 2"))
        await probe()  # on a second connection
        await watch.connection.execute("ALTER TABLE probe ALTER n TYPE bigint")
        await probe()
        assert [await statement.fetchval() for statement in held] == [1, 2]
        assert len(lent._stmt_cache) > 0
    assert len(lent._stmt_cache) == 0


async def test_a_session_keeps_its_statements_while_another_one_forgets_them(
    servers: dict[str, str], watch: Watch
) -> None:
    """Eight sessions find out about a migration in the same moment, time and again."""
    add = insert(PROBE).values(n=bindparam("n")).returning(PROBE.c.n)
    eight = {"pool_min": 8, "pool_max": 8}
    async with Database(settings(servers["DATABASE_URL"], **eight)) as database:

        async def adds(n: int) -> int:
            async with database.session() as session:
                added = (await session.execute(add, {"n": n})).scalar_one()
                await session.execute(text("SELECT pg_sleep(0.02)"))  # each has its connection
                return int(added)

        for first in range(0, 20 * 8, 8):
            kind = ("bigint", "integer")[first // 8 % 2]
            await watch.connection.execute(f"ALTER TABLE probe ALTER n TYPE {kind}")
            eight_more = range(first, first + 8)
            assert await asyncio.gather(*map(adds, eight_more)) == list(eight_more)


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
