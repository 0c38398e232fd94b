"""At the deadline the query is cancelled on the server, and its connection is as good as new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from time import monotonic

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import Double
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import text
from starlette.responses import Response
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.backpressure import pattern
from app.database import Database
from app.database import DatabaseSettings
from app.database import Statement
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.service import Service
from tests.backpressure.visitors import Desk

pytestmark = pytest.mark.anyio

POOL = 3
SLEEP = Statement("test_sleep", select(func.pg_sleep(bindparam("seconds", type_=Double))))
PID = Statement("test_pid", select(func.pg_backend_pid().label("pid")))

type Work = Callable[[Database], Awaitable[None]]


async def hot(database: Database) -> None:
    """A compiled statement."""
    await database.fetch(SLEEP, seconds=60.0)


async def session(database: Database) -> None:
    """A transaction that has written, and waits for a query."""
    async with database.session() as session:
        await session.execute(text("INSERT INTO cancelled VALUES (1)"))
        await session.execute(text("SELECT pg_sleep(60)"))


async def plain(database: Database) -> None:
    """A connection for itself, with a setting changed."""
    async with database.connection() as connection:
        await connection.execute("SET statement_timeout = 0; SELECT pg_sleep(60)")


@pytest.fixture
async def database(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A database with a small pool, known to the server as `testee`."""
    monkeypatch.setattr("app.database.open.NAME", "testee")
    url = SecretStr(servers["DATABASE_URL"])
    async with Database(DatabaseSettings(url=url, pool_min=POOL, pool_max=POOL)) as database:
        yield database


@pytest.fixture
async def watch(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """Somebody who looks at the server."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute("DROP TABLE IF EXISTS cancelled; CREATE TABLE cancelled (n int)")
    yield connection
    await connection.execute("DROP TABLE cancelled")
    await connection.close()


async def states(watch: asyncpg.Connection) -> dict[str, int]:
    """The states of the service's backends, and how many are in each."""
    rows = await watch.fetch(
        "SELECT state, count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'testee' GROUP BY state"
    )
    return dict(map(tuple, rows))


async def becomes(watch: asyncpg.Connection, wanted: dict[str, int]) -> None:
    """Wait until the backends are in these states."""
    deadline = monotonic() + 5
    while (found := await states(watch)) != wanted:
        assert monotonic() < deadline, found
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("work", [hot, session, plain])
async def test_the_deadline_cancels_the_query(
    database: Database, watch: asyncpg.Connection, work: Work
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await work(database)
        await Response("done")(scope, receive, send)

    pids = {row["pid"] for row in await asyncio.gather(*(pid(database) for _ in range(POOL)))}
    desk = Desk(app, limit=10, deadline_s=1)
    visitors = [await desk.visit("/") for _ in range(POOL)]
    await becomes(watch, {"active": POOL})
    assert [await one.status() for one in visitors] == [503] * POOL
    assert await states(watch) == {"idle": POOL}
    assert desk.limiter.in_flight == 0
    held = [await database._acquire() for _ in range(POOL)]  # all of them can be had
    assert {await one.fetchval("SELECT pg_backend_pid()") for one in held} == pids
    assert {await one.fetchval("SHOW statement_timeout") for one in held} == {"30s"}
    for one in held:
        await database._pool.release(one)
    assert await watch.fetchval("SELECT count(*) FROM cancelled") == 0


async def pid(database: Database) -> asyncpg.Record:
    """The backend of a connection."""
    row = await database.fetch_one(PID)
    assert row
    return row


async def test_who_waits_for_a_connection_leaves_the_pool(
    database: Database, watch: asyncpg.Connection
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hot(database)

    desk = Desk(app, limit=3 * POOL, deadline_s=1)
    visitors = [await desk.visit("/") for _ in range(3 * POOL)]
    await becomes(watch, {"active": POOL})
    assert [await one.status() for one in visitors] == [503] * 3 * POOL
    assert await states(watch) == {"idle": POOL}
    assert await database.fetch(PID)


def test_the_pool_is_the_scarcest_resource(servers: dict[str, str]) -> None:
    service = Service(PATTERNS)
    named: dict[str, Pattern] = {one.name: one for one in PATTERNS}
    bears = named["database"].concurrency
    assert bears
    assert bears(service) == service.settings(DatabaseSettings).pool_max
    assert pattern.concurrency is None
