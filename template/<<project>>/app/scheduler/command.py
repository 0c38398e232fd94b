"""`python -m app schedules`: when what runs next, and ran last."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from datetime import datetime

from sqlalchemy import RowMapping
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError

from app.database import Database
from app.database import DatabaseSettings
from app.pattern import Command
from app.queue.models import QueuedJob
from app.scheduler.cron import zone_named
from app.scheduler.models import TABLE
from app.scheduler.models import StoredSchedule
from app.scheduler.scheduler import STALE
from app.settings import SettingsError
from app.settings import load_settings

_LINE = "{:24} {:20} {:20} {:27} {:27} {}"


async def find(database: Database) -> list[RowMapping]:
    """Every schedule, with `state` of its last job and whether some scheduler has it.

    SettingsError when the tables are not there.
    """
    query = (
        select(
            TABLE,
            func.coalesce(QueuedJob.state, "done").label("state"),
            (StoredSchedule.seen_at > func.clock_timestamp() - STALE).label("seen"),
        )
        .outerjoin(QueuedJob, QueuedJob.id == StoredSchedule.last_job)
        .order_by(StoredSchedule.name)
    )
    try:
        async with database.session() as session:
            return list((await session.execute(query)).mappings())
    except ProgrammingError as error:
        raise SettingsError("There are no schedules; has `migrate` been run?") from error


def _run(_: Namespace) -> int:
    settings = load_settings([DatabaseSettings])[DatabaseSettings]
    assert isinstance(settings, DatabaseSettings)
    return asyncio.run(_show(settings))


async def _show(settings: DatabaseSettings) -> int:
    # one of the connections that are kept for people
    async with Database(settings.model_copy(update={"pool_min": 1, "pool_max": 1})) as database:
        schedules = await find(database)
    print(_LINE.format("schedule", "cron", "zone", "next", "last", "last job"))
    for one in schedules:
        next_at, last_at = (_local(one[name], one["zone"]) for name in ("next_at", "last_at"))
        job = f"{one['last_job']} {one['state']}" if one["last_job"] else ""
        print(_LINE.format(one["name"], one["cron"], one["zone"], next_at, last_at, job).rstrip())
    if unseen := [one["name"] for one in schedules if not one["seen"]]:
        print(f"No scheduler runs that has {', '.join(unseen)}.", file=sys.stderr)
    print(f"{len(schedules)} shown", file=sys.stderr)
    return 0


def _local(moment: datetime | None, zone: str) -> str:
    return moment.astimezone(zone_named(zone)).isoformat(" ") if moment else "never"


SCHEDULES = Command(name="schedules", help="when what runs next, and ran last", run=_run)
