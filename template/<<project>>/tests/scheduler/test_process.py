"""`python -m app scheduler` as a process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest

from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Job
from app.scheduler.process import create_scheduler
from app.service import Service
from app.settings import SettingsError
from tests.queue.conftest import until
from tests.queue.processes import StartProcess
from tests.queue.processes import processes
from tests.scheduler.conftest import DAILY
from tests.scheduler.conftest import TICK
from tests.scheduler.conftest import Tables
from tests.scheduler.conftest import Tick
from tests.scheduler.conftest import schedule

pytestmark = pytest.mark.anyio
EVERY_SECOND = {"TICKER_CRON": "* * * * * *", "SCHEDULER_POLL_S": "0.1"}


@pytest.fixture
def start(servers: dict[str, str], tmp_path: Path) -> Iterator[StartProcess]:
    """Starts a scheduler; all are gone after the test."""
    with processes("tests.scheduler.ticker", "scheduler", tmp_path, **EVERY_SECOND) as start:
        yield start


async def test_a_process_that_dies_in_a_tick_is_replaced(
    tables: Tables, start: StartProcess
) -> None:
    dies = start(TICKER_DIES="yes")
    await until(lambda: dies.process.exit_code() is not None, "it is killed", 20)
    assert dies.process.exit_code() == -signal.SIGKILL
    assert await tables.jobs() == []
    due = (await _ticker(tables))["next_at"]
    other = start()
    await until(lambda: _jobs(tables, 2), "another does it", 20)
    assert '"healthy"' in other.answers("/readyz")
    assert 'scheduler_ticks_total{outcome="run",schedule="ticker"}' in other.answers("/metrics")
    assert other.process.stop() == 0
    ticks = await tables.ticks()
    assert ticks[0] == due
    assert all(after - before == timedelta(seconds=1) for before, after in pairwise(ticks))
    assert (await _ticker(tables))["last_at"] == ticks[-1]


async def _ticker(tables: Tables) -> asyncpg.Record:
    [row] = [row for row in await tables.rows() if row["name"] == "ticker"]
    return row


async def _jobs(tables: Tables, count: int) -> bool:
    return len(await tables.jobs()) >= count


async def test_what_is_not_usable_is_refused_in_a_sentence(start: StartProcess) -> None:
    refused = start(TICKER_ZONE="Berlin")
    await until(lambda: refused.process.exit_code() is not None, "it ends", 20)
    assert refused.process.exit_code() == 1
    said = "Schedule ticker: 'Berlin' is no time zone; one is 'Europe/Berlin'.\n"
    assert refused.log.read_text() == said


def test_every_schedule_of_this_service_is_usable(service: Service) -> None:
    create_scheduler(service)


async def _nothing(_: Job[Tick]) -> None: ...


def test_a_job_that_nobody_does_is_refused(servers: dict[str, str]) -> None:
    one = Pattern(name="one", schedules=lambda _: [schedule(cron=DAILY)])
    with pytest.raises(SettingsError, match="Schedule one: nobody does jobs of kind tick"):
        create_scheduler(Service([*PATTERNS, one]))
    handler = Handler(kind=TICK, run=_nothing)
    create_scheduler(Service([*PATTERNS, one, Pattern(name="two", jobs=lambda _: [handler])]))


def test_a_payload_that_cannot_be_made_is_refused(servers: dict[str, str]) -> None:
    handler = Handler(kind=TICK, run=_nothing)
    broken = schedule(cron=DAILY)
    broken.payload = lambda at: Tick(at.nothing)  # type: ignore[attr-defined]
    one = Pattern(name="one", schedules=lambda _: [broken], jobs=lambda _: [handler])
    with pytest.raises(SettingsError, match="Schedule one: no payload: AttributeError"):
        create_scheduler(Service([*PATTERNS, one]))
