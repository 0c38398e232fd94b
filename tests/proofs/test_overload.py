"""At three times what it can do, the service does what it can; and no query outlives its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from collections.abc import Iterator
from contextlib import asynccontextmanager
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from statistics import median

import pytest

from .harness.arrivals import SILENT
from .harness.arrivals import Arrival
from .harness.arrivals import Arrivals
from .harness.arrivals import outcomes
from .harness.arrivals import p99
from .harness.arrivals import served
from .harness.load import Connection
from .harness.load import Load
from .harness.load import Request
from .harness.load import ask
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.service import Api
from .harness.service import Service
from .harness.service import render
from .harness.table import Table

# What the database can do is bounded by time and not by the CPU of a machine that others use, too:
# ten connections, and 25 ms for each of the two rows that such a page reads, make 200 requests a second.
POOL, ROW_S = 10, 0.025
PAGE = get("/items?limit=1")
SERVICE_S = 2 * ROW_S
SLOW_ROWS = f"""
CREATE FUNCTION slowly() RETURNS boolean LANGUAGE plpgsql VOLATILE AS
  $$ BEGIN PERFORM pg_sleep({ROW_S}); RETURN true; END $$;
CREATE POLICY slow ON items USING (slowly());
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE items FORCE ROW LEVEL SECURITY
"""
AS_BEFORE = """
ALTER TABLE items DISABLE ROW LEVEL SECURITY; ALTER TABLE items NO FORCE ROW LEVEL SECURITY;
DROP POLICY slow ON items; DROP FUNCTION slowly()
"""
# As a service has it that sets nothing: twice the pool at once, and half a second in the queue.
DEFAULTS = {"BACKPRESSURE_LIMIT": "", "DATABASE_POOL_MAX": str(POOL)}
LIMIT, QUEUE_S = 2 * POOL, 0.5
# Who is admitted has waited for a place for QUEUE_S at most, and has then at most the others that have
# one before him. Twice that, as the machine is not ours alone.
P99_S = QUEUE_S + 2 * SERVICE_S * LIMIT / POOL

TIMES, PATIENCE_S = 3, 1.0
WINDOWS, PEAK_WINDOW_S, WINDOW_S = 5, 2.0, 3.0
EVERY_S = 0.1  # that the balancer asks for /health


@contextmanager
def slow_rows(postgres: Postgres) -> Iterator[None]:
    """Every row of items that is read takes ROW_S, for the block."""
    postgres.sql(SLOW_ROWS)
    try:
        yield
    finally:
        postgres.sql(AS_BEFORE)


@pytest.fixture
def unprotected(generated: Path, work: Path, service: Service) -> Service:
    """The same service without the pattern."""
    folder = work / "unprotected"
    if not folder.exists():
        render(folder, without=["backpressure"])
    return service.at(folder)


@dataclass
class Health:
    """What the balancer saw."""

    statuses: list[int] = field(default_factory=list)
    slowest_s: float = 0


@asynccontextmanager
async def balancer(api: Api) -> AsyncIterator[Health]:
    """Asks for the health during the block, on the public port and without a key."""
    health, over = Health(), asyncio.Event()

    async def watch() -> None:
        async with Connection(api.port, "none") as one:
            while not over.is_set():
                asked = time.monotonic()
                health.statuses.append((await one.ask(get("/health"))).status)
                health.slowest_s = max(health.slowest_s, time.monotonic() - asked)
                await asyncio.sleep(EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield health
    finally:
        over.set()
        await asyncio.wait_for(watching, 10)


async def peak(api: Api, key: str) -> float:
    """The most it does, in requests a second: to as many clients as it serves at once."""
    begun = time.monotonic()
    async with Load([api.port], key, lambda _: PAGE, clients=LIMIT) as load:
        await asyncio.sleep(PEAK_WINDOW_S)
    assert set(load.tally.outcomes) == {"200"}, str(load.tally)
    return load.tally.total / (time.monotonic() - begun)


@dataclass
class Run:
    """Windows of overload, each after one at its peak."""

    peaks: list[float] = field(default_factory=list)
    goodput: list[float] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    health: Health = field(default_factory=Health)


async def overload(api: Api, key: str, windows: int, *, measure_peak_once: bool = False) -> Run:
    """Three times the peak, in windows; what counts is what was served within them."""
    run, load = Run(), Arrivals(api.port, key, PAGE, PATIENCE_S)
    async with balancer(api) as run.health:
        for number in range(windows):
            if number == 0 or not measure_peak_once:
                run.peaks.append(await peak(api, key))
            begun = time.monotonic()
            arrivals = await load.run(TIMES * run.peaks[-1], WINDOW_S)
            run.goodput.append(len(served(arrivals, begun + WINDOW_S)) / WINDOW_S)
            run.arrivals += arrivals
    load.close()
    assert not load.wrong, load.wrong[0]
    return run


def test_overload(service: Service, unprotected: Service, postgres: Postgres, table: Table) -> None:
    with slow_rows(postgres), service.processes(1, **DEFAULTS) as (api,):
        assert api.metric("backpressure_limit_requests") == LIMIT
        run = asyncio.run(overload(api, service.key, WINDOWS))
        found, slowest = outcomes(run.arrivals), p99(served(run.arrivals))
        share = median(good / best for good, best in zip(run.goodput, run.peaks, strict=True))
        shed = api.metric("backpressure_shed_requests_total")
        assert found["503"] == shed > 0
        assert set(found) == {"200", "503"}, found
        assert share >= 0.9, (run.peaks, run.goodput)
        assert slowest <= P99_S, slowest
        assert set(run.health.statuses) == {200}
        assert not api.events("request_failed")
        assert api.metric("backpressure_in_flight_requests") == 0
    with slow_rows(postgres), unprotected.processes(1, DATABASE_POOL_MAX=str(POOL)) as (api,):
        without = asyncio.run(overload(api, service.key, 2, measure_peak_once=True))
        left = without.goodput[-1] / without.peaks[0]
        assert left < 0.5, "it bears the overload: this proves nothing"
    table.add(
        "Overload costs those who are too many, and nobody else",
        f"{TIMES} x the peak of {median(run.peaks):.0f} requests/s, {WINDOWS} windows of {WINDOW_S:g} s;"
        f" clients wait {PATIENCE_S:g} s",
        f"goodput {share:.0%} of the peak (without the pattern {left:.0%}), p99 of the served"
        f" {slowest:.2f} s (bound {P99_S:g}), {found['503']:,} x 503, {len(run.health.statuses)}"
        f" probes 200, {run.health.slowest_s:.2f} s at most",
        f"0 of {len(run.arrivals):,} without an answer (without the pattern"
        f" {outcomes(without.arrivals)[SILENT]:,} of {len(without.arrivals):,})",
    )


def soon(request: Request, seconds: float) -> Request:
    """The same, for a client that waits no longer than this."""
    return Request(request.method, request.path, request.body, (f"X-Request-Timeout: {seconds:g}",))


BACKENDS = (
    "SELECT string_agg(pid || ' ' || state, ', ' ORDER BY pid) FROM pg_stat_activity"
    " WHERE usename = 'app'"
)


@pytest.mark.parametrize(
    ("name", "request_", "lock"),
    [
        ("a statement", PAGE, "LOCK TABLE items IN ACCESS EXCLUSIVE MODE"),
        (
            "a transaction",
            send("PATCH", "/users/1", {"name": "never"}),
            "SELECT FROM users WHERE id = 1 FOR UPDATE",
        ),
    ],
)
def test_the_deadline_cancels_the_query(
    service: Service, postgres: Postgres, table: Table, name: str, request_: Request, lock: str
) -> None:
    many = POOL // 2

    async def asked(api: Api) -> list[int]:
        late = soon(request_, 1)
        asking = [asyncio.create_task(ask(api.port, service.key, late)) for _ in range(many)]
        await asyncio.to_thread(until, lambda: postgres.waiting() == many, "all wait", 0.9)
        return [(await one).status for one in asking]

    fixed = {"DATABASE_POOL_MIN": str(POOL), **DEFAULTS}
    with service.processes(1, **fixed) as (api,):
        before = postgres.sql(BACKENDS)
        assert before.count("idle") == POOL
        with postgres.locked(lock):
            assert asyncio.run(asked(api)) == [503] * many
            assert postgres.waiting() == 0  # while the lock is still held
            assert postgres.sql(BACKENDS) == before
        assert api.metric("backpressure_deadline_exceeded_total") == many
        answer = asyncio.run(ask(api.port, service.key, get("/users/1")))
        assert (answer.status, answer.json["name"]) == (200, "User 1")
        assert asyncio.run(ask(api.port, service.key, PAGE)).status == 200
    table.add(
        "A deadline cancels the query",
        f"{many} x {name} that waits for a lock, X-Request-Timeout: 1",
        f"503 each; {POOL} backends idle and the same as before, the lock still held",
        "0 connections",
    )
