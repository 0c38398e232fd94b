"""Without Redis the service is slower; a process never shows what it has changed as it was before."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random

import pytest

from .harness.load import Load
from .harness.load import Request
from .harness.load import Tally
from .harness.load import ask
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.redis import Redis
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

USERS = 200
OUTAGE_S = 3.0


def mixed(random: Random) -> Request:
    """Cached reads mostly, with changes that invalidate."""
    dice, user = random.random(), random.randint(1, USERS)
    if dice < 0.90:
        return get(f"/users/{user}")
    if dice < 0.96:
        # not made inactive: whose sessions cannot be ended is told so, by a 503
        return send("PATCH", f"/users/{user}", {"name": random.choice(["Ada", "Bo"])})
    item = {"name": "an item", "price": 1, "description": "made while Redis is away"}
    return send("POST", "/items", item)


@pytest.mark.parametrize(
    "outage", [Redis.killed, pytest.param(Redis.frozen, marks=pytest.mark.slow)]
)
def test_under_load(
    service: Service,
    postgres: Postgres,
    redis: Redis,
    table: Table,
    outage: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    async def two_outages(apis: list[Api]) -> Tally:
        async with Load([api.port for api in apis], service.key, mixed) as load:
            for _ in range(2):
                await asyncio.sleep(1.5)
                with outage(redis):
                    await asyncio.sleep(OUTAGE_S)
            await asyncio.sleep(3)
        return load.tally

    with service.processes(2) as apis:
        tally = asyncio.run(two_outages(apis))
        assert tally.failed == 0, str(tally)
        assert all(api.events("redis_unavailable") for api in apis), "nobody noticed the outage"
        assert asyncio.run(loads_of_second_pass(apis, service.key, postgres)) == 0
    table.add(
        "Redis away: slower, never an error",
        f"Redis {outage.__name__} for {OUTAGE_S:g} s under 32 clients, 2 processes; hits after it",
        f"2 times, slowest answer {tally.slowest_s:.2f} s",
        f"0 of {tally.total:,}",
    )


async def loads_of_second_pass(apis: list[Api], key: str, postgres: Postgres) -> int:
    """Read every user twice; how many of the second reads did not come from the cache."""
    for user in range(1, USERS + 1):
        await ask(apis[user % 2].port, key, get(f"/users/{user}"))
    before = postgres.reads_of_users()
    for user in range(1, USERS + 1):
        assert (await ask(apis[1 - user % 2].port, key, get(f"/users/{user}"))).status == 200
    return postgres.reads_of_users() - before


def test_change_during_an_outage(
    service: Service, postgres: Postgres, redis: Redis, table: Table
) -> None:
    """Redis comes back with the old value in it. Who took the change never shows that value."""

    async def name_at(api: Api) -> str:
        answer = await ask(api.port, service.key, get("/users/1"))
        assert answer.status == 200, answer
        return str(answer.json["name"])

    async def change(number: int) -> tuple[int, int]:
        new = f"Changed {number}"
        await name_at(taker), await name_at(other)  # cached now
        with redis.frozen():
            if number % 2:  # the outage is known, so that the deletion is not even sent
                await name_at(taker)
            changed = await ask(taker.port, service.key, send("PATCH", "/users/1", {"name": new}))
            assert changed.status == 200
            names = [await name_at(taker) for _ in range(20)]
        stale_elsewhere = 0
        for _ in range(100):
            names.append(await name_at(taker))
            stale_elsewhere += await name_at(other) != new
            await asyncio.sleep(0.01)
        assert await name_at(other) == new
        return sum(name != new for name in names), stale_elsewhere

    rounds = 4
    with service.processes(2) as (taker, other):
        found = [asyncio.run(change(number)) for number in range(rounds)]
        assert [stale for stale, _ in found] == [0] * rounds
        assert taker.metric("cache_pending_invalidations") == 0
        until(lambda: taker.metric("redis_unavailable") == 0, "Redis is used again")
    table.add(
        "A change during an outage of Redis is not forgotten",
        "PATCH while Redis is frozen with the old value in it; read on during and after",
        f"{rounds} changes",
        f"0 stale of {rounds * 120:,} where it was made; elsewhere "
        f"{sum(stale for _, stale in found)} of {rounds * 100:,}, before the deletion came",
    )


def test_an_end_during_an_outage(service: Service, redis: Redis, table: Table) -> None:
    """Who took a change is asked to end while Redis is away, and tries for some seconds more."""
    change = send("PATCH", "/users/1", {"name": "Changed at the end"})

    async def take(api: Api) -> None:
        await ask(api.port, service.key, get("/users/1"))  # so that the outage is known
        assert (await ask(api.port, service.key, change)).status == 200
        api.process.send(signal.SIGTERM)

    with (
        service.processes(1) as (taker,),
        service.processes(1, SHUTDOWN_FORCE_S="4", BACKPRESSURE_DEADLINE_S="3") as (other,),
    ):
        asyncio.run(ask(other.port, service.key, get("/users/1")))  # cached now
        with redis.frozen():
            asyncio.run(take(taker))
            time.sleep(2)
        assert taker.process.wait(10) == 0
        assert not taker.events("cache_invalidations_lost")
        answer = asyncio.run(ask(other.port, service.key, get("/users/1")))
        assert answer.json["name"] == "Changed at the end"
        with redis.frozen():
            asyncio.run(take(other))
            assert other.process.wait(10) == 0, "in time, and not by force"
        assert [line["count"] for line in other.events("cache_invalidations_lost")] == [1]
    table.add(
        "A change during an outage of Redis is not forgotten",
        "PATCH and SIGTERM while Redis is frozen; it is back after 2 s, or not before the end",
        2,
        "0 stale elsewhere after 2 s; without Redis the loss is logged, exit code 0",
    )


def test_start_without_redis(service: Service, redis: Redis, table: Table) -> None:
    with redis.killed(), service.processes(1) as (api,):
        answers = [asyncio.run(ask(api.port, service.key, get("/users/1"))) for _ in range(20)]
        assert {answer.status for answer in answers} == {200}
    table.add("Redis away: slower, never an error", "started without Redis", 1, "0 of 20")
