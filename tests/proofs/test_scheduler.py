"""A tick is one job: schedulers are killed, PostgreSQL is restarted, clocks change."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from .harness.postgres import Postgres
from .harness.processes import until
from .harness.schedules import Schedules
from .harness.schedules import at_second
from .harness.schedules import zone_that_changes
from .harness.service import Service
from .harness.table import Table

HOUR = 3600
EVERY_SECOND = {"second": ("* * * * * *", "UTC")}


@pytest.fixture
def schedules(service: Service, postgres: Postgres, work: Path) -> Schedules:
    """No schedule yet, and no job."""
    return Schedules(service, postgres, work)


def declared(schedules: dict[str, tuple[str, str]]) -> dict[str, str]:
    """The environment that declares them."""
    return {"PROOF_SCHEDULES": json.dumps(schedules)}


def each_once(runs: list[int]) -> bool:
    """Whether these are all seconds from the first to the last, each of them once."""
    return runs == list(range(runs[0], runs[-1] + 1))


@pytest.mark.slow
def test_three_replicas_and_sixty_ticks(schedules: Schedules, table: Table) -> None:
    """One kills itself while it holds a tick, one is killed at any moment; both come back."""
    start, ticks, killed = schedules.service.start, 60, 0
    own = declared(EVERY_SECOND)
    with (
        schedules.service.processes(1, "worker", schedules.script, **own),
        schedules.service.processes(2, "scheduler", schedules.script, **own) as replicas,
    ):
        dies = start("scheduler", schedules.script, **own, DIES_IN="5")
        try:
            until(lambda: dies.process.exit_code is not None, "it is killed in a tick", 60)
            assert dies.process.exit_code == -signal.SIGKILL
            killed += 1
            for replica in replicas:
                before = len(schedules.runs("second"))
                until(lambda: len(schedules.runs("second")) > before + 5, "they tick")  # noqa: B023
                replica.process.end(signal.SIGKILL)
                killed += 1
                replica.process = start("scheduler", schedules.script, **own).process
            until(lambda: len(schedules.runs("second")) >= ticks, f"{ticks} ticks", 90)
        finally:
            dies.process.end(signal.SIGKILL)
            for replica in replicas:
                replica.process.send(signal.SIGTERM)
        assert [replica.process.wait(15) for replica in replicas] == [0, 0]
        until(lambda: schedules.queued() == 0, "every job is done")
    runs = schedules.runs("second")
    assert len(runs) >= ticks
    assert each_once(runs), [tick for tick, times in Counter(runs).items() if times > 1]
    table.add(
        "A tick is one job",
        "three schedulers, a tick a second; kill -9 of one within a tick, of two at random",
        f"{killed} kills, {len(runs)} ticks, done at most {schedules.latest():.1f} s later",
        f"0 of {len(runs)}, 0 run twice",
    )


def test_postgres_is_restarted_under_schedulers(
    schedules: Schedules, postgres: Postgres, table: Table
) -> None:
    own = declared(EVERY_SECOND)
    with (
        schedules.service.processes(1, "worker", schedules.script, **own),
        schedules.service.processes(2, "scheduler", schedules.script, **own) as replicas,
    ):
        for seconds in (2, 4):
            until(lambda: len(schedules.runs("second")) >= seconds, "they tick")  # noqa: B023
            postgres.restart("immediate")
        before = len(schedules.runs("second"))
        until(lambda: len(schedules.runs("second")) >= before + 4, "they tick again")
        assert [replica.process.exit_code for replica in replicas] == [None, None]
    runs = schedules.runs("second")
    assert each_once(runs), [tick for tick, times in Counter(runs).items() if times > 1]
    table.add(
        "A tick is one job",
        "pg_ctl restart -m immediate under two schedulers, a tick a second",
        f"2 times, {len(runs)} ticks",
        f"0 of {len(runs)}, 0 run twice",
    )


@pytest.mark.slow
def test_the_clock_changes(schedules: Schedules, work: Path, table: Table) -> None:
    """By an hour, forward in one zone and back in the other, while three schedulers run."""
    change = int(time.time()) + 25
    own = zone_that_changes(work / "zones", "Proof/Spring", change, HOUR, 2 * HOUR)
    own |= zone_that_changes(work / "zones", "Proof/Autumn", change, 2 * HOUR, HOUR)
    own |= declared(
        {
            "spring": ("* * * * * *", "Proof/Spring"),
            "left_out": (at_second(change + 1800, HOUR), "Proof/Spring"),
            "autumn": ("* * * * * *", "Proof/Autumn"),
            "twice": (at_second(change - 3, 2 * HOUR), "Proof/Autumn"),
            "was_before": (at_second(change + 3, HOUR), "Proof/Autumn"),
        }
    )
    with (
        schedules.service.processes(1, "worker", schedules.script, **own),
        schedules.service.processes(3, "scheduler", schedules.script, **own),
    ):
        assert time.time() < change - 5, "they came too late: this proves nothing"
        for name in ("spring", "autumn"):
            until(lambda: max(schedules.runs(name), default=0) > change + 5, "they tick", 60)  # noqa: B023
    for name in ("spring", "autumn"):
        runs = schedules.runs(name)
        assert runs[0] < change
        assert each_once(runs)
    assert schedules.runs("left_out") == [change]
    assert schedules.runs("twice") == [change - 3]
    assert schedules.next("twice") == change - 3 + 25 * HOUR
    assert schedules.runs("was_before") == []
    assert schedules.next("was_before") == change + 3 + 24 * HOUR
    table.add(
        "A tick is one job",
        "the clock of a zone goes an hour forward, that of another back, under three schedulers",
        "1 time each: every second once; a time that is left out, when the clock goes on; one that "
        "comes twice, the first time",
        "0",
    )
