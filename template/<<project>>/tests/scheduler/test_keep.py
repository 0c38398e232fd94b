"""Which schedules there are, while versions of the service come and go."""

from __future__ import annotations

from datetime import UTC
from datetime import timedelta

import pytest

from app.scheduler import metrics
from app.scheduler.cron import Cron
from tests.scheduler.conftest import DAILY
from tests.scheduler.conftest import YEARLY
from tests.scheduler.conftest import MakeScheduler
from tests.scheduler.conftest import Tables
from tests.scheduler.conftest import schedule

pytestmark = pytest.mark.anyio
BERLIN = "Europe/Berlin"


async def test_a_new_schedule_begins_with_its_next_tick(
    make: MakeScheduler, tables: Tables
) -> None:
    before = await tables.now()
    await make(schedule(cron=DAILY, zone=BERLIN)).keep(starting=True)
    row = await tables.row()
    assert (row["cron"], row["zone"]) == (DAILY, BERLIN)
    assert row["next_at"] == Cron(DAILY, BERLIN).next(before).astimezone(UTC)
    assert (row["last_at"], row["last_job"]) == (None, None)


async def test_what_is_there_stays_as_it_is(make: MakeScheduler, tables: Tables) -> None:
    await make(schedule()).keep(starting=True)
    missed = await tables.due(timedelta(days=3))
    await tables.unseen("3 days")
    await make(schedule()).keep(starting=True)
    row = await tables.row()
    assert row["next_at"] == missed
    assert row["seen_at"] > await tables.now() - timedelta(seconds=5)


@pytest.mark.parametrize(("cron", "zone"), [(DAILY, "UTC"), (YEARLY, BERLIN)])
async def test_another_expression_begins_anew(
    make: MakeScheduler, tables: Tables, cron: str, zone: str
) -> None:
    old, new = make(schedule()), make(schedule(cron=cron, zone=zone))
    await old.keep(starting=True)
    await tables.due(timedelta(days=3))
    await tables.connection.execute("UPDATE schedules SET last_at = now(), last_job = 7")
    await new.keep(starting=True)
    row = await tables.row()
    assert (row["cron"], row["zone"], row["last_job"]) == (cron, zone, 7)
    assert row["next_at"] == Cron(cron, zone).next(await tables.now()).astimezone(UTC)


async def test_of_two_versions_the_last_that_started_decides(
    make: MakeScheduler, tables: Tables
) -> None:
    old, new = make(schedule()), make(schedule(cron=DAILY))
    await old.keep(starting=True)
    await new.keep(starting=True)
    await tables.due()
    await old.keep(starting=False)
    metrics.NEXT.labels("one").set(0)
    assert await old.tick() == 0.1
    assert metrics.NEXT.labels("one")._value.get() == 0, "it is another's"
    assert (await tables.row())["cron"] == DAILY
    assert await tables.jobs() == []


async def test_what_the_last_one_left_is_the_others(make: MakeScheduler, tables: Tables) -> None:
    old, new = make(schedule()), make(schedule(cron=DAILY))
    await new.keep(starting=True)
    await old.keep(starting=True)  # the old version crashed and came back, and then it was ended
    await new.keep(starting=False)
    assert (await tables.row())["cron"] == YEARLY
    await tables.unseen()
    await new.keep(starting=False)
    assert (await tables.row())["cron"] == DAILY


async def test_what_is_not_in_the_code_is_forgotten(make: MakeScheduler, tables: Tables) -> None:
    old, new = make(schedule("gone"), schedule("stays")), make(schedule("stays"))
    await old.keep(starting=True)
    await tables.unseen("59 s")
    await new.keep(starting=True)
    assert [row["name"] for row in await tables.rows()] == ["gone", "stays"], "others may have it"
    await tables.unseen()
    await new.keep(starting=False)
    assert [row["name"] for row in await tables.rows()] == ["stays"]


async def test_without_schedules_all_are_forgotten(make: MakeScheduler, tables: Tables) -> None:
    await make(schedule("gone")).keep(starting=True)
    await tables.unseen()
    none = make()
    await none.keep(starting=True)
    assert await none.tick() == 0.1
    assert await tables.rows() == []
