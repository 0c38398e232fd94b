"""No window holds more than the limit, over all processes and with Redis away."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import AsyncExitStack

import pytest

from .harness.load import Answer
from .harness.load import Connection
from .harness.load import Load
from .harness.load import ask
from .harness.load import get
from .harness.processes import until
from .harness.redis import Redis
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

PROCESSES, CLIENTS, LIMIT = 3, 50, 99
TIMES = 4  # that each client asks
USER = get("/users/1")
WRONG = "pk_" + "A" * 43
# A busy machine is not to be taken for a Redis that is away.
PATIENT = {"REDIS_TIMEOUT_S": "10", "RATE_LIMIT_REPLICAS": str(PROCESSES)}
LIMITED = {**PATIENT, "RATE_LIMIT_TIERS": f"standard:{LIMIT}"}


async def at_once(apis: list[Api], key: str) -> list[Answer]:
    """50 clients for each process, all at the same time, each some requests one after another."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(Connection(api.port, key))
            for api in apis
            for _ in range(CLIENTS)
        ]

        async def client(one: Connection) -> list[Answer]:
            return [await one.ask(USER) for _ in range(TIMES)]

        answers = await asyncio.gather(*map(client, connections))
    return [answer for some in answers for answer in some]


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def test_simultaneous_clients(service: Service, redis: Redis, table: Table) -> None:
    rounds, asked = 5, PROCESSES * CLIENTS * TIMES
    with service.processes(PROCESSES, **LIMITED) as apis:
        for _ in range(rounds):
            redis.call("FLUSHALL")
            answers = asyncio.run(at_once(apis, service.key))
            assert statuses(answers) == {200: LIMIT, 429: asked - LIMIT}
            left = [int(a.headers["ratelimit"].split(";")[1][2:]) for a in answers]
            assert Counter(left) == {**dict.fromkeys(range(1, LIMIT), 1), 0: asked - LIMIT + 1}
            assert all(0 < int(a.headers["retry-after"]) <= 900 for a in answers if a.status == 429)
    table.add(
        "Exactly the limit is admitted",
        f"{PROCESSES} processes x {CLIENTS} simultaneous clients of one key, limit {LIMIT}",
        f"{rounds} times {asked} requests: {LIMIT} admitted",
        "0 too many, 0 too few",
    )


def test_every_window_of_a_recorded_run(service: Service, table: Table) -> None:
    window_s, run_s = 2, 9
    admitted: list[tuple[float, float]] = []  # between these moments it was

    async def client(api: Api, ends: float) -> None:
        async with Connection(api.port, service.key) as one:
            while (sent := time.monotonic()) < ends:
                answer = await one.ask(USER)
                if answer.status == 200:
                    admitted.append((sent, time.monotonic()))
                else:
                    assert answer.status == 429
                    await asyncio.sleep(0.05)

    async def run() -> None:
        ends = time.monotonic() + run_s
        await asyncio.gather(*(client(api, ends) for api in apis for _ in range(CLIENTS)))

    with service.processes(PROCESSES, **LIMITED, RATE_LIMIT_WINDOW_S=str(window_s)) as apis:
        asyncio.run(run())
    most = max(
        sum(sent >= ends - window_s and received <= ends for sent, received in admitted)
        for _, ends in admitted
    )
    assert most <= LIMIT
    assert len(admitted) >= LIMIT * (run_s // window_s), "hardly anybody asked: this proves nothing"
    table.add(
        "No window holds more than the limit",
        f"{PROCESSES} processes x {CLIENTS} clients for {run_s} s, {LIMIT} requests in {window_s} s",
        f"{len(admitted)} windows",
        f"at most {most} in any of them",
    )


def test_retry_after_is_true(service: Service, redis: Redis, table: Table) -> None:
    async def waits(first: Api, second: Api) -> None:
        redis.call("FLUSHALL")
        assert (await ask(first.port, service.key, USER)).status == 200
        refused = await ask(second.port, service.key, USER)
        assert refused.status == 429
        await asyncio.sleep(int(refused.headers["retry-after"]))
        assert (await ask(first.port, service.key, USER)).status == 200

    rounds = 4
    one = {**PATIENT, "RATE_LIMIT_TIERS": "standard:1", "RATE_LIMIT_WINDOW_S": "1"}
    with service.processes(2, **one) as apis:
        for number in range(rounds):
            asyncio.run(waits(apis[number % 2], apis[1 - number % 2]))
    table.add(
        "Retry-After is true",
        "refused by one process, waited, asked the other",
        f"{rounds} times",
        "0 refused again",
    )


def test_guessing_keys(service: Service, redis: Redis, table: Table) -> None:
    asked = PROCESSES * CLIENTS * TIMES
    limits = {**PATIENT, "RATE_LIMIT_ANONYMOUS": str(LIMIT)}
    with service.processes(PROCESSES, **limits) as apis:
        answers = asyncio.run(at_once(apis, WRONG))
        assert statuses(answers) == {401: LIMIT, 429: asked - LIMIT}
        assert asyncio.run(ask(apis[0].port, service.key, USER)).status == 200
    table.add(
        "Who guesses keys is limited by address",
        f"a wrong key from {PROCESSES * CLIENTS} clients at one address, limit {LIMIT}",
        f"{asked} requests: {LIMIT} x 401, {asked - LIMIT} x 429",
        "a right key from there: 200",
    )


@pytest.mark.parametrize(
    "outage", [Redis.killed, pytest.param(Redis.frozen, marks=pytest.mark.slow)]
)
def test_redis_away(
    service: Service,
    redis: Redis,
    table: Table,
    outage: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    """Shared, then each process its third, then shared again."""

    async def across_an_outage() -> tuple[Load, list[Answer]]:
        async with Load(
            [api.port for api in apis], service.key, lambda _: USER, pause=0.02
        ) as load:
            await asyncio.sleep(1)
            with outage(redis):
                await asyncio.sleep(1.5)
                during = await at_once(apis, service.key)
            await asyncio.to_thread(until, redis_is_used, "Redis decides again")
        return load, during

    def redis_is_used() -> bool:
        return all(api.metric("redis_unavailable") == 0 for api in apis)

    def decided(by: str) -> float:
        return sum(api.metric("rate_limit_decisions_total", by=by) for api in apis)

    with service.processes(PROCESSES, **{**LIMITED, "REDIS_TIMEOUT_S": "0.5"}) as apis:
        load, during = asyncio.run(across_an_outage())
        outcomes = load.tally.outcomes + Counter(str(answer.status) for answer in during)
        assert set(outcomes) == {"200", "429"}, str(load.tally)
        assert decided("process") > LIMIT, "Redis was not missed: this proves nothing"
        redis.call("FLUSHALL")
        before = decided("process")
        after = asyncio.run(at_once(apis, service.key))
        assert statuses(after)[200] == LIMIT
        assert decided("process") == before
    forgotten = outage is Redis.killed
    assert 2 * LIMIT <= outcomes["200"] <= (3 if forgotten else 2) * LIMIT
    table.add(
        "Redis away: each process admits its share",
        f"Redis {outage.__name__} under load, {PROCESSES} processes, limit {LIMIT}",
        f"{outcomes['200']} admitted: {LIMIT} before, {PROCESSES} x {LIMIT // PROCESSES} during"
        + (f", {LIMIT} by the Redis that has forgotten" if forgotten else ""),
        f"0 x 5xx of {outcomes.total():,}; the limit again afterwards",
    )
