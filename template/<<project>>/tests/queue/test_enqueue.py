"""What is enqueued, with whom it is committed, and what it costs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from typing import cast

import pytest
from sqlalchemy import Column
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import Table as Data
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import literal_column
from sqlalchemy import select

from app.database import Database
from app.database import Statement
from app.http.logs import request_id
from app.queue import KeyTaken
from app.queue import Kind
from app.queue import Queue
from app.queue import job_of_each
from app.queue.kinds import LARGEST_PAYLOAD
from tests.queue.conftest import WORK
from tests.queue.conftest import Table
from tests.queue.conftest import Work
from tests.queue.conftest import queries
from tests.queue.conftest import until

pytestmark = pytest.mark.anyio

DATA = Data("effects", MetaData(), Column("n", Integer))


@pytest.fixture
async def data(table: Table) -> AsyncIterator[Data]:
    """A table of data that jobs are about."""
    await table.connection.execute("CREATE TABLE effects (n int PRIMARY KEY)")
    yield DATA
    await table.connection.execute("DROP TABLE effects")


async def count(table: Table) -> tuple[int, int]:
    """The rows of data, and the jobs."""
    rows = await table.connection.fetchval("SELECT count(*) FROM effects")
    return rows, len(await table.rows())


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_job_of_a_transaction_block_is_committed_or_undone_with_it(
    database: Database, queue: Queue, table: Table, key: str | None
) -> None:
    announced = queries("job_notify")
    with pytest.raises(ZeroDivisionError):
        async with database.transaction():
            await queue.enqueue(WORK, Work(1), key=key)
            raise ZeroDivisionError
    assert await table.rows() == []
    async with database.transaction():
        made = await queue.enqueue(WORK, Work(2), key=key, delay_s=60, priority=3)
        async with database.session() as session:
            await queue.enqueue(WORK, Work(3), session=session)
        assert await table.rows() == []
        assert queue._announcing is None, "before the commit there is nothing to tell"
    rows = await table.rows()
    assert [row["payload"] for row in rows] == ['{"n":2,"text":""}', '{"n":3,"text":""}']
    assert (rows[0]["id"], rows[0]["state"], rows[0]["priority"]) == (made, "delayed", 3)
    await until(lambda: queries("job_notify") > announced, "it is announced")


async def test_a_job_is_stored_as_it_was_asked_for(queue: Queue, table: Table) -> None:
    job_id = await queue.enqueue(WORK, Work(1, "é\0🎩"), priority=7)
    row = await table.row()
    assert (row["id"], row["kind"], row["state"], row["priority"]) == (job_id, "work", "ready", 7)
    assert (row["attempts"], row["max_attempts"], row["key"]) == (0, 3, None)
    assert WORK.decode(row["payload"]) == Work(1, "é\0🎩")


async def test_a_delay_is_the_databases(queue: Queue, table: Table) -> None:
    await queue.enqueue(WORK, Work(1), delay_s=60)
    row = await table.row()
    assert row["state"] == "delayed"
    assert (row["due_at"] - row["created_at"]).total_seconds() == 60


async def test_what_is_too_large_is_refused(queue: Queue, table: Table) -> None:
    with pytest.raises(ValueError, match="store it elsewhere"):
        await queue.enqueue(WORK, Work(1, "x" * LARGEST_PAYLOAD))
    assert await table.rows() == []


@pytest.mark.parametrize("name", ["", "Work", "1", "a-b", "a'b", "x" * 64])
def test_a_kind_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a kind"):
        Kind(name, Work)


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("key", [None, "once"])
@pytest.mark.parametrize("commits", [False, True])
async def test_a_job_shares_the_fate_of_its_session(
    database: Database,
    queue: Queue,
    table: Table,
    data: Data,
    flushed: bool,
    key: str | None,
    commits: bool,
) -> None:
    async def both() -> None:
        async with database.session() as session:
            if flushed:
                await session.execute(insert(data).values(n=1))
                await session.flush()
            await queue.enqueue(WORK, Work(1), session=session, key=key)
            assert await count(table) == (0, 0)
            if not flushed:
                await session.execute(insert(data).values(n=1))
            if not commits:
                raise LookupError

    if commits:
        await both()
        assert await count(table) == (1, 1)
    else:
        with pytest.raises(LookupError):
            await both()
        assert await count(table) == (0, 0)


async def test_a_compiled_statement_makes_data_and_job_together(
    database: Database, queue: Queue, table: Table, data: Data
) -> None:
    made = insert(data).values(n=bindparam("n")).returning(data.c.n).cte("made")
    payload = func.json_build_object(literal_column("'n'"), made.c.n)
    jobs = job_of_each(WORK, payload, made).cte("jobs")
    statement = Statement("effect_create", select(made.c.n).add_cte(jobs), read=False)
    assert [row["n"] for row in await database.fetch(statement, n=5)] == [5]
    assert await count(table) == (1, 1)
    row = await table.row()
    assert (row["state"], row["max_attempts"], WORK.decode(row["payload"])) == ("ready", 3, Work(5))
    with pytest.raises(Exception, match="duplicate key"):
        await database.fetch(statement, n=5)
    assert await count(table) == (1, 1)


async def test_what_is_enqueued_at_once_leaves_together(queue: Queue, table: Table) -> None:
    """In few statements and few announcements; and everybody is told the id of their own job."""
    before = queries("job_enqueue"), queries("job_notify"), queries("session")
    asked = [queue.enqueue(WORK, Work(n), priority=n % 7, delay_s=60 * (n % 2)) for n in range(250)]
    ids = await asyncio.gather(*asked)
    await asyncio.sleep(0.2)
    after = queries("job_enqueue"), queries("job_notify"), queries("session")
    rows = {row["id"]: row for row in await table.rows()}
    for n, job_id in enumerate(ids):
        row = rows.pop(job_id)
        state = "delayed" if n % 2 else "ready"
        found = WORK.decode(row["payload"]).n, row["priority"], row["state"]
        assert found == (n, n % 7, state)
    assert not rows
    assert after[0] - before[0] == 3
    assert 1 <= after[1] - before[1] <= 20
    assert after[2] == before[2]


async def test_who_gives_up_before_the_job_has_left_has_none(queue: Queue, table: Table) -> None:
    first, second = (asyncio.ensure_future(queue.enqueue(WORK, Work(n))) for n in range(2))
    await asyncio.sleep(0)
    second.cancel()
    rest = [queue.enqueue(WORK, Work(n)) for n in range(2, 50)]
    ids = await asyncio.gather(first, *rest)
    assert len(set(ids)) == 49
    assert {WORK.decode(row["payload"]).n for row in await table.rows()} == {0, *range(2, 50)}


async def test_nobody_waits_for_the_slow_batches_of_others(queue: Queue, table: Table) -> None:
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE relation = 'queue_jobs'::regclass AND NOT granted"
    )
    async with table.connection.transaction():
        await table.connection.execute("LOCK TABLE queue_jobs IN EXCLUSIVE MODE")
        asked = []
        for n in range(4):
            asked.append(asyncio.ensure_future(queue.enqueue(WORK, Work(n))))
            found = 0
            async with asyncio.timeout(10):
                while found <= n:
                    found = await table.connection.fetchval(waiting)
                    await asyncio.sleep(0.01)
    assert len(set(await asyncio.gather(*asked))) == 4


async def test_a_job_that_is_refused_is_refused_alone(queue: Queue, table: Table) -> None:
    """And nobody is told what another's job was about."""
    await table.connection.execute(
        "ALTER TABLE queue_jobs ADD CONSTRAINT odd CHECK (priority <> 3)"
    )
    try:
        asked = (queue.enqueue(WORK, Work(n), priority=n) for n in range(5))
        found = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await table.connection.execute("ALTER TABLE queue_jobs DROP CONSTRAINT odd")
    rows = {row["id"]: row["priority"] for row in await table.rows()}
    assert "odd" in str(found.pop(3))
    assert [rows[job_id] for job_id in found if isinstance(job_id, int)] == [0, 1, 2, 4]


async def test_who_cannot_be_told_an_id_is_told_so(queue: Queue, table: Table) -> None:
    """A trigger has kept a job out: which one, and so whose id is whose, is not known."""
    await table.connection.execute(
        "CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.priority = 3 THEN RETURN NULL; END IF; RETURN NEW; END$$"
    )
    await table.connection.execute(
        "CREATE TRIGGER keep_out BEFORE INSERT ON queue_jobs"
        " FOR EACH ROW EXECUTE FUNCTION keep_out()"
    )
    try:
        asked = (queue.enqueue(WORK, Work(n), priority=n) for n in range(5))
        async with asyncio.timeout(10):
            found = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await table.connection.execute("DROP TRIGGER keep_out ON queue_jobs")
        await table.connection.execute("DROP FUNCTION keep_out")
    assert all("trigger" in str(error) for error in found)
    assert len({id(error) for error in found}) == 5


async def test_a_batch_is_of_no_request(
    queue: Queue, database: Database, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the log would name one request for the jobs of many."""
    seen = []

    async def fetch(statement: Statement, **values: Any) -> list[Any]:
        seen.append(request_id.get())
        return [(n,) for n in range(len(values.get("kind", ())))]

    monkeypatch.setattr(database, "fetch", fetch)
    token = request_id.set("of-one")
    try:
        await asyncio.gather(*(queue.enqueue(WORK, Work(n)) for n in range(250)))
    finally:
        request_id.reset(token)
    assert len(seen) >= 3
    assert set(seen) == {None}


@pytest.mark.parametrize(
    "wrong", [{"priority": 2**15}, {"priority": -(2**15) - 1}, {"delay_s": -1}, {"delay_s": 1e12}]
)
async def test_what_cannot_be_stored_harms_no_other_job(
    queue: Queue, table: Table, wrong: dict[str, Any]
) -> None:
    asked = queue.enqueue(WORK, Work(1)), queue.enqueue(WORK, Work(2), **wrong)
    one, other = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(other, ValueError)
    assert (await table.row())["id"] == one


async def test_a_key_has_one_job(queue: Queue, table: Table) -> None:
    made = [queue.enqueue(WORK, Work(1), key="k") for _ in range(50)]
    found = set(await asyncio.gather(*made))
    row = await table.row()
    assert found == {row["id"]}
    with pytest.raises(KeyTaken):
        await queue.enqueue(WORK, Work(2), key="k")
    assert await queue.enqueue(WORK, Work(2), key="l") != row["id"]
    assert await queue.enqueue(Kind("other", Work), Work(2), key="k") != row["id"]
    assert len(await table.rows()) == 3


async def test_a_key_that_somebody_else_is_committing(
    database: Database, queue: Queue, table: Table
) -> None:
    async with database.session() as session:
        theirs = await queue.enqueue(WORK, Work(1), session=session, key="k")
        ours = asyncio.create_task(queue.enqueue(WORK, Work(1), key="k"))
        await asyncio.sleep(0.1)
        assert not ours.done()
    assert await ours == theirs
    assert len(await table.rows()) == 1


async def test_a_key_that_was_rolled_back_is_free(
    database: Database, queue: Queue, table: Table
) -> None:
    with pytest.raises(LookupError):
        async with database.session() as session:
            await queue.enqueue(WORK, Work(1), session=session, key="k")
            raise LookupError
    job_id = await queue.enqueue(WORK, Work(2), key="k")
    assert (await table.row())["id"] == job_id


async def test_what_the_end_interrupts_is_announced_then() -> None:
    asked: list[Statement] = []

    class Stalling:
        async def fetch(self, statement: Statement, **_: Any) -> list[Any]:
            asked.append(statement)
            if len(asked) == 1:
                await asyncio.sleep(3600)
            return []

    async with Queue(cast("Database", Stalling())) as queue:
        queue.announce()
        await until(lambda: asked, "it is being announced")
    assert len(asked) == 2
