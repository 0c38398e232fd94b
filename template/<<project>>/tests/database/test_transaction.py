"""A transaction that all which its task asks of the database is part of."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from asyncpg.transaction import Transaction
from sqlalchemy import text

from app.database import Database
from app.http.errors import Unavailable
from app.unit_of_work import again_when_committed
from app.unit_of_work import present
from tests.database.conftest import MAX
from tests.database.conftest import Watch
from tests.database.statements import ONE
from tests.database.statements import PID
from tests.database.statements import WRITE

pytestmark = pytest.mark.anyio

ADD = text("INSERT INTO probe VALUES (:n)")


async def test_what_its_task_asks_for_is_committed_together(
    database: Database, watch: Watch
) -> None:
    async with database.transaction():
        await database.fetch(WRITE, n=1)
        async with database.session() as session:
            await session.execute(ADD, {"n": 2})
        assert await watch.rows() == 0
        [one] = await database.fetch(PID)
        assert await watch.count(f"pid = {one['pid']} AND state LIKE 'idle in%'") == 1
    assert await watch.rows() == 2
    await watch.whole(database)


async def test_what_raises_is_undone(database: Database, watch: Watch) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction():
            await database.fetch(WRITE, n=1)
            async with database.session() as session:
                await session.execute(ADD, {"n": 2})
            raise ZeroDivisionError
    assert await watch.rows() == 0
    await database.fetch(WRITE, n=1)  # by itself again
    assert await watch.rows() == 1
    await watch.whole(database)


async def test_a_session_that_raises_undoes_its_own_part(database: Database, watch: Watch) -> None:
    async with database.transaction():
        await database.fetch(WRITE, n=1)
        with pytest.raises(ZeroDivisionError):
            async with database.session() as session:
                await session.execute(ADD, {"n": 2})
                raise ZeroDivisionError
        async with database.session() as session:
            await session.execute(ADD, {"n": 3})
    rows = await watch.connection.fetch("SELECT n FROM probe ORDER BY n")
    assert [row["n"] for row in rows] == [1, 3]


async def test_another_task_is_not_part_of_it(database: Database, watch: Watch) -> None:
    async with database.transaction():
        await database.fetch(WRITE, n=1)
        await asyncio.create_task(database.fetch(WRITE, n=2))
        assert await watch.rows() == 1
        left = asyncio.create_task(_later(database))
        raised = asyncio.create_task(_is_in_it())
        assert await raised is False
    await left
    assert await watch.rows() == 3
    await watch.whole(database)


async def _later(database: Database) -> None:
    await asyncio.sleep(0.1)
    await database.fetch(WRITE, n=3)


async def _is_in_it() -> bool:
    return present() is not None


async def test_what_is_to_be_done_after_the_commit_is_done_then(
    database: Database, watch: Watch
) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append(await watch.rows())

    def fail() -> None:
        raise ZeroDivisionError

    async with database.transaction() as transaction:
        await database.fetch(WRITE, n=1)
        assert present() is transaction
        transaction.after_commit(fail)  # is logged
        transaction.after_commit(look)
        assert seen == []
    assert seen == [1]
    assert present() is None
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as transaction:
            transaction.after_commit(look)
            raise ZeroDivisionError
    assert seen == [1]


@pytest.mark.parametrize("error", [ConnectionResetError, asyncio.CancelledError])
async def test_what_does_no_harm_is_done_also_when_the_commit_is_not_answered(
    database: Database,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    done: list[str] = []
    commit = Transaction.commit

    async def lose_the_answer(transaction: Transaction) -> None:
        await commit(transaction)
        raise error

    async def stop() -> None:
        done.append("stopped")
        raise asyncio.CancelledError

    monkeypatch.setattr(Transaction, "commit", lose_the_answer)
    with pytest.raises((Unavailable, asyncio.CancelledError)):
        async with database.transaction() as transaction:
            await database.fetch(WRITE, n=1)
            transaction.after_commit(lambda: done.append("committed"))
            transaction.after_commit(stop, if_in_doubt=True)
            again_when_committed(lambda: done.append("forgotten"))
    assert await watch.rows() == 1
    assert done == ["stopped", "forgotten"]


async def test_a_broken_connection_is_unavailable_and_replaced(
    database: Database, watch: Watch
) -> None:
    with pytest.raises(Unavailable):
        async with database.transaction():
            await database.fetch(WRITE, n=1)
            await watch.kill()
            await database.fetch(PID)
    with pytest.raises(Unavailable):
        async with database.transaction():
            await database.fetch(WRITE, n=1)
            await watch.kill()
    with pytest.raises(Unavailable):
        async with database.transaction():
            await database.fetch(WRITE, n=1)
            await watch.kill()
            await asyncio.sleep(0.2)  # so that asyncpg knows before it is asked to commit
    assert await watch.rows() == 0
    await database.fetch(ONE)  # finds what else was killed, for a write is not tried again
    await database.fetch(WRITE, n=1)
    await watch.whole(database)


async def test_one_that_is_cancelled_is_undone(database: Database, watch: Watch) -> None:
    async def work() -> None:
        async with database.transaction():
            await database.fetch(WRITE, n=1)
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await watch.becomes(1, "state LIKE 'idle in%'")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await watch.rows() == 0
    await watch.whole(database)


async def test_a_statement_that_fails_leaves_nothing_to_commit(
    database: Database, watch: Watch
) -> None:
    await database.fetch(WRITE, n=1)
    async with database.transaction():
        await database.fetch(WRITE, n=2)
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.fetch(WRITE, n=1)
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await database.fetch(PID)
    assert await watch.rows() == 1
    await watch.whole(database)


async def test_many_at_once_take_turns(database: Database, watch: Watch) -> None:
    async def work(n: int) -> None:
        async with database.transaction():
            await database.fetch(WRITE, n=n)
            await database.fetch(PID)

    await asyncio.gather(*(work(n) for n in range(10 * MAX)))
    assert await watch.rows() == 10 * MAX
    await watch.whole(database)
