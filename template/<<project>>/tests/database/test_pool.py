"""One bounded pool under everything: nothing is lost, nothing leaks, nothing stays open."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.database import metrics
from app.http.errors import Unavailable
from tests.database.conftest import MAX
from tests.database.conftest import MIN
from tests.database.conftest import Watch
from tests.database.conftest import settings
from tests.database.statements import ONE
from tests.database.statements import PROBE
from tests.database.statements import SLEEP
from tests.database.statements import WRITE

pytestmark = pytest.mark.anyio


async def test_a_thousand_sessions_share_the_pool(database: Database, watch: Watch) -> None:
    peak, done = 0, asyncio.Event()

    async def observe() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, await watch.count())
            await asyncio.sleep(0.005)

    async def one(n: int) -> None:
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=n))
            await session.execute(text("SELECT pg_sleep(0.002)"))

    observer, started = asyncio.create_task(observe()), perf_counter()
    await asyncio.gather(*(one(n) for n in range(1000)))
    took = perf_counter() - started
    done.set()
    await observer
    print(f"\n1,000 concurrent sessions: {took:.2f} s, at most {peak} connections")
    assert await watch.rows() == 1000
    assert peak == MAX
    await watch.becomes(MIN)


async def test_a_block_that_ends_commits_and_one_that_raises_does_not(
    database: Database, watch: Watch
) -> None:
    async def fails(n: int) -> None:
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=n))
            raise LookupError(n)

    raised = await asyncio.gather(*(fails(n) for n in range(50)), return_exceptions=True)
    assert all(isinstance(error, LookupError) for error in raised)
    assert await watch.rows() == 0
    async with database.session() as session:
        await session.execute(insert(PROBE).values(n=1))
    assert await watch.rows() == 1
    await watch.whole(database)


@pytest.mark.parametrize("error", [TimeoutError("mine"), FileNotFoundError(), ConnectionError()])
async def test_what_a_block_raises_by_itself_is_not_the_databases_fault(
    database: Database, error: OSError
) -> None:
    with pytest.raises(type(error)) as caught:
        async with database.session() as session:
            await session.execute(text("SELECT 1"))
            raise error
    assert caught.value is error


async def test_a_duplicate_key_leaves_no_transaction_open(database: Database, watch: Watch) -> None:
    async def same() -> None:
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=1))

    results = await asyncio.gather(*(same() for _ in range(50)), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, IntegrityError) for result in results) == 49
    await watch.whole(database)


async def test_cancelled_work_leaves_nothing_behind(database: Database, watch: Watch) -> None:
    async def session() -> None:
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=random.randrange(2**31)))
            await session.execute(text("SELECT pg_sleep(30)"))

    tasks = [asyncio.create_task(session()) for _ in range(20)]
    tasks += [asyncio.create_task(database.fetch(SLEEP, seconds=30.0)) for _ in range(20)]  # type: ignore[arg-type]
    await watch.becomes(MAX, "query LIKE '%pg_sleep%' AND state = 'active'")
    for task in tasks:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert all(task.cancelled() for task in tasks)
    assert await watch.rows() == 0
    await watch.whole(database)


@contextmanager
def unfinished_connections() -> Iterator[None]:
    """asyncpg leaves a future behind when it is cancelled while it connects: not our concern."""
    loop = asyncio.get_running_loop()
    usual = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "connection_lost" not in str(context.get("exception")):
            assert usual
            usual(loop, context)

    loop.set_exception_handler(handle)
    yield
    loop.set_exception_handler(usual)


@pytest.mark.parametrize("acquire_s", [30, 0.004])
async def test_cancelling_at_any_moment_loses_no_connection(
    servers: dict[str, str], watch: Watch, acquire_s: float
) -> None:
    chance = random.Random(7)
    changed = {"pool_acquire_s": acquire_s, "pool_idle_s": 0.05}

    async def work(database: Database) -> None:
        seconds = chance.choice([0.0, 0.001, 0.004])
        if chance.random() < 0.5:
            await database.fetch(SLEEP, seconds=seconds)
            return
        async with database.session() as session:
            await session.execute(text("SELECT pg_sleep(:s)"), {"s": seconds})
            await asyncio.sleep(0)

    async def user(database: Database) -> None:
        for _ in range(40):
            task = asyncio.create_task(work(database))
            await asyncio.sleep(chance.random() * 0.01)
            task.cancel()
            with suppress(asyncio.CancelledError, Unavailable):
                await task

    with unfinished_connections():
        async with Database(settings(servers["DATABASE_URL"], **changed)) as database:
            await asyncio.gather(*(user(database) for _ in range(16)))
            database._settings = settings(servers["DATABASE_URL"])  # to acquire in peace
            await watch.whole(database)


async def test_no_connection_in_time_is_unavailable_and_counted(
    servers: dict[str, str], watch: Watch
) -> None:
    def timeouts() -> float:
        return float(metrics.TIMEOUTS._value.get())

    before = timeouts()
    async with Database(settings(servers["DATABASE_URL"], pool_acquire_s=0.1)) as database:
        held = [await database._acquire() for _ in range(MAX)]
        with pytest.raises(Unavailable, match="busy"):
            await database.fetch(ONE)
        with pytest.raises(Unavailable, match="busy"):
            async with database.session() as session:
                await session.execute(text("SELECT 1"))
        assert timeouts() == before + 2
        for one in held:
            await database._pool.release(one)
        assert len(await database.fetch(ONE)) == 1


async def test_a_busy_pool_is_healthy_as_long_as_it_gets_answers(
    database: Database, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.fetch(ONE)
    held = [await database._acquire() for _ in range(MAX)]
    async with asyncio.timeout(1):
        await database.ping()
    monkeypatch.setattr("app.database.pool.RECENT_S", 0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await database.ping()
    for one in held:
        await database._pool.release(one)
    await database.ping()
    await watch.whole(database)


async def test_a_pool_in_use_closes_all_the_same(
    servers: dict[str, str], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.pool.CLOSE_S", 1)
    database = Database(settings(servers["DATABASE_URL"]))
    await database.__aenter__()
    stuck = asyncio.create_task(database.fetch(SLEEP, seconds=30.0))
    written = asyncio.create_task(database.fetch(WRITE, n=1))
    await watch.busy(1)
    started = perf_counter()
    await database.__aexit__(None, None, None)
    assert perf_counter() - started < 3
    await asyncio.gather(stuck, written, return_exceptions=True)
    assert isinstance(stuck.exception(), Unavailable)
    assert await watch.rows() == 1
    await watch.kill()
    await watch.becomes(0)


async def test_a_connection_to_oneself_comes_back_as_it_was(
    database: Database, watch: Watch
) -> None:
    with pytest.raises(LookupError):
        async with database.connection() as connection:
            await connection.execute("SET statement_timeout = '7s'")
            await connection.execute("LISTEN somebody")
            raise LookupError
    async with database.connection() as again:
        assert again is connection
        assert await again.fetchval("SHOW statement_timeout") == "30s"
        assert await again.fetch("SELECT pg_listening_channels()") == []
    await watch.whole(database)


async def test_a_connection_to_oneself_that_is_cut_is_replaced(
    database: Database, watch: Watch
) -> None:
    async with database.connection() as connection:
        connection.terminate()
    await watch.whole(database)
