"""At three times what it can do, the service does what it can; and no query outlives its deadline."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
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
# five connections, and 40 ms for each of the two rows that such a page reads, make 62 requests a second.
POOL, ROW_S = 5, 0.04
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
LIMIT, WAIT_S = 2 * POOL, 0.5
# Who is admitted has waited for a place for WAIT_S at most, and has then at most the others that have
# one before him. Twice that, as the machine is not ours alone.
P99_S = WAIT_S + 2 * SERVICE_S * LIMIT / POOL

TIMES, PATIENCE_S = 3, 2.0
# What is served is counted once the overload has lasted for WARM_S.
WINDOWS, PEAK_WINDOW_S, WARM_S, WINDOW_S = 7, 1.5, 0.5, 2.5
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


@dataclass(frozen=True)
class Window:
    """Some seconds of overload, after some at the peak."""

    peak: float
    arrivals: list[Arrival]
    begun: float

    @property
    def share(self) -> float:
        """What was served within it, of the peak."""
        begun, ends = self.begun + WARM_S, self.begun + WINDOW_S
        return len(served(self.arrivals, begun, ends)) / (ends - begun) / self.peak

    @property
    def p99(self) -> float:
        """How long 99 of 100 that were served have taken at most, in seconds."""
        return p99(served(self.arrivals))

    @property
    def silent(self) -> int:
        """How many gave up."""
        return outcomes(self.arrivals)[SILENT]


@dataclass
class Run:
    """Windows, and what the balancer saw. Their medians count: a machine that others use, too, may
    stand still for a second."""

    windows: list[Window] = field(default_factory=list)
    health: Health = field(default_factory=Health)

    @property
    def peak(self) -> float:
        """The peak, in requests a second."""
        return median(window.peak for window in self.windows)

    @property
    def outcomes(self) -> Counter[str]:
        """How many there are of each outcome."""
        return sum((outcomes(window.arrivals) for window in self.windows), Counter())

    def assert_served(self) -> tuple[float, float]:
        """Nearly as much as at the peak, in time; the share and the 99th percentile in seconds."""
        share = median(window.share for window in self.windows)
        slowest = median(window.p99 for window in self.windows)
        assert share >= 0.9, [(window.peak, window.share) for window in self.windows]
        assert slowest <= P99_S, [window.p99 for window in self.windows]
        assert median(window.silent for window in self.windows) == 0
        assert set(self.outcomes) <= {"200", "503", SILENT}, self.outcomes
        return share, slowest


async def overload(api: Api, key: str, windows: int, given_peak: float | None = None) -> Run:
    """Three times the peak, in windows, which is measured before each if it is not given."""
    run, load = Run(), Arrivals(api.port, key, PAGE, PATIENCE_S)
    async with balancer(api) as run.health:
        for _ in range(windows):
            best = given_peak or await peak(api, key)
            begun = time.monotonic()
            arrivals = await load.run(TIMES * best, WINDOW_S)
            run.windows.append(Window(best, arrivals, begun))
    load.close()
    assert not load.wrong, load.wrong[0]
    return run


def test_overload(service: Service, unprotected: Service, postgres: Postgres, table: Table) -> None:
    with slow_rows(postgres), service.processes(1, **DEFAULTS) as (api,):
        assert api.metric("backpressure_limit_requests") == LIMIT
        run = asyncio.run(overload(api, service.key, WINDOWS))
        share, slowest = run.assert_served()
        assert api.metric("backpressure_shed_requests_total") >= run.outcomes["503"] > 0
        assert set(run.health.statuses) == {200}
        assert not api.events("request_failed")
        until(lambda: api.metric("backpressure_in_flight_requests") == 0, "all places are free")
    with slow_rows(postgres), unprotected.processes(1, DATABASE_POOL_MAX=str(POOL)) as (api,):
        without = asyncio.run(overload(api, service.key, 3, run.peak))
        left = without.windows[-1].share
        assert left < 0.5, "it bears the overload: this proves nothing"
    table.add(
        "Overload costs those who are too many, and nobody else",
        f"{TIMES} x the peak of {run.peak:.0f} requests/s, {WINDOWS} windows of {WINDOW_S:g} s;"
        f" clients wait {PATIENCE_S:g} s",
        f"goodput {share:.0%} of the peak (without the pattern {left:.0%}), p99 of the served"
        f" {slowest:.2f} s (bound {P99_S:g}), {run.outcomes['503']:,} x 503,"
        f" {len(run.health.statuses)} probes 200, {run.health.slowest_s:.2f} s at most",
        f"without an answer {run.outcomes[SILENT]:,} of {run.outcomes.total():,} (without the"
        f" pattern {without.outcomes[SILENT]:,} of {without.outcomes.total():,})",
    )


@pytest.mark.slow
def test_the_limit_finds_itself(service: Service, postgres: Postgres, table: Table) -> None:
    """From ten times too many to what keeps nine of ten answers below the target."""
    most, target_s = 10 * LIMIT, 0.2
    adaptive = {
        **DEFAULTS,
        "BACKPRESSURE_LIMIT": str(most),
        "BACKPRESSURE_LATENCY_S": str(target_s),
    }
    bears = POOL * target_s / SERVICE_S

    async def settle(api: Api) -> None:
        load = Arrivals(api.port, service.key, PAGE, PATIENCE_S)
        await load.run(TIMES * POOL / SERVICE_S, 15)
        load.close()

    with slow_rows(postgres), service.processes(1, **adaptive) as (api,):
        asyncio.run(settle(api))
        settled = api.metric("backpressure_limit_requests")
        run = asyncio.run(overload(api, service.key, WINDOWS))
        share, slowest = run.assert_served()
        assert settled <= 1.5 * bears, settled
    table.add(
        "A limit that is far too high finds itself",
        f"{TIMES} x the peak, from {most} at once, nine of ten below {target_s:g} s",
        f"{settled:.0f} at once after 15 s, goodput {share:.0%} of the peak, p99 {slowest:.2f} s",
        f"without an answer {run.outcomes[SILENT]:,} of {run.outcomes.total():,}",
    )


def test_a_shutdown_under_overload_loses_nothing(
    service: Service, postgres: Postgres, table: Table
) -> None:
    async def stopped(api: Api) -> list[Arrival]:
        """SIGTERM in the middle; the balancer has noticed before SHUTDOWN_DRAIN_S is over."""
        load = Arrivals(api.port, service.key, PAGE, 10)
        asyncio.get_running_loop().call_later(1, api.process.send, signal.SIGTERM)
        arrivals = await load.run(TIMES * POOL / SERVICE_S, 2)
        load.close()
        assert not load.wrong, load.wrong[0]
        return arrivals

    draining = {**DEFAULTS, "SHUTDOWN_DRAIN_S": "3"}
    with slow_rows(postgres), service.processes(1, **draining) as (api,):
        arrivals = asyncio.run(stopped(api))
        found = outcomes(arrivals)
        assert set(found) == {"200", "503"}, found
        assert api.process.wait(20) == 0
    table.add(
        "A shutdown loses nothing",
        f"SIGTERM at {TIMES} x the peak",
        f"{found['200']:,} x 200, {found['503']:,} x 503, exit code 0",
        f"0 of {len(arrivals):,}",
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
    many = POOL - 1

    async def asked(api: Api) -> list[int]:
        late = soon(request_, 1)
        asking = [asyncio.create_task(ask(api.port, service.key, late)) for _ in range(many)]
        await asyncio.to_thread(until, lambda: postgres.waiting() == many, "all wait", 0.9)
        return [(await one).status for one in asking]

    fixed = {"DATABASE_POOL_MIN": str(POOL), **DEFAULTS}
    with service.processes(1, **fixed) as (api,):
        user = asyncio.run(ask(api.port, service.key, get("/users/1"))).json
        before = postgres.sql(BACKENDS)
        assert before.count("idle") == POOL
        with postgres.locked(lock):
            assert asyncio.run(asked(api)) == [408] * many
            assert postgres.waiting() == 0  # while the lock is still held
            assert postgres.sql(BACKENDS) == before
        assert api.metric("backpressure_deadline_exceeded_total", whose="client") == many
        answer = asyncio.run(ask(api.port, service.key, get("/users/1")))
        assert (answer.status, answer.json) == (200, user)
        assert asyncio.run(ask(api.port, service.key, PAGE)).status == 200
    table.add(
        "A deadline cancels the query",
        f"{many} x {name} that waits for a lock, X-Request-Timeout: 1",
        f"408 each; {POOL} backends idle and the same as before, the lock still held",
        "0 connections",
    )
