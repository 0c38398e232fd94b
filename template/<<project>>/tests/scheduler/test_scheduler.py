"""A tick is one job, whatever happens."""

from __future__ import annotations

import asyncio
from datetime import datetime
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from app.about import NAME
from app.scheduler import CatchUp
from app.scheduler import Overlap
from app.scheduler import Schedule
from app.scheduler import metrics
from app.scheduler import rows
from app.scheduler.cron import Cron
from app.settings import SettingsError
from tests.queue.conftest import until
from tests.scheduler.conftest import TICK
from tests.scheduler.conftest import MakeScheduler
from tests.scheduler.conftest import Tables
from tests.scheduler.conftest import Tick
from tests.scheduler.conftest import schedule

pytestmark = pytest.mark.anyio
EVERY_SECOND = "* * * * * *"


def ticks(name: str, outcome: str) -> float:
    """How many there were."""
    value: float = metrics.TICKS.labels(name, outcome)._value.get()
    return value


async def test_a_tick_is_a_job_and_moves_on(make: MakeScheduler, tables: Tables) -> None:
    scheduler = make(schedule(cron=EVERY_SECOND, zone="Asia/Kathmandu"))
    await scheduler.keep(starting=True)
    first = await tables.due()
    before = ticks("one", "run")
    assert await scheduler.tick() == 0
    done = await tables.ticks()
    assert done[-1] >= first
    row, [*_, job] = await tables.row(), await tables.jobs()
    assert (row["last_at"], row["last_job"]) == (done[-1], job["id"])
    assert row["next_at"] == done[-1] + timedelta(seconds=1)
    local = done[-1].astimezone(Cron("* * * * *", "Asia/Kathmandu").zone)
    assert job["request_id"] == f"one-{local:%Y%m%dT%H%M%S}+0545"
    assert ticks("one", "run") == before + 1


async def test_before_its_tick_nothing_happens(make: MakeScheduler, tables: Tables) -> None:
    scheduler = make(schedule(), poll_s=7)
    await scheduler.keep(starting=True)
    assert await scheduler.tick() == 7
    await tables.due(timedelta(seconds=-3))
    assert 1 < await scheduler.tick() <= 3
    assert await tables.jobs() == []
    row = await tables.row()
    assert metrics.NEXT.labels("one")._value.get() == row["next_at"].timestamp()


async def test_many_at_once_are_one(make: MakeScheduler, tables: Tables) -> None:
    names = [f"s{number}" for number in range(5)]
    all_ = [make(*(schedule(name, catch_up=CatchUp.ONCE) for name in names)) for _ in range(8)]
    await all_[0].keep(starting=True)
    await tables.due(timedelta(days=400))
    await asyncio.gather(*(scheduler.tick() for scheduler in all_))
    assert len(await tables.jobs()) == 5
    assert {row["last_job"] for row in await tables.rows()} == {
        job["id"] for job in await tables.jobs()
    }
    now = await tables.now()
    assert all(row["next_at"] > now for row in await tables.rows())


async def test_who_finds_it_locked_comes_again(make: MakeScheduler, tables: Tables) -> None:
    scheduler = make(schedule(cron=EVERY_SECOND))
    await scheduler.keep(starting=True)
    await tables.due()
    holding = tables.connection.transaction()
    await holding.start()
    await tables.connection.execute("SELECT * FROM schedules FOR UPDATE")
    assert await scheduler.tick() == 0.1
    assert await tables.jobs() == []
    await holding.rollback()
    assert await scheduler.tick() == 0
    assert len(await tables.jobs()) == 1


async def test_without_the_move_there_is_no_job(
    make: MakeScheduler, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = make(schedule(cron=EVERY_SECOND))
    await scheduler.keep(starting=True)
    first = await tables.due()
    with monkeypatch.context() as patched:
        patched.setattr(rows, "MOVE", text("SELECT 1 / 0"))
        assert await scheduler.tick() == 0.1
    assert await tables.jobs() == []
    assert (await tables.row())["next_at"] == first


async def test_one_that_fails_holds_up_no_other(make: MakeScheduler, tables: Tables) -> None:
    def fails(at: datetime) -> Tick:
        raise LookupError(at)

    failing = Schedule("failing", EVERY_SECOND, TICK, fails)
    scheduler = make(failing, schedule("other", EVERY_SECOND))
    await scheduler.keep(starting=True)
    first = await tables.due()
    before = metrics.FAILURES.labels("failing")._value.get()
    await scheduler.tick()
    await scheduler.tick()
    assert metrics.FAILURES.labels("failing")._value.get() == before + 1, "it is not hammered"
    assert {row["name"]: row["last_job"] is None for row in await tables.rows()} == {
        "failing": True,
        "other": False,
    }
    assert (await tables.rows())[0]["next_at"] == first


@pytest.mark.parametrize(("state", "jobs"), [("ready", 1), ("delayed", 1), ("running", 1)])
async def test_no_job_while_the_one_before_is_undone(
    make: MakeScheduler, tables: Tables, state: str, jobs: int
) -> None:
    scheduler = make(schedule(cron=EVERY_SECOND))
    await scheduler.keep(starting=True)
    await tables.due()
    await scheduler.tick()
    last = await tables.row()
    await tables.connection.execute("UPDATE queue_jobs SET state = $1", state)
    await tables.due()
    before = ticks("one", "overlapped")
    assert await scheduler.tick() == 0
    assert len(await tables.jobs()) == jobs
    row = await tables.row()
    assert (row["last_at"], row["last_job"]) == (last["last_at"], last["last_job"])
    assert row["next_at"] > await tables.now() - timedelta(seconds=1)
    assert ticks("one", "overlapped") > before


@pytest.mark.parametrize(
    "ended", ["DELETE FROM queue_jobs", "UPDATE queue_jobs SET state = 'failed'"]
)
async def test_a_job_when_the_one_before_has_ended(
    make: MakeScheduler, tables: Tables, ended: str
) -> None:
    scheduler = make(schedule(cron=EVERY_SECOND))
    await scheduler.keep(starting=True)
    await tables.due()
    await scheduler.tick()
    last = await tables.row()
    await tables.connection.execute(ended)
    await tables.due()
    await scheduler.tick()
    assert (await tables.row())["last_job"] > last["last_job"]


async def test_what_may_overlap_does(make: MakeScheduler, tables: Tables) -> None:
    scheduler = make(schedule(cron=EVERY_SECOND, overlap=Overlap.ALLOW))
    await scheduler.keep(starting=True)
    first = await tables.due(timedelta(seconds=3))
    await scheduler.tick()
    done = await tables.ticks()
    assert done[:4] == [first + timedelta(seconds=n) for n in range(4)]
    assert (await tables.row())["last_at"] == done[-1]


async def test_three_schedulers_leave_no_second_out(make: MakeScheduler, tables: Tables) -> None:
    one = schedule(cron=EVERY_SECOND, overlap=Overlap.ALLOW)
    async with make(one), make(one), make(one):
        await until(lambda: _count(tables, 3), "three ticks")
    done = await tables.ticks()
    assert all(after - before == timedelta(seconds=1) for before, after in pairwise(done))


async def _count(tables: Tables, count: int) -> bool:
    return len(await tables.jobs()) >= count


async def test_it_goes_on_after_an_outage(make: MakeScheduler, tables: Tables) -> None:
    one = schedule(cron=EVERY_SECOND, overlap=Overlap.ALLOW)
    async with make(one):
        await until(lambda: _count(tables, 1), "a tick")
        ended = await tables.connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = $1",
            NAME,
        )
        assert ended
        await until(lambda: _count(tables, 2), "another")
    done = await tables.ticks()
    assert all(after - before == timedelta(seconds=1) for before, after in pairwise(done))


async def test_the_end_does_not_wait_for_ever(make: MakeScheduler, tables: Tables) -> None:
    await make(schedule()).keep(starting=True)
    holding = tables.connection.transaction()
    await holding.start()
    await tables.connection.execute("LOCK TABLE schedules")
    async with make(schedule(), poll_s=0.05) as scheduler:
        await asyncio.sleep(0.1)
    assert scheduler._working.cancelled()
    await holding.rollback()


async def test_two_of_one_name_are_refused(make: MakeScheduler) -> None:
    with pytest.raises(SettingsError, match="Two schedules are called one"):
        make(schedule(), schedule())
