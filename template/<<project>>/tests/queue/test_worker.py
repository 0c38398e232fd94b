"""A worker does each job, again when it fails, and no more than it may."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from app.database import Database
from app.database import Statement
from app.queue import Kind
from app.queue import Queue
from app.queue import QueueSettings
from app.queue import leases
from app.queue.attempt import Attempt
from app.queue.lifecycle import EXPIRE
from app.queue.lifecycle import PRUNE
from app.queue.worker import Worker
from tests.queue.conftest import WORK
from tests.queue.conftest import Handled
from tests.queue.conftest import StartWorker
from tests.queue.conftest import Table
from tests.queue.conftest import Work
from tests.queue.conftest import queries
from tests.queue.conftest import until

pytestmark = pytest.mark.anyio


async def test_jobs_are_done_once_and_forgotten(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    for _ in range(2):
        await start(handled, concurrency=5)
    await asyncio.gather(*(queue.enqueue(WORK, Work(n)) for n in range(100)))
    await until(lambda: len(handled.ended) == 100, "all are done")
    await table.becomes()
    assert sorted(handled.begun) == list(range(100))


async def test_jobs_that_end_together_are_forgotten_together(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    await asyncio.gather(*(queue.enqueue(WORK, Work(n)) for n in range(50)))
    await start(handled, concurrency=50)
    await until(lambda: handled.now == 50, "all run")
    before = queries("job_forget")
    handled.gate.set()
    await table.becomes()
    assert len(handled.ended) == 50
    assert queries("job_forget") - before <= 5


async def test_no_more_than_the_concurrency_at_a_time(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    for n in range(20):
        await queue.enqueue(WORK, Work(n))
    await start(handled, concurrency=4)
    await until(lambda: handled.now == 4, "four run")
    await asyncio.sleep(0.2)
    assert (await table.states()).count("running") == 4
    handled.gate.set()
    await table.becomes()
    assert handled.most == 4


async def test_higher_priority_first_then_the_older(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    for n, priority in enumerate([0, 5, -1, 5, 0]):
        await queue.enqueue(WORK, Work(n), priority=priority)
    await start(handled, concurrency=1)
    await table.becomes()
    assert handled.ended == [1, 3, 0, 4, 2]


async def test_a_delayed_job_waits(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    await start(handled)
    await queue.enqueue(WORK, Work(1), delay_s=3600)
    await queue.enqueue(WORK, Work(2))
    await table.becomes("delayed")
    assert handled.ended == [2]
    await table.change("due_at = now()")
    await table.becomes()
    assert handled.ended == [2, 1]


async def test_enqueued_in_a_session_it_is_announced_at_its_end(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    await start(handled, poll_s=60)
    await asyncio.sleep(0.1)
    async with queue._database.session() as session:
        await queue.enqueue(WORK, Work(1), session=session)
    await until(lambda: handled.ended == [1], "it is done before anybody polls")
    await queue.enqueue(WORK, Work(2))
    await until(lambda: handled.ended == [1, 2], "and so is the next one")


async def test_failed_attempts_are_repeated_later_and_later(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.raises = LookupError("nothing\0 there")
    await start(handled)
    await queue.enqueue(WORK, Work(1))
    for attempt, least in ((1, 2), (2, 4)):
        await until(lambda: len(handled.begun) == attempt, "it is tried")  # noqa: B023
        await table.becomes("delayed")
        row = await table.row()
        delay = row["due_at"] - await table.connection.fetchval("SELECT clock_timestamp()")
        assert row["attempts"] == attempt
        assert least - 1 < delay.total_seconds() <= 1.5 * least
        assert row["error"] == "LookupError: nothing there"
        assert handled.failed == []
        await table.change("due_at = now()")
    await table.becomes("failed")
    await until(lambda: handled.failed, "the hook is told")
    await asyncio.sleep(0.2)
    assert handled.begun == [1, 1, 1]
    assert handled.failed == [(1, "LookupError: nothing there")]
    row = await table.row()
    assert (row["attempts"], row["error"], row["worker"]) == (3, "LookupError: nothing there", None)


def test_delays_double_and_vary() -> None:
    from app.queue.attempt import Attempt

    def delays(attempts: int) -> list[float]:
        row = {"id": 1, "attempts": attempts, "max_attempts": 99}
        return [Attempt(row, Handled().handler()).delay_s for _ in range(200)]

    for attempts, least in ((1, 2), (2, 4), (3, 8), (11, 2048), (12, 3600), (90, 3600)):
        found = delays(attempts)
        assert least <= min(found) < 1.1 * least
        assert 1.4 * least < max(found) <= 1.5 * least


async def test_what_takes_too_long_has_failed(
    queue: Queue, table: Table, start: StartWorker
) -> None:
    slow = Handled(Kind("slow", Work, timeout_s=0.1, attempts=1))
    slow.gate.clear()
    await start(slow)
    await queue.enqueue(slow.kind, Work(1))
    await until(lambda: slow.failed, "the hook is told")
    assert slow.failed == [(1, "TimeoutError: ")]
    assert slow.now == 0


async def test_what_awaits_something_cancelled_has_failed(
    queue: Queue, table: Table, start: StartWorker
) -> None:
    once = Handled(Kind("once", Work, attempts=1))
    once.raises = asyncio.CancelledError("not the job")
    await start(once, lease_s=60)
    await queue.enqueue(once.kind, Work(1))
    await table.becomes("failed")
    await until(lambda: once.failed, "the hook is told")
    assert once.failed == [(1, "CancelledError: not the job")]


async def test_a_payload_that_cannot_be_read_fails_by_itself(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    class Older(msgspec.Struct):
        number: str

    await queue.enqueue(Kind("work", Older, attempts=1), Older("x"))
    await queue.enqueue(WORK, Work(2))
    await start(handled)
    await table.becomes("failed")
    assert "missing required field `n`" in (await table.row())["error"]
    assert handled.begun == [2]


async def test_a_hook_that_raises_harms_nobody(
    queue: Queue, table: Table, start: StartWorker
) -> None:
    class Raising(Handled):
        async def _failed(self, *_: Any) -> None:
            self.failed.append((0, "told"))
            raise LookupError

    once = Raising(Kind("once", Work, attempts=1))
    once.raises = ValueError()
    await start(once, concurrency=1)
    for n in range(3):
        await queue.enqueue(once.kind, Work(n))
    await table.becomes("failed", "failed", "failed")
    await until(lambda: len(once.failed) == 3, "all hooks are called")


async def test_a_kind_without_a_handler_stays_for_whoever_has_one(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    newer = Handled(Kind("newer", Work))
    await start(handled)
    await queue.enqueue(newer.kind, Work(1), priority=9)
    await queue.enqueue(WORK, Work(2))
    await table.becomes("ready")
    assert handled.ended == [2]
    await start(newer)
    await table.becomes()
    assert newer.ended == [1]


async def test_a_key_answers_until_its_time_is_over(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    worker = await start(handled)
    job_id = await queue.enqueue(WORK, Work(1), key="k")
    await table.becomes("done")
    assert await queue.enqueue(WORK, Work(1), key="k") == job_id
    assert await worker._leases.prune() == 0
    await table.change("due_at = now()")
    assert await worker._leases.prune() == 1
    assert await queue.enqueue(WORK, Work(1), key="k") != job_id
    await until(lambda: handled.ended == [1, 1], "it is done anew")


async def test_more_keys_than_one_statement_forgets(
    queue: Queue,
    table: Table,
    start: StartWorker,
    handled: Handled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "MOST", 3)
    for n in range(10):
        await queue.enqueue(WORK, Work(n), key=f"k{n}")
    await table.change("state = 'done', due_at = now() - interval '1 hour'")
    await start(handled)
    await table.becomes()
    assert handled.begun == []


@pytest.mark.parametrize("statement", [EXPIRE, PRUNE], ids=["expire", "prune"])
async def test_what_is_due_is_found_by_its_index(table: Table, statement: Statement) -> None:
    values = {"lease": timedelta(seconds=1), "most": 1, "error": ""}
    arguments = [values[name] for name in statement.names]
    async with table.connection.transaction():
        await table.connection.execute("SET LOCAL enable_seqscan = off")
        plan = await table.connection.fetch(f"EXPLAIN {statement.sql}", *arguments)
    searched = [line for (line,) in plan if "Index Cond" in line and "due_at <= now()" in line]
    assert searched, plan


async def test_what_enqueuing_yields_comes_with_each_attempt(
    queue: Queue, database: Database, table: Table, handled: Handled
) -> None:
    """By itself, in a session, with a key; and what is around an attempt sees how it ended."""
    seen: list[tuple[str | None, str | None]] = []

    @contextmanager
    def enqueuing(kind: Kind[Any]) -> Iterator[str | None]:
        yield f"for {kind.name}"

    @contextmanager
    def attempting(attempt: Attempt) -> Iterator[None]:
        yield
        seen.append((attempt.row["context"], attempt.outcome))

    await queue.enqueue(WORK, Work(0))
    queue.enqueuing = enqueuing
    await queue.enqueue(WORK, Work(1))
    await queue.enqueue(WORK, Work(2), key="k")
    async with database.session() as session:
        await queue.enqueue(WORK, Work(3), session=session)
        await queue.enqueue(WORK, Work(4), session=session, key="l")
    settings = QueueSettings(poll_s=0.05, lease_s=0.6)
    async with Worker(database, [handled.handler()], settings, 0.2, attempting):
        await until(lambda: len(seen) == 5, "all are done")
    assert sorted(seen, key=str) == [*[("for work", "done")] * 4, (None, "done")]
