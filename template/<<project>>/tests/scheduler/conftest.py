"""Schedules, schedulers that tick when they are told to, and somebody who looks at the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from app.database import Database
from app.queue import Kind
from app.queue import Queue
from app.scheduler import Schedule
from app.scheduler import SchedulerSettings
from app.scheduler.scheduler import Scheduler
from tests.queue.conftest import database_settings


class Tick(msgspec.Struct, frozen=True):
    """The tick that a job is about."""

    at: datetime


TICK = Kind("tick", Tick)
DAILY, YEARLY = "0 6 * * *", "0 0 1 1 *"


def schedule(name: str = "one", cron: str = YEARLY, **policies: Any) -> Schedule[Tick]:
    """A schedule whose jobs know their tick."""
    return Schedule(name, cron, TICK, Tick, **policies)


class Tables:
    """Somebody else's connection to the tables."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def rows(self) -> list[asyncpg.Record]:
        """All schedules."""
        return await self.connection.fetch("SELECT * FROM schedules ORDER BY name")

    async def row(self) -> asyncpg.Record:
        """The only schedule."""
        [row] = await self.rows()
        return row

    async def jobs(self) -> list[asyncpg.Record]:
        """All jobs, the oldest first."""
        return await self.connection.fetch("SELECT * FROM queue_jobs ORDER BY id")

    async def ticks(self) -> list[datetime]:
        """The ticks of all jobs, in the order of the jobs."""
        decode = msgspec.json.Decoder(Tick).decode
        return [decode(job["payload"]).at.astimezone(UTC) for job in await self.jobs()]

    async def now(self) -> datetime:
        """What PostgreSQL's clock shows."""
        now: datetime = await self.connection.fetchval("SELECT clock_timestamp()")
        return now

    async def due(self, ago: timedelta = timedelta(seconds=1)) -> datetime:
        """Let the next tick of every schedule have been so long ago; when that was."""
        at = (await self.now() - ago).replace(microsecond=0)
        await self.connection.execute("UPDATE schedules SET next_at = $1", at)
        return at

    async def unseen(self, ago: str = "61 s") -> None:
        """Let no scheduler have had any schedule for so long."""
        await self.connection.execute(f"UPDATE schedules SET seen_at = now() - interval '{ago}'")


@pytest.fixture
async def tables(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[Tables]:
    """The tables."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    yield Tables(connection)
    await connection.close()


@pytest.fixture
async def database(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[Database]:
    """The database with a small pool."""
    async with Database(database_settings(servers["DATABASE_URL"])) as database:
        yield database


@pytest.fixture
async def queue(database: Database) -> AsyncIterator[Queue]:
    """The queue."""
    async with Queue(database) as queue:
        yield queue


type MakeScheduler = Callable[..., Scheduler]


@pytest.fixture
def make(database: Database, queue: Queue) -> MakeScheduler:
    """A scheduler of these schedules, as a process has it; it does nothing by itself."""

    def scheduler(*schedules: Schedule[Any], **settings: Any) -> Scheduler:
        chosen = SchedulerSettings(**{"poll_s": 0.1, **settings})
        return Scheduler(database, queue, schedules, chosen, patience_s=0.3)

    return scheduler
