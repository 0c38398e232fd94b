"""PostgreSQL goes away and comes back; nobody has to restart the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from .harness.load import Load
from .harness.load import Request
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.service import Service
from .harness.table import Table

BACK_WITHIN_S = 5.0
ITEM = {"name": "an item", "price": 1, "description": "made while PostgreSQL is restarted"}


def uncached(random: Random) -> Request:
    """Requests that all need the database."""
    dice = random.random()
    if dice < 0.5:
        return get("/items?limit=5")
    if dice < 0.8:
        return get(f"/items/{random.randint(1, 2_000)}")
    if dice < 0.9:
        return send("PATCH", f"/users/{random.randint(1, 200)}", {"status": "active"})
    return send("POST", "/items", ITEM)


def reads(random: Random) -> Request:
    """Reads that need the database."""
    return get(f"/items/{random.randint(1, 2_000)}" if random.random() < 0.5 else "/items?limit=5")


@contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    """Ended in order; started again after the block."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@pytest.mark.parametrize("mode", ["immediate", pytest.param("fast", marks=pytest.mark.slow)])
def test_restart_under_load(service: Service, postgres: Postgres, table: Table, mode: str) -> None:
    async def restarts() -> tuple[Load, list[float]]:
        gaps = []
        async with Load([api.port for api in apis], service.key, uncached) as load:
            for _ in range(rounds):
                await asyncio.sleep(1)
                asked = time.monotonic()
                await asyncio.to_thread(postgres.restart, mode)
                await asyncio.sleep(BACK_WITHIN_S)
                failed = [when for when, _ in load.tally.failures if when > asked]
                gaps.append(max(failed, default=asked) - asked)
        return load, gaps

    rounds = 3
    with service.processes(2) as apis:
        load, gaps = asyncio.run(restarts())
        tally = load.tally
        assert set(tally.outcomes) <= {"200", "201", "503"}, str(tally)
        assert tally.outcomes["503"], "the restart was not felt: this proves nothing"
        assert not tally.wrong, tally.wrong[0]
        assert max(gaps) < BACK_WITHIN_S, gaps
        assert not any(api.events("request_failed") for api in apis)
    table.add(
        "PostgreSQL restarted: 200 again within 5 s, and 503 until then",
        f"pg_ctl restart -m {mode} under 32 clients, 2 processes",
        f"{rounds} times, last error {max(gaps):.1f} s after the command",
        f"{tally.outcomes['503']} x 503 with Retry-After of {tally.total:,}, nothing else",
    )


def test_backends_terminated_under_load(service: Service, postgres: Postgres, table: Table) -> None:
    async def terminations() -> tuple[Load, int]:
        ended = 0
        async with Load([api.port for api in apis], service.key, reads) as load:
            for _ in range(rounds):
                await asyncio.sleep(0.3)
                ended += int(await asyncio.to_thread(postgres.sql, TERMINATE))
        return load, ended

    rounds = 20
    with service.processes(2) as apis:
        load, ended = asyncio.run(terminations())
        assert load.tally.failed == 0, str(load.tally)
        assert set(load.tally.outcomes) == {"200"}
        retries = sum(api.metric("database_read_retries_total") for api in apis)
        assert retries, "no read was hit: this proves nothing"
    table.add(
        "Backends killed: reads are tried again",
        "pg_terminate_backend of all, under 32 reading clients, 2 processes",
        f"{rounds} times, {ended} backends, {retries:g} reads repeated",
        f"0 of {load.tally.total:,}",
    )


TERMINATE = (
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))"
    " FROM pg_stat_activity WHERE usename = 'app'"
)
