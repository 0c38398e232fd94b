"""Queries are timed by name, slow ones are logged, and values are in neither."""

import sys
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Double
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.database import Statement
from app.http.errors import Unavailable
from tests.database.conftest import MAX
from tests.database.conftest import MIN
from tests.database.conftest import Watch
from tests.database.conftest import settings
from tests.database.private import MakeServer
from tests.database.statements import ONE
from tests.database.statements import PROBE
from tests.database.statements import READ
from tests.database.statements import WRITE

pytestmark = pytest.mark.anyio

SECRET = Statement(
    "test_sleeps",
    select(
        func.pg_sleep(bindparam("seconds", type_=Double)),
        bindparam("secret", type_=Text).label("s"),
    ),
)


def timed(statement: str) -> float:
    """How many queries of this name were counted."""
    name = "database_query_duration_seconds_count"
    return REGISTRY.get_sample_value(name, {"statement": statement}) or 0


async def test_queries_are_counted_by_the_name_of_their_statement(
    database: Database, watch: Watch
) -> None:
    before = {name: timed(name) for name in ("test_one", "test_read", "test_write", "session")}
    for _ in range(3):
        await database.fetch(ONE)
    await database.fetch_one(READ, wanted=1)
    await database.fetch(WRITE, n=1)
    with pytest.raises(Exception, match="duplicate key"):
        await database.fetch(WRITE, n=1)
    async with database.session() as session:
        await session.execute(text("SELECT 1"))
        await session.execute(text("SELECT 2"))
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=1))
    counted = {name: timed(name) - n for name, n in before.items()}
    assert counted == {"test_one": 3, "test_read": 1, "test_write": 2, "session": 3}


async def test_slow_queries_are_logged_without_values(
    servers: dict[str, str], watch: Watch, logged: list[dict[str, Any]]
) -> None:
    changed = {"slow_query_s": 0.05, "statement_timeout_s": 0.3}
    async with Database(settings(servers["DATABASE_URL"], **changed)) as database:
        await database.fetch(ONE)
        await database.fetch(SECRET, seconds=0.1, secret="hunter2")
        async with database.session() as session:
            query = text("SELECT pg_sleep(:seconds), :secret || ''")
            await session.execute(query, {"seconds": 0.1, "secret": "hunter2"})
        with pytest.raises(Unavailable):  # the slowest of all are those that got no answer
            await database.fetch(SECRET, seconds=9.0, secret="hunter2")
        with pytest.raises(Unavailable):
            async with database.session() as session:
                await session.execute(query, {"seconds": 9.0, "secret": "hunter2"})
    slow = [line for line in logged if line["event"] == "slow_query"]
    assert [line["statement"] for line in slow] == [
        "test_sleeps",
        "SELECT pg_sleep($1), $2 || ''",
        "test_sleeps",
        "SELECT pg_sleep($1), $2 || ''",
    ]
    assert all(0.05 < line["seconds"] < 5 for line in slow)
    assert "hunter2" not in str(logged)


async def test_the_pool_is_reported(database: Database) -> None:
    def connections(state: str) -> float | None:
        return REGISTRY.get_sample_value("database_pool_connections", {"state": state})

    assert connections("max") == MAX
    assert connections("open") == connections("idle") == MIN
    held = await database._acquire()
    assert connections("idle") == MIN - 1
    await database._pool.release(held)


async def test_a_statement_is_one_round_trip_and_a_session_is_reset(private: MakeServer) -> None:
    """Told by the server: it logs every statement it is sent."""
    server = private("log_statement=all")
    server.start()
    async with Database(settings(server.url, pool_min=1, pool_max=1)) as database:
        await database.fetch(ONE)  # prepared
        before = len(server.statements())
        for _ in range(5):
            await database.fetch(ONE)
        sent = server.statements()[before:]
        assert len(sent) == 5
        assert all("SELECT 1 AS one" in line for line in sent)
        before += 5
        async with database.session() as session:
            await session.execute(text("SELECT 1 AS one"))
        begin, query, commit, *reset = server.statements()[before:]
        assert "BEGIN" in begin
        assert "SELECT 1 AS one" in query
        assert "COMMIT" in commit
        assert any("pg_advisory_unlock_all" in line for line in reset)


async def test_a_watcher_is_told_of_every_query(database: Database) -> None:
    told: list[tuple[str, str | None, bool, str | None]] = []

    def watcher(name: str, sql: str | None, seconds: float, ok: bool) -> None:
        assert 0 < seconds < 30
        error = sys.exception()
        told.append((name, sql, ok, type(error).__name__ if error else None))

    database.watch(watcher)
    await database.fetch(ONE)
    await database.fetch(WRITE, n=1)
    with pytest.raises(Exception, match="duplicate key"):
        await database.fetch(WRITE, n=1)
    async with database.session() as session:
        await session.execute(select(PROBE.c.n).where(PROBE.c.n == 1))
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=1))
    database.watch(None)
    await database.fetch(ONE)
    assert [one[0] for one in told] == ["test_one", "test_write", "test_write"] + ["session"] * 2
    assert [one[1] is None for one in told] == [True] * 3 + [False] * 2
    assert told[3][1] == "SELECT probe.n \nFROM probe \nWHERE probe.n = $1::INTEGER"
    assert [one[2] for one in told] == [True, True, False, True, False]
    assert [one[3] is None for one in told] == [True, True, False, True, False]
