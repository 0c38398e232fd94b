"""No job is lost: workers are killed, PostgreSQL is restarted, transactions are rolled back."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from random import Random

import pytest

from .harness.jobs import Jobs
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

COUNT = 200
# Short, so that the proofs are; the defaults are 15 s and 1 s.
SHORT = {"QUEUE_LEASE_S": "2", "QUEUE_POLL_S": "0.2"}


@pytest.fixture
def jobs(service: Service, postgres: Postgres, work: Path) -> Jobs:
    """An empty queue."""
    return Jobs(service, postgres, work)


def kill(worker: Api, jobs: Jobs, before: int) -> int:
    """kill -9; how many attempts have been cut by now, of which `before` by earlier kills."""
    worker.process.end(signal.SIGKILL)
    in_flight = jobs.in_flight()
    assert in_flight > before, "nothing was in flight: this kill proves nothing"
    return in_flight


def all_done(jobs: Jobs, count: int = COUNT) -> None:
    """Wait until every job is done and nothing is left in the queue."""
    until(lambda: jobs.done() == count, f"{count} jobs are done", 90)
    until(lambda: jobs.states() == "nothing", "the queue is empty", 30)


def test_workers_are_killed(jobs: Jobs, table: Table) -> None:
    random, in_flight = Random(7), 0
    jobs.enqueue(COUNT)
    for begun in (30, 60, 90, 120, 150):
        with jobs.service.processes(1, "worker", jobs.script, **SHORT) as (worker,):
            until(lambda: jobs.begun() >= begun, f"{begun} are begun")  # noqa: B023
            time.sleep(random.random() * 0.3)
            in_flight = kill(worker, jobs, in_flight)
    for _ in range(3):  # while the jobs of those that were killed come back
        time.sleep(float(SHORT["QUEUE_LEASE_S"]))
        begun = jobs.begun()
        with jobs.service.processes(1, "worker", jobs.script, **SHORT) as (worker,):
            until(lambda: jobs.begun() > begun, "it works")  # noqa: B023
            time.sleep(random.random() * 0.3)
            in_flight = kill(worker, jobs, in_flight)
    with jobs.service.processes(1, "worker", jobs.script, **SHORT):
        # what was hit by three kills has failed as a poisonous job would have; its owner tries it again
        until(lambda: jobs.states() == "nothing" or jobs.only_failed(), "no job is left to do", 90)
        if killed_thrice := jobs.only_failed():
            jobs.service.run("jobs", "redrive", "--all", script=jobs.script)
        all_done(jobs)
    twice = jobs.done_again()
    assert twice <= in_flight
    table.add(
        "No job is lost",
        f"kill -9 of the worker, {COUNT} jobs of 0.25 s, 10 at a time",
        f"5 times at random, 3 during recovery; {in_flight} in flight, {twice} done twice, "
        f"{killed_thrice} failed by three kills and redriven",
        f"0 of {COUNT}",
    )


def test_a_job_kills_its_worker(jobs: Jobs, table: Table) -> None:
    """It goes first each time, with nine others beside it."""
    killed = 0
    jobs.enqueue(COUNT, seconds=0.1, poison=True)
    while jobs.states() != "failed 1":
        assert killed <= 3
        worker = jobs.service.start("worker", jobs.script, **SHORT)
        try:
            until(
                lambda: worker.process.exit_code is not None or jobs.states() == "failed 1",  # noqa: B023
                "the worker is killed, or has done all it can",
                90,
            )
            killed += worker.process.exit_code == -signal.SIGKILL
        finally:
            worker.process.end()
    assert killed == jobs.begun(-1) == 3
    assert jobs.done() == COUNT
    failed = jobs.service.run("jobs", "list")
    assert "3/3" in failed
    assert "The worker died" in failed
    table.add(
        "A job that kills its worker is given up",
        f"a job that sends SIGKILL, among {COUNT} others",
        "3 workers killed, then dead-lettered",
        f"0 of {COUNT}, and the one",
    )


@pytest.mark.parametrize("mode", ["immediate", pytest.param("fast", marks=pytest.mark.slow)])
def test_postgres_is_restarted(jobs: Jobs, postgres: Postgres, table: Table, mode: str) -> None:
    jobs.enqueue(COUNT)
    with jobs.service.processes(2, "worker", jobs.script, **SHORT) as workers:
        in_flight = 0
        for begun in (40, 100):
            until(lambda: jobs.begun() >= begun, f"{begun} are begun")  # noqa: B023
            in_flight += jobs.running()
            postgres.restart(mode)
        all_done(jobs)
        assert [worker.process.exit_code for worker in workers] == [None, None]
        assert in_flight, "nothing was in flight: this proves nothing"
    twice = jobs.done_again()
    assert twice <= in_flight
    table.add(
        "No job is lost",
        f"pg_ctl restart -m {mode} under 2 workers, {COUNT} jobs",
        f"2 times; {in_flight} in flight, {twice} done twice",
        f"0 of {COUNT}",
    )


def test_transactions_are_rolled_back(jobs: Jobs, postgres: Postgres, table: Table) -> None:
    jobs.service.run("roll-back", script=jobs.script)
    assert jobs.states() == "nothing"
    assert postgres.sql("SELECT count(*) FROM effects") == "0"
    table.add(
        "A job is its transaction's",
        "enqueued before and after the first flush, then rolled back",
        "1 time each",
        "no job",
    )


def test_workers_are_replaced(jobs: Jobs, table: Table) -> None:
    """As a rollout does it: a new one comes, an old one gets SIGTERM."""
    jobs.enqueue(COUNT)
    with jobs.service.processes(2, "worker", jobs.script, **SHORT) as old:
        for n, worker in enumerate(old):
            until(lambda: jobs.begun() >= 40 * (n + 1), "they work")  # noqa: B023
            worker.process.send(signal.SIGTERM)
            assert worker.process.wait(20) == 0, worker.process.tail()
        left = COUNT - jobs.done()
        assert left, "nothing was left to do: this proves nothing"
        assert jobs.in_flight() == 0
        with jobs.service.processes(1, "worker", jobs.script, **SHORT):
            all_done(jobs)
    assert jobs.begun() == COUNT
    assert jobs.done_again() == 0
    table.add(
        "A worker that is asked to end leaves nothing undone",
        f"SIGTERM to two workers, {COUNT} jobs, a third one does the rest",
        f"2 times, exit code 0, {left} left for the third",
        f"0 of {COUNT}, 0 done twice",
    )


def test_what_takes_too_long_is_handed_back(jobs: Jobs, table: Table) -> None:
    jobs.enqueue(3, seconds=600)
    with jobs.service.processes(1, "worker", jobs.script, **SHORT, SHUTDOWN_FORCE_S="4") as (
        worker,
    ):
        until(lambda: jobs.begun() == 3, "they are begun")
        asked = time.monotonic()
        worker.process.send(signal.SIGTERM)
        assert worker.process.wait(10) == 0, worker.process.tail()
        took = time.monotonic() - asked
        assert took < 4
        assert jobs.states() == "ready 3"
    table.add(
        "A worker that is asked to end leaves nothing undone",
        "SIGTERM, SHUTDOWN_FORCE_S=4, three jobs of 600 s",
        f"exit code 0 after {took:.1f} s, all of them ready for others",
        "0 of 3",
    )
