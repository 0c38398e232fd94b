"""Workers that die, freeze or stop: nothing is lost, and nothing is tried for ever."""

import asyncio

import pytest

from app.queue import Queue
from app.queue.leases import CRASHED
from tests.queue.conftest import WORK
from tests.queue.conftest import Handled
from tests.queue.conftest import StartWorker
from tests.queue.conftest import Table
from tests.queue.conftest import Work
from tests.queue.conftest import until

pytestmark = pytest.mark.anyio

# As if a worker had taken every job and died: it is so long ago that the lease has run out.
DIED = "state = 'running', worker = 'dead', attempts = attempts + 1, due_at = now()"


async def test_the_jobs_of_a_dead_worker_are_anothers(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    for n in range(5):
        await queue.enqueue(WORK, Work(n))
    await table.change(DIED)
    await start(handled)
    await table.becomes()
    assert sorted(handled.ended) == [0, 1, 2, 3, 4]


async def test_after_a_start_of_postgresql_everybody_has_a_lease_more(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    """While it was away nobody could say that he lives."""
    uptime = await table.connection.fetchval("SELECT now() - pg_postmaster_start_time()")
    await queue.enqueue(WORK, Work(1))
    await table.change(DIED)
    await start(handled, lease_s=uptime.total_seconds() + 60)
    await queue.enqueue(WORK, Work(2), delay_s=0.1)
    await until(lambda: handled.ended == [2], "what was delayed is done")
    await table.becomes("running")


async def test_a_crash_is_an_attempt(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    await queue.enqueue(WORK, Work(1))
    await queue.enqueue(WORK, Work(2))
    await table.change(f"{DIED}, max_attempts = id - (SELECT min(id) FROM queue_jobs) + 1")
    await start(handled)
    await table.becomes("failed")
    await until(lambda: handled.failed, "the hook is told")
    row = await table.row()
    assert handled.failed == [(1, CRASHED)]
    assert handled.begun == handled.ended == [2]
    assert (row["attempts"], row["error"]) == (1, CRASHED)


async def test_what_may_have_killed_its_worker_has_its_last_attempt_alone(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    """So that one poisonous job does not take the attempts of those beside it."""
    handled.gate.clear()
    for n in range(4):
        await queue.enqueue(WORK, Work(n))
    await table.change("attempts = 1")
    await table.change(DIED)
    await start(handled, concurrency=10)
    for n in range(10, 13):
        await queue.enqueue(WORK, Work(n))
    await until(lambda: handled.now == 4, "one of four, and the others")
    await asyncio.sleep(0.3)
    assert sorted(handled.begun) == [0, 10, 11, 12]
    handled.gate.set()
    await table.becomes()
    assert sorted(handled.ended) == [0, 1, 2, 3, 10, 11, 12]
    assert handled.failed == []


async def test_of_what_runs_alone_the_higher_priority_goes_first(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    for n, priority in enumerate([-1, 5, 5]):
        await queue.enqueue(WORK, Work(n), priority=priority)
    await table.change("alone = true, attempts = 2")
    await queue.enqueue(WORK, Work(3))
    await start(handled, concurrency=1)
    await table.becomes()
    assert handled.ended == [1, 2, 3, 0]


async def test_a_long_job_is_not_taken_twice(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    for _ in range(2):
        await start(handled, lease_s=0.3)
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.now == 1, "it runs")
    await asyncio.sleep(1.2)
    handled.gate.set()
    await table.becomes()
    assert handled.begun == [1]


async def test_who_has_lost_a_job_leaves_it_alone(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    await start(handled)
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.now == 1, "it runs")
    await table.change("worker = 'another', attempts = 2, due_at = now() + interval '1 hour'")
    await until(lambda: handled.now == 0, "it is cancelled")
    row = await table.row()
    assert (row["state"], row["worker"], row["attempts"]) == ("running", "another", 2)
    assert handled.ended == []
    assert handled.failed == []


async def test_what_ends_after_it_was_lost_changes_nothing(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    await start(handled, lease_s=60)
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.now == 1, "it runs")
    await table.change("worker = 'another', attempts = 2")
    handled.gate.set()
    await until(lambda: handled.ended == [1], "it ends")
    await asyncio.sleep(0.2)
    assert (await table.row())["worker"] == "another"


async def test_a_worker_that_ends_finishes_what_it_can_and_hands_back_the_rest(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    worker = await start(handled, patience_s=1, concurrency=2)
    for n in range(3):
        await queue.enqueue(WORK, Work(n))
    await until(lambda: handled.now == 2, "two run")
    ending = asyncio.create_task(worker.__aexit__(None, None, None))
    await asyncio.sleep(0.2)
    assert (await table.states()).count("running") == 2  # still at work, and takes no more
    await ending
    assert [(row["state"], row["attempts"]) for row in await table.rows()] == [("ready", 0)] * 3
    handled.gate.set()
    await start(handled)
    await table.becomes()
    assert sorted(handled.ended) == [0, 1, 2]
    assert handled.failed == []


async def test_what_ends_in_time_is_not_handed_back(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    worker = await start(handled, patience_s=5)
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.now == 1, "it runs")
    ending = asyncio.create_task(worker.__aexit__(None, None, None))
    await asyncio.sleep(0.1)
    handled.gate.set()
    await ending
    assert await table.rows() == []
    assert handled.begun == handled.ended == [1]


async def test_what_has_ended_may_still_say_so_when_the_time_is_over(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    """Five jobs are done; the statement that says so of the first waits for somebody's lock."""
    worker = await start(handled, patience_s=4, lease_s=15)
    handled.gate.clear()
    for n in range(5):
        await queue.enqueue(WORK, Work(n))
    await until(lambda: handled.now == 5, "they run")
    async with table.connection.transaction():
        await table.connection.execute("SELECT FROM queue_jobs FOR UPDATE")
        handled.gate.set()
        await until(lambda: len(handled.ended) == 5, "they end")
        ending = asyncio.create_task(worker.__aexit__(None, None, None))
        await asyncio.sleep(4.1)  # longer than its patience, and less than half as long again
        assert not ending.done()
    await ending
    assert await table.rows() == []


async def test_what_is_not_heard_does_not_keep_a_worker_from_ending(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    worker = await start(handled, patience_s=0.2, lease_s=15)
    handled.gate.clear()
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.now == 1, "it runs")
    async with table.connection.transaction():
        await table.connection.execute("SELECT FROM queue_jobs FOR UPDATE")
        handled.gate.set()
        await until(lambda: handled.ended == [1], "it ends")
        await worker.__aexit__(None, None, None)
        assert not worker._running


async def test_a_worker_that_comes_before_the_tables_waits(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    await table.connection.execute("ALTER TABLE queue_jobs RENAME TO hidden")
    await start(handled)
    await asyncio.sleep(0.2)
    await table.connection.execute("ALTER TABLE hidden RENAME TO queue_jobs")
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.ended == [1], "it is done")


async def test_connections_that_are_cut_cost_nothing(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    handled.gate.clear()
    await start(handled)
    await queue.enqueue(WORK, Work(1))
    await until(lambda: handled.now == 1, "it runs")
    await table.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name <> ''"
    )
    handled.gate.set()
    await table.becomes()
    await queue.enqueue(WORK, Work(2))
    await until(lambda: handled.ended == [1, 2], "the next one is done, too")
    assert handled.begun == [1, 2]
