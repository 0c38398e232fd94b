"""What one user of a connection leaves to the next: nothing."""

from typing import Any

import pytest
from sqlalchemy import text

from app.database import Database
from app.database.lend import hand_back
from app.database.lend import release
from tests.database.conftest import Watch
from tests.database.conftest import settings
from tests.database.statements import ONE
from tests.database.statements import PID

pytestmark = pytest.mark.anyio


async def test_a_session_leaves_no_state_to_the_next_user(
    servers: dict[str, str], watch: Watch
) -> None:
    one = {"pool_min": 1, "pool_max": 1}
    async with Database(settings(servers["DATABASE_URL"], **one)) as database:
        [before] = await database.fetch(PID)
        async with database.session() as session:
            await session.execute(text("SET statement_timeout = '7s'"))
            await session.execute(text("SELECT pg_advisory_lock(42)"))
            await session.execute(text("CREATE TEMP TABLE own ON COMMIT DROP AS SELECT 1"))
            await session.execute(text("LISTEN something"))
        async with database.session() as session:
            row = await session.execute(
                text(
                    "SELECT pg_backend_pid(), current_setting('statement_timeout'),"
                    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
                    " (SELECT count(*) FROM pg_listening_channels()), to_regclass('own')"
                )
            )
            assert row.one() == (before["pid"], "30s", 0, 0, None)


async def test_a_statement_does_not_pass_on_what_a_session_left(
    servers: dict[str, str], watch: Watch
) -> None:
    """Also when the two take turns on one connection, in any order."""
    one = {"pool_min": 1, "pool_max": 1}
    async with Database(settings(servers["DATABASE_URL"], **one)) as database:
        for _ in range(3):
            await database.fetch(ONE)
            async with database.session() as session:
                shown = await session.scalar(text("SHOW statement_timeout"))
                assert shown == "30s"
                await session.execute(text("SET statement_timeout = '7s'"))


async def test_what_takes_a_connection_by_itself_finds_it_reset_afterwards(
    servers: dict[str, str], watch: Watch
) -> None:
    one = {"pool_min": 1, "pool_max": 1}
    async with Database(settings(servers["DATABASE_URL"], **one)) as database:
        await database.fetch(ONE)
        async with database._pool.acquire() as connection:
            await connection.execute("SET statement_timeout = '7s'")
        async with database._pool.acquire() as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "30s"


async def test_handing_back_does_what_asyncpgs_release_does(
    servers: dict[str, str], watch: Watch
) -> None:
    def state(holder: Any) -> dict[str, Any]:
        kept = ("_in_use", "_timeout", "_generation", "_proxy", "_con")
        timer = holder._inactive_callback
        return {name: getattr(holder, name) for name in kept} | {
            "leaves": timer is not None and not timer.cancelled(),
            "uses": holder._con._pool_release_ctr,
            "clean": holder._con.clean,
            "free": holder._pool._queue.qsize(),
        }

    one = {"pool_min": 1, "pool_max": 1}
    async with Database(settings(servers["DATABASE_URL"], **one)) as database:
        for uses in range(3):
            proxy = await database._acquire()
            holder, before = proxy._holder, proxy._con._pool_release_ctr
            proxy._con.clean = True
            if uses % 2:
                assert hand_back(proxy)
            else:
                await release(database._pool, proxy)
            assert state(holder) == {
                "_in_use": None,
                "_timeout": None,
                "_generation": 0,
                "_proxy": None,
                "_con": holder._con,
                "leaves": True,
                "uses": before + 1,
                "clean": False,
                "free": 1,
            }
            assert not hand_back(proxy)  # twice is once


async def test_only_a_clean_connection_at_rest_is_handed_back(
    database: Database, watch: Watch
) -> None:
    used = await database._acquire()
    assert not hand_back(used)  # nobody said that it is clean
    used._con.clean = True
    await used.execute("BEGIN")
    assert not hand_back(used)
    await release(database._pool, used)
    broken = await database._acquire()
    broken._con.clean = True
    broken._con._protocol.abort()  # closed, and nobody has noticed yet
    assert not hand_back(broken)
    await release(database._pool, broken)
    old = await database._acquire()
    old._con.clean = True
    await database._pool.expire_connections()
    assert not hand_back(old)
    await release(database._pool, old)
    await watch.whole(database)
