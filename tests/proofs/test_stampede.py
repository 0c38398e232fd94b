"""However many ask for what nobody has cached, PostgreSQL is asked once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from .harness.load import Answer
from .harness.load import Connection
from .harness.load import get
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.redis import Redis
from .harness.service import Api
from .harness.service import Service
from .harness.service import user_loads
from .harness.table import Table

CLIENTS, PROCESSES = 1_000, 4
# On a machine that is busy with other things as well, 250 requests at once stall a process for longer
# than the half second after which it takes Redis for gone, and loads by itself.
PATIENT = {"REDIS_TIMEOUT_S": "10"}


async def all_at_once(apis: list[Api], key: str, user: int, count: int = CLIENTS) -> list[Answer]:
    """The answers to requests that leave together, over connections that are open already."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(Connection(apis[n % len(apis)].port, key))
            for n in range(count)
        ]
        return await asyncio.gather(*(one.ask(get(f"/users/{user}")) for one in connections))


def assert_right(answers: list[Answer], user: int) -> None:
    wrong = [a for a in answers if a.status != 200 or a.json["email"] != f"user{user}@example.com"]
    assert not wrong, wrong[:3]


def test_cold_reads_of_one_user(service: Service, postgres: Postgres, table: Table) -> None:
    rounds = 5
    with service.processes(PROCESSES, **PATIENT) as apis:
        for user in range(1, rounds + 1):
            before, seen = postgres.reads_of_users(), user_loads(apis)
            assert_right(asyncio.run(all_at_once(apis, service.key, user)), user)
            assert postgres.reads_of_users() - before == 1
            assert user_loads(apis) - seen == 1
    table.add(
        "A cold key is loaded once",
        f"{CLIENTS:,} concurrent reads of one user over {PROCESSES} processes",
        f"{rounds} users: 1 read in PostgreSQL each",
        f"0 of {rounds * CLIENTS:,}",
    )


@pytest.mark.slow
@pytest.mark.parametrize("held_s", [1.0, 5.0])
def test_slow_load(service: Service, postgres: Postgres, table: Table, held_s: float) -> None:
    """A load that takes longer than the lease (3 s) is still the only one."""

    async def reads_while_locked() -> list[Answer]:
        with postgres.locked("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"):
            reads = asyncio.create_task(all_at_once(apis, service.key, 7))
            await asyncio.sleep(held_s)
            assert postgres.waiting() == 1
        return await reads

    with service.processes(PROCESSES, **PATIENT) as apis:
        before = postgres.reads_of_users()
        assert_right(asyncio.run(reads_while_locked()), 7)
        assert postgres.reads_of_users() - before == 1
    table.add(
        "A cold key is loaded once",
        f"the same while the load takes {held_s:g} s (the lease: 3 s)",
        "1 read in PostgreSQL",
        f"0 of {CLIENTS:,}",
    )


def test_without_redis(service: Service, postgres: Postgres, redis: Redis, table: Table) -> None:
    """Nobody tells the processes of each other then; within each one it is still one load."""

    async def reads_while_locked() -> list[Answer]:
        with postgres.locked("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"):
            reads = asyncio.create_task(all_at_once(apis, service.key, 8))
            await asyncio.to_thread(until, all_wait, "all requests have come in")
        return await reads

    def all_wait() -> bool:
        return sum(api.metric("http_requests_in_progress") for api in apis) == CLIENTS

    with service.processes(PROCESSES) as apis:
        redis.kill()
        try:
            before = postgres.reads_of_users()
            assert_right(asyncio.run(reads_while_locked()), 8)
            assert postgres.reads_of_users() - before == PROCESSES
        finally:
            redis.start()
    table.add(
        "A cold key is loaded once",
        f"{CLIENTS:,} concurrent reads over {PROCESSES} processes, Redis killed before",
        f"{PROCESSES} reads in PostgreSQL, one a process",
        f"0 of {CLIENTS:,}",
    )


def test_the_loading_process_is_killed(service: Service, postgres: Postgres, table: Table) -> None:
    """kill -9 of the one who loads: the others wait for its lease (3 s), then one of them loads."""

    async def reads_and_a_kill() -> list[Answer]:
        with postgres.locked("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"):
            first = asyncio.create_task(all_at_once(apis[:1], service.key, 9, 10))
            await asyncio.to_thread(until, lambda: postgres.waiting() == 1, "the first one loads")
            rest = asyncio.create_task(all_at_once(apis[1:], service.key, 9, 300))
            await asyncio.sleep(0.5)
            apis[0].process.end()
            await asyncio.gather(first, return_exceptions=True)
        return await rest

    with service.processes(PROCESSES, **PATIENT) as apis:
        assert_right(asyncio.run(reads_and_a_kill()), 9)
        loads = user_loads(apis[1:])
        assert loads == 1
    table.add(
        "A cold key is loaded once",
        "kill -9 of the process that loads, 300 others waiting on 3 processes",
        f"{loads} more read",
        "0 of 300",
    )
