"""Backends killed, the server gone and back, time over: who may try again is told so."""

import asyncio
import socket
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.database import Statement
from app.database import metrics
from app.database.errors import Away
from app.http.errors import Unavailable
from tests.database.conftest import Watch
from tests.database.conftest import settings
from tests.database.private import MakeServer
from tests.database.private import PrivateServer
from tests.database.statements import ONE
from tests.database.statements import PROBE
from tests.database.statements import SLEEP
from tests.database.statements import WRITE

pytestmark = pytest.mark.anyio


@pytest.fixture
async def own(private: MakeServer) -> AsyncIterator[tuple[PrivateServer, Database]]:
    """A server that may be stopped, and the database on it."""
    server = private()
    server.start()
    async with Database(settings(server.url)) as database:
        yield server, database


async def test_reads_survive_killed_backends(database: Database, watch: Watch) -> None:
    before, done, reads = metrics.RETRIES._value.get(), False, 0

    async def reader() -> None:
        nonlocal reads
        while not done:
            await database.fetch(SLEEP, seconds=0.001)
            reads += 1

    readers = [asyncio.create_task(reader()) for _ in range(16)]
    killed = 0
    for _ in range(5):
        await asyncio.sleep(0.3)
        killed += await watch.kill()
    await asyncio.sleep(0.3)
    done = True
    await asyncio.gather(*readers)  # raises what a reader raised
    retries = metrics.RETRIES._value.get() - before
    print(f"\n{killed} backends killed under {reads} reads: 0 errors, {retries:.0f} repeated")
    assert killed >= 10
    assert retries > 0


async def test_writes_under_killed_backends_are_unavailable_and_nothing_else(
    database: Database, watch: Watch
) -> None:
    answers: list[BaseException | None] = []
    done = False

    async def writer(start: int) -> None:
        for n in range(start, start + 100_000):
            if done:
                return
            try:
                if n % 2:
                    await database.fetch(WRITE, n=n)
                else:
                    async with database.session() as session:
                        await session.execute(insert(PROBE).values(n=n))
                        await session.execute(text("SELECT pg_sleep(0.001)"))
                answers.append(None)
            except Exception as error:
                answers.append(error)

    writers = [asyncio.create_task(writer(n * 100_000)) for n in range(16)]
    for _ in range(5):
        await asyncio.sleep(0.2)
        await watch.kill()
    done = True
    await asyncio.gather(*writers)
    failed = [error for error in answers if error]
    assert failed
    assert {type(error) for error in failed} == {Away}
    # whose answer was lost may have been committed all the same
    assert len(answers) - len(failed) <= await watch.rows() <= len(answers)


async def test_a_session_whose_connection_dies_is_unavailable(
    database: Database, watch: Watch
) -> None:
    with pytest.raises(Away):
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=1))
            await watch.kill()
            await asyncio.sleep(0.1)
            await session.execute(text("SELECT 1"))
    with pytest.raises(Away):
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=1))
            await watch.kill()  # and the commit finds out
    await asyncio.sleep(0.1)
    async with database.session() as session:
        await session.execute(insert(PROBE).values(n=2))
    assert await watch.rows() == 1


async def test_a_server_that_is_down_is_told_quickly_and_found_again(
    own: tuple[PrivateServer, Database],
) -> None:
    server, database = own
    assert len(await database.fetch(ONE)) == 1
    server.stop()
    started = perf_counter()
    for _ in range(2):  # with connections that broke, and without any
        with pytest.raises(Away):
            await database.fetch(ONE)
        with pytest.raises(Away):
            await database.fetch(WRITE, n=1)
        with pytest.raises(Away):
            async with database.session() as session:
                await session.execute(text("SELECT 1"))
        with pytest.raises(Away):
            await database.ping()
    took = perf_counter() - started
    many = await asyncio.gather(*(database.fetch(ONE) for _ in range(200)), return_exceptions=True)
    assert {type(error) for error in many} == {Away}
    print(f"\nserver stopped: 8 calls in {took:.2f} s, 208 in {perf_counter() - started:.2f} s")
    assert took < 5
    server.start()
    assert len(await database.fetch(ONE)) == 1
    async with database.session() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    await database.ping()


def _connecting(database: Database) -> dict[str, Any]:
    """With what the pool makes connections."""
    pool: Any = database._pool
    options: dict[str, Any] = pool._connect_kwargs
    return options


async def test_a_server_that_does_not_answer_is_not_waited_for(
    servers: dict[str, str], watch: Watch
) -> None:
    """It accepts connections and says nothing more, as one whose machine is gone."""
    changed = {"connect_timeout_s": 0.3, "pool_min": 0}
    async with Database(settings(servers["DATABASE_URL"], **changed)) as database:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            url = f"postgresql://nobody@127.0.0.1:{deaf.getsockname()[1]}/nothing?sslmode=disable"
            database._pool.set_connect_args(url, **_connecting(database))
            await database._pool.expire_connections()
            started = perf_counter()
            with pytest.raises(Away):
                await database.fetch(WRITE, n=1)
            assert perf_counter() - started < 3


async def test_a_query_that_takes_too_long_is_not_repeated(
    servers: dict[str, str], watch: Watch
) -> None:
    before = metrics.RETRIES._value.get()
    changed = {"statement_timeout_s": 0.2}
    async with Database(settings(servers["DATABASE_URL"], **changed)) as database:
        started = perf_counter()
        with pytest.raises(Unavailable, match="too long"):
            await database.fetch(SLEEP, seconds=30.0)
        with pytest.raises(Unavailable, match="too long"):
            async with database.session() as session:
                await session.execute(text("SELECT pg_sleep(30)"))
        assert perf_counter() - started < 3
        await watch.busy(0)
    assert metrics.RETRIES._value.get() == before


async def test_our_own_clock_ends_a_query_too(servers: dict[str, str], watch: Watch) -> None:
    """When the server's does not: DATABASE_PGBOUNCER, or a server that vanished."""
    async with Database(settings(servers["DATABASE_URL"])) as database:
        _connecting(database)["command_timeout"] = 0.2
        await database._pool.expire_connections()
        with pytest.raises(Unavailable, match="too long"):
            await database.fetch(SLEEP, seconds=30.0)
        with pytest.raises(Unavailable, match="too long"):
            async with database.session() as session:
                await session.execute(text("SELECT pg_sleep(30)"))
        await watch.busy(0)
        assert len(await database.fetch(ONE)) == 1


async def test_who_is_in_anothers_way_may_try_again(database: Database, watch: Watch) -> None:
    """Two transactions that wait for each other: the server gives one of them up."""
    for n in (1, 2):
        await database.fetch(WRITE, n=n)
    both = asyncio.Barrier(2)

    async def touch(session: AsyncSession, n: int) -> None:
        await session.execute(update(PROBE).where(PROBE.c.n == n).values(n=n))

    async def cross(first: int, second: int) -> None:
        async with database.session() as session:
            await touch(session, first)
            await both.wait()
            await touch(session, second)

    failed = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    assert [type(error) for error in failed if error] == [Unavailable]
    async with database.session() as session:
        await touch(session, 1)
        async with database.session() as other:
            with pytest.raises(Unavailable, match="in the way"):
                await other.execute(
                    select(PROBE).where(PROBE.c.n == 1).with_for_update(nowait=True)
                )


async def test_unavailable_is_logged_without_values(
    database: Database, watch: Watch, logged: list[dict[str, Any]]
) -> None:
    slow = Statement(
        "test_secret",
        select(bindparam("secret", type_=Text), text("pg_sleep(30)")),
        read=False,
    )
    task = asyncio.create_task(database.fetch(slow, secret="hunter2"))
    await watch.becomes(1, "state = 'active'")
    await watch.kill()
    with pytest.raises(Away):
        await task
    lines = [line for line in logged if line["event"] == "database_unavailable"]
    assert [line.keys() for line in lines] == [{"event", "statement", "error"}]
    assert lines[0]["statement"] == "test_secret"
    assert lines[0]["error"].isidentifier()  # a type; its text may quote what it was about
    assert "hunter2" not in str(logged)


async def test_a_connection_that_breaks_is_not_kept(watch: Watch, database: Database) -> None:
    proxy = await database._acquire()
    connection: asyncpg.Connection = proxy._con
    await watch.kill()
    await asyncio.sleep(0.1)
    assert connection.is_closed()
    await database._pool.release(proxy)
    assert len(await database.fetch(ONE)) == 1
