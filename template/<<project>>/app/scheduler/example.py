"""The example's schedule: every morning, what was added the day before."""

from collections.abc import Sequence
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import TIMESTAMP

from app.database import Database
from app.database import Statement
from app.http.logs import log
from app.items.models import Item
from app.queue import Handler
from app.queue import Job
from app.queue import Kind
from app.scheduler.schedule import Schedule
from app.service import Service

ZONE = "Europe/Berlin"


class Day(msgspec.Struct, frozen=True):
    """The day to sum up, on the clock of ZONE."""

    day: date


SUMMARY = Kind("daily_summary", Day)

_AT = TIMESTAMP(timezone=True)
ADDED = Statement(
    "items_added",
    select(func.count().label("items")).where(
        Item.created_at >= bindparam("begin", type_=_AT),
        Item.created_at < bindparam("end", type_=_AT),
    ),
)


def summarize(database: Database) -> Handler[Day]:
    """Who sums up."""

    async def run(job: Job[Day]) -> None:
        day, zone = job.payload.day, ZoneInfo(ZONE)
        # from midnight to midnight, which twice a year are not 24 hours
        begin, end = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
        row = await database.fetch_one(ADDED, begin=begin, end=end)
        assert row, "count() gives a row"
        log.info("daily_summary", day=day.isoformat(), items=row["items"])

    return Handler(kind=SUMMARY, run=run)


def jobs(service: Service) -> list[Handler[Day]]:
    """Who does the jobs."""
    return [summarize(service.get(Database))]


def schedules(_: Service) -> Sequence[Schedule[Day]]:
    """When that is."""
    return [
        Schedule(
            "daily_summary",
            "0 6 * * *",
            SUMMARY,
            lambda at: Day(at.date() - timedelta(days=1)),
            zone=ZONE,
        )
    ]
