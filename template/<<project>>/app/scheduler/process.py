"""`python -m app scheduler`: a process beside the API, like a worker."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from typing import Any

from app.database import Database
from app.http.logs import log
from app.pattern import Command
from app.queue import Handler
from app.queue import Queue
from app.queue.process import FINISHING
from app.queue.process import run_beside
from app.scheduler.schedule import Schedule
from app.scheduler.scheduler import Scheduler
from app.scheduler.settings import SchedulerSettings
from app.service import Service
from app.settings import SettingsError
from app.shutdown import ShutdownSettings


def create_scheduler(service: Service) -> Scheduler:
    """A scheduler for the schedules of every pattern; SettingsError when one is not usable."""
    schedules = list(_schedules(service))
    if not schedules:
        log.warning("no_schedules", reason="no pattern has any: see Pattern.schedules")
    return Scheduler(
        service.get(Database),
        service.get(Queue),
        schedules,
        service.settings(SchedulerSettings),
        service.settings(ShutdownSettings).force_s * FINISHING,
    )


def _schedules(service: Service) -> Iterator[Schedule[Any]]:
    patterns = service.patterns
    jobs = [job for pattern in patterns if pattern.jobs for job in pattern.jobs(service)]
    done = {job.kind.name for job in jobs if isinstance(job, Handler)}
    for pattern in patterns:
        for schedule in pattern.schedules(service) if pattern.schedules else ():
            assert isinstance(schedule, Schedule), "Pattern.schedules gives Schedules"
            if schedule.kind.name not in done:
                kind = schedule.kind.name
                raise SettingsError(f"Schedule {schedule.name}: nobody does jobs of kind {kind}.")
            _try_payload(schedule)
            yield schedule


def _try_payload(schedule: Schedule[Any]) -> None:
    """Make the next payload, to no use: a mistake in it is better found now than at night."""
    try:
        schedule.kind.encode(schedule.payload(schedule.ticks.next(datetime.now(UTC))))
    except Exception as error:
        raise SettingsError(f"Schedule {schedule.name}: no payload: {error!r}.") from error


def _scheduler(_: Namespace) -> int:
    return run_beside(create_scheduler)


SCHEDULER = Command(name="scheduler", help="enqueue the jobs of the schedules", run=_scheduler)
