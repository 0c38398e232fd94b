"""The scheduler: at each tick a job, in one transaction with the schedule's move to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Any
from typing import Self

from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.http.errors import Unavailable
from app.http.logs import log
from app.http.logs import request_id
from app.queue import Queue
from app.scheduler import metrics
from app.scheduler import rows
from app.scheduler.schedule import Overlap
from app.scheduler.schedule import Schedule
from app.scheduler.settings import SchedulerSettings
from app.settings import SettingsError

# How often a scheduler says which schedules it has; who says nothing for STALE has none.
KEEP_S = 10
STALE = timedelta(seconds=60)
# After a tick failed, this scheduler leaves it to others for a while.
RETRY_S = 10


class Scheduler:
    """`async with Scheduler(...)`: enqueues jobs until the block ends.

    There may be any number of them. Whoever locks a schedule's row first does its tick; if he dies
    the tick is still due, and another's.

    patience_s: how long the end waits for the tick that is being done
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        schedules: Iterable[Schedule[Any]],
        settings: SchedulerSettings,
        patience_s: float,
    ) -> None:
        self._database = database
        self._queue = queue
        self._schedules = _by_name(schedules)
        self._poll_s = settings.poll_s
        self._grace = timedelta(seconds=settings.grace_s)
        self._patience_s = patience_s
        metrics.begin(self._schedules)
        self._stop = asyncio.Event()
        self._kept: float | None = None
        self._resting: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        self._working = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        _, unfinished = await asyncio.wait({self._working}, timeout=self._patience_s)
        for task in unfinished:
            task.cancel()  # its transaction is undone, and the tick is another's
            await asyncio.wait({task})

    async def _work(self) -> None:
        while not self._stop.is_set():
            wait_s = self._poll_s
            try:
                await self._keep()
                wait_s = await self.tick()
            except Unavailable:
                pass  # logged where it happened
            except Exception as error:
                log.error("scheduler_failed", exc_info=error)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stop.wait()

    async def _keep(self) -> None:
        if self._kept is None or monotonic() - self._kept > KEEP_S:
            await self.keep(starting=self._kept is None)
            self._kept = monotonic()

    async def keep(self, *, starting: bool) -> None:
        """Say which schedules there are; forget those that nobody has had for a while.

        starting: also those that others have with another expression are now what they are here
        """
        row = await self._database.fetch_one(rows.NOW)
        assert row, "SELECT gives a row"
        async with self._database.session() as session:
            for name, schedule in self._schedules.items():
                cron, zone = schedule.definition
                next_at = schedule.ticks.next(row["now"])
                new = {"name": name, "cron": cron, "zone": zone, "next_at": next_at}
                await session.execute(rows.KEEP, {**new, "starting": starting, "stale": STALE})
            await session.execute(rows.FORGET, {"names": list(self._schedules), "stale": STALE})

    async def tick(self) -> float:
        """Do every tick that is due; how many seconds there is nothing to do then."""
        wait_s = self._poll_s
        for row in await self._database.fetch(rows.LOOK, names=list(self._schedules)):
            schedule = self._schedules[row["name"]]
            if (row["cron"], row["zone"]) != schedule.definition:
                continue  # it is of another version of the service
            metrics.NEXT.labels(schedule.name).set(row["next_at"].timestamp())
            if row["last_at"]:
                metrics.LAST.labels(schedule.name).set(row["last_at"].timestamp())
            if row["in_s"] > 0:
                wait_s = min(wait_s, float(row["in_s"]))
            elif await self._try(schedule):
                wait_s = 0
        return wait_s

    async def _try(self, schedule: Schedule[Any]) -> bool:
        """Do what is due of a schedule; whether that was possible."""
        if monotonic() < self._resting.get(schedule.name, 0):
            return False
        try:
            return await self._do(schedule)
        except Unavailable:
            raise
        except Exception as error:
            self._resting[schedule.name] = monotonic() + RETRY_S
            metrics.FAILURES.labels(schedule.name).inc()
            log.error("schedule_failed", schedule=schedule.name, exc_info=error)
        return False

    async def _do(self, schedule: Schedule[Any]) -> bool:
        cron, zone = schedule.definition
        async with self._database.session() as session:
            which = {"name": schedule.name, "cron": cron, "zone": zone}
            row = (await session.execute(rows.TAKE, which)).one_or_none()
            if row is None:
                return False  # somebody else is at it, or was
            due = schedule.due(row.next_at, row.now, self._grace)
            doing = due
            if schedule.overlap is Overlap.SKIP:
                busy = await session.scalar(rows.UNDONE, {"job": row.last_job})
                doing = [] if busy else due[-1:]
            jobs = {at: await self._enqueue(session, schedule, at) for at in doing}
            last, job = next(reversed(jobs.items()), (None, None))
            moved = {"then": schedule.ticks.next(row.now), "tick": last, "job": job}
            await session.execute(rows.MOVE, {"which": schedule.name, **moved})
        self._tell(schedule, jobs, len(due), row.next_at < row.now - self._grace, row.now)
        return True

    async def _enqueue(self, session: AsyncSession, schedule: Schedule[Any], at: datetime) -> int:
        token = request_id.set(f"{schedule.name}-{at:%Y%m%dT%H%M%S%z}")
        try:
            payload = schedule.payload(at)
            return await self._queue.enqueue(schedule.kind, payload, session=session)
        finally:
            request_id.reset(token)

    def _tell(
        self,
        schedule: Schedule[Any],
        jobs: Mapping[datetime, int],
        due: int,
        missed: bool,
        now: datetime,
    ) -> None:
        metrics.TICKS.labels(schedule.name, "run").inc(len(jobs))
        metrics.TICKS.labels(schedule.name, "overlapped").inc(due - len(jobs))
        if missed:
            metrics.MISSED.labels(schedule.name).inc()
            policy = schedule.catch_up
            log.warning("ticks_missed", schedule=schedule.name, policy=policy, jobs=len(jobs))
        for at, job in jobs.items():
            metrics.LATENESS.observe((now - at).total_seconds())
            log.info("tick", schedule=schedule.name, at=at.isoformat(), job=job)
        if due > len(jobs):
            log.warning("ticks_overlapped", schedule=schedule.name, ticks=due - len(jobs))


def _by_name(schedules: Iterable[Schedule[Any]]) -> Mapping[str, Schedule[Any]]:
    found: dict[str, Schedule[Any]] = {}
    for schedule in schedules:
        if schedule.name in found:
            raise SettingsError(f"Two schedules are called {schedule.name}.")
        found[schedule.name] = schedule
    return dict(sorted(found.items()))  # everybody locks their rows in the same order
