"""`python -m app schedules`."""

from __future__ import annotations

import asyncio
from argparse import Namespace

import pytest

from app.database import Database
from app.scheduler.command import SCHEDULES
from app.scheduler.command import find
from app.settings import SettingsError
from tests.scheduler.conftest import DAILY
from tests.scheduler.conftest import MakeScheduler
from tests.scheduler.conftest import Tables
from tests.scheduler.conftest import schedule

pytestmark = pytest.mark.anyio


async def shown(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """The lines it prints, and what it says besides."""
    assert await asyncio.to_thread(SCHEDULES.run, Namespace()) == 0
    printed = capsys.readouterr()
    return printed.out.splitlines(), printed.err


async def test_next_and_last_are_shown_on_the_clock_of_the_zone(
    make: MakeScheduler, tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = make(schedule(cron=DAILY, zone="Asia/Kathmandu"))
    await scheduler.keep(starting=True)
    [head, line], _ = await shown(capsys)
    assert head.split() == ["schedule", "cron", "zone", "next", "last", "last", "job"]
    assert line.split()[:7] == ["one", *DAILY.split(), "Asia/Kathmandu"]
    assert line.split()[-2:] == ["06:00:00+05:45", "never"]
    await tables.connection.execute("UPDATE schedules SET next_at = next_at - interval '3 days'")
    await scheduler.tick()
    [job] = await tables.jobs()
    [*_, line], said = await shown(capsys)
    assert line.endswith(f"06:00:00+05:45   {job['id']} ready")
    assert said == "1 shown\n"


async def test_what_no_scheduler_has_is_said(
    make: MakeScheduler, tables: Tables, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    await make(schedule("a"), schedule("b")).keep(starting=True)
    await tables.unseen()
    await make(schedule("b")).tick()
    assert [one["state"] for one in await find(database)] == ["done", "done"]
    assert (await shown(capsys))[1] == "No scheduler runs that has a, b.\n2 shown\n"


async def test_without_schedules(
    servers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = await shown(capsys)
    assert len(lines) == 1
    assert said == "0 shown\n"


async def test_without_tables(tables: Tables, database: Database) -> None:
    await tables.connection.execute("ALTER TABLE schedules RENAME TO away")
    try:
        with pytest.raises(SettingsError, match="has `migrate` been run"):
            await find(database)
    finally:
        await tables.connection.execute("ALTER TABLE away RENAME TO schedules")
