"""A process that is told to stop loses nothing, and ends in time."""

from __future__ import annotations

import asyncio
import signal
import time
from random import Random

import pytest

from .harness.load import Answer
from .harness.load import Load
from .harness.load import Lost
from .harness.load import Request
from .harness.load import Tally
from .harness.load import ask
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import free_port
from .harness.processes import until
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

CLIENTS, LAG_S, DRAIN_S = 32, 1.0, 2.0
HELD_S = 7  # longer than the pool waits for its connections when it is closed (5)
ITEM = {"name": "an item", "price": 1, "description": "made while the service goes down"}
LOCK_USER = "SELECT FROM users WHERE id = 1 FOR UPDATE"
CHANGE = send("PATCH", "/users/1", {"status": "inactive"})


def mixed(random: Random) -> Request:
    """Cached reads, pages and new items."""
    dice = random.random()
    if dice < 0.7:
        return get(f"/users/{random.randint(1, 100)}")
    return get("/items?limit=20") if dice < 0.9 else send("POST", "/items", ITEM)


async def drain(api: Api, key: str, pause: float) -> tuple[Tally, int, float]:
    """SIGTERM under load, with a balancer that notices after a second: what became of the requests,
    the exit code, and how long it took."""
    async with Load([api.port], key, mixed, clients=CLIENTS, pause=pause) as load:
        await asyncio.sleep(1)
        load.leave(after_s=LAG_S)
        asked = time.monotonic()
        api.process.send(signal.SIGTERM)
        code = await asyncio.to_thread(api.process.wait, 30)
        took = time.monotonic() - asked
    return load.tally, code, took


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0, 0.2], ids=["busy", "thinking"])
def test_ten_times_under_keep_alive(
    service: Service, postgres: Postgres, table: Table, pause: float
) -> None:
    times, total, longest = 10, 0, 0.0
    for _ in range(times):
        before = int(postgres.sql("SELECT count(*) FROM items"))
        with service.processes(1, SHUTDOWN_DRAIN_S=str(DRAIN_S)) as (api,):
            tally, code, took = asyncio.run(drain(api, service.key, pause))
            assert tally.failed == 0, str(tally)
            assert set(tally.outcomes) == {"200", "201"}
            assert code == 0, api.process.tail()
        made = int(postgres.sql("SELECT count(*) FROM items")) - before
        assert made == tally.outcomes["201"]
        total, longest = total + tally.total, max(longest, took)
    table.add(
        "SIGTERM loses nothing",
        f"{CLIENTS} keep-alive clients, {'pausing' if pause else 'busy'}; the balancer notices "
        f"after {LAG_S:g} s",
        f"{times} times, exit code 0, {longest:.1f} s at most",
        f"0 lost, 0 cut, 0 refused of {total:,}",
    )


async def signalled_while_stuck(
    api: Api, key: str, postgres: Postgres, signals: list[signal.Signals], held_s: float
) -> tuple[Answer | None, int, float]:
    """Signals while a request waits for a row that is locked for `held_s` seconds more: its answer
    (None: cut off), the exit code, and the seconds from the last signal to the end."""
    with postgres.locked(LOCK_USER):
        request = asyncio.create_task(ask(api.port, key, CHANGE))
        await asyncio.to_thread(until, lambda: postgres.waiting() == 1, "the request is stuck")
        for number in signals:
            api.process.send(number)
            await asyncio.sleep(0.2)
        asked = time.monotonic() - 0.2
        ended = asyncio.create_task(asyncio.to_thread(api.process.wait, 60))
        await asyncio.wait([ended], timeout=held_s)
    code = await ended
    took = time.monotonic() - asked
    try:
        return await request, code, took
    except Lost:
        return None, code, took


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_finished(
    service: Service, postgres: Postgres, table: Table, number: signal.Signals
) -> None:
    with service.processes(1, SHUTDOWN_DRAIN_S="0.5") as (api,):
        work = signalled_while_stuck(api, service.key, postgres, [number], HELD_S)
        answer, code, took = asyncio.run(work)
    assert answer
    assert answer.status == 200
    assert answer.json["status"] == "inactive"
    assert code == 0
    assert took >= HELD_S
    table.add(
        "What is in flight is finished",
        f"{number.name} while a request waits {HELD_S} s for a locked row",
        "answered 200, exit code 0",
        "0 of 1",
    )


def test_what_never_ends_is_cut(service: Service, postgres: Postgres, table: Table) -> None:
    # production accepts no deadline that a shutdown does not wait for
    with service.processes(1, SHUTDOWN_FORCE_S="3", ENVIRONMENT="test") as (api,):
        work = signalled_while_stuck(api, service.key, postgres, [signal.SIGTERM], 30)
        answer, code, took = asyncio.run(work)
        assert answer is None
        assert code == 1
        assert 2.5 < took < 6, took
        assert [event["reason"] for event in api.events("shutdown_forced")] == ["time is up"]
    table.add(
        "A shutdown ends in time",
        "SIGTERM, SHUTDOWN_FORCE_S=3, a request stuck for 30 s",
        f"ended after {took:.1f} s, exit code 1, said in the log",
        "the stuck one",
    )


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal(
    service: Service, postgres: Postgres, table: Table, second: signal.Signals
) -> None:
    with service.processes(1) as (api,):
        signals = [signal.SIGTERM, second]
        answer, code, took = asyncio.run(
            signalled_while_stuck(api, service.key, postgres, signals, 30)
        )
    assert answer is None
    assert code == 1
    assert took < 5, took
    table.add(
        "A shutdown ends in time",
        f"SIGTERM, then {second.name}, a request stuck",
        "ended at once, exit code 1",
        "the stuck one",
    )


def test_idle_connections_hold_nothing_up(service: Service, table: Table) -> None:
    """SIGINT at a terminal: no balancer to wait for, whatever SHUTDOWN_DRAIN_S says."""

    async def interrupt(api: Api) -> float:
        opened = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(20)]
        asked = time.monotonic()
        api.process.send(signal.SIGINT)
        assert await asyncio.to_thread(api.process.wait, 10) == 0
        for _, writer in opened:
            writer.close()
        return time.monotonic() - asked

    with service.processes(1, SHUTDOWN_DRAIN_S="5") as (api,):
        took = asyncio.run(interrupt(api))
    assert took < 4, took
    table.add(
        "A shutdown ends in time", "SIGINT, 20 idle connections", f"{took:.2f} s, exit code 0", 0
    )


def test_readiness_ends_first(service: Service) -> None:
    """/readyz says 503 from the signal on, /livez 200 to the end, and requests are answered."""
    with service.processes(1, SHUTDOWN_DRAIN_S="2") as (api,):
        api.process.send(signal.SIGTERM)
        until(lambda: api.probe("/readyz")[0] == 503, "it is no longer ready", 1)
        assert "draining" in api.probe("/readyz")[1]
        assert api.probe("/livez")[0] == 200
        answer = asyncio.run(ask(api.port, service.key, get("/items?limit=1")))
        assert answer.status == 200
        assert answer.closes
        assert api.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_it_waits_for_a_database(
    service: Service, table: Table, number: signal.Signals
) -> None:
    nobody = f"postgresql://app:hidden@127.0.0.1:{free_port()}/app"
    api = service.start(DATABASE_URL=nobody)
    try:
        until(lambda: api.events("database_awaited"), "it waits for the database")
        assert api.probe("/livez")[0] == 200
        assert api.probe("/startupz")[0] == 503
        assert api.probe("/readyz")[0] == 503
        asked = time.monotonic()
        api.process.send(number)
        code, took = api.process.wait(10), time.monotonic() - asked
        assert code == 0
        assert took < 5, took
        assert "hidden" not in api.process.tail(100_000)
    finally:
        api.process.end()
    table.add(
        "A shutdown ends in time",
        f"{number.name} while it waits for a database that is not there",
        f"{took:.2f} s, exit code 0",
        0,
    )


def test_while_it_starts(service: Service, table: Table) -> None:
    """From the moment Python runs our first line; before that nobody can be asked."""
    delays, longest = (0, 0.3, 0.6, 1, 1.5, 2), 0.0
    for delay in delays:
        api = service.start()
        try:
            until(lambda: api.process.handles(signal.SIGTERM), "it heeds SIGTERM")  # noqa: B023
            time.sleep(delay)
            asked = time.monotonic()
            api.process.send(signal.SIGTERM)
            assert api.process.wait(10) == 0, api.process.tail()
            longest = max(longest, time.monotonic() - asked)
        finally:
            api.process.end()
    table.add(
        "A shutdown ends in time",
        f"SIGTERM while it starts, after {', '.join(f'{delay:g}' for delay in delays)} s",
        f"exit code 0 within {longest:.2f} s",
        0,
    )
