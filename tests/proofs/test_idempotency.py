"""What a client repeats with one key is done once, however often the processes are killed."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from contextlib import contextmanager
from itertools import count
from random import Random

import pytest

from .harness.load import Answer
from .harness.load import Connection
from .harness.load import Lost
from .harness.load import Refused
from .harness.load import Request
from .harness.load import Truncated
from .harness.load import send
from .harness.postgres import Postgres
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

PROCESSES, CLIENTS, KILLS, LEAST = 3, 12, 8, 200
BULK = 3


def made(number: int) -> Request:
    """What is asked for with the key of that number: an item, some items, or a job."""
    key = f'Idempotency-Key: "once-{number}"'
    item = {"name": f"once-{number}", "price": 1, "description": "x" * 200}
    if number % 3 == 0:
        return send("POST", "/items", item, key)
    if number % 3 == 1:
        return send("POST", "/items/bulk", {"items": [item] * BULK}, key)
    return send("POST", "/jobs", {"userId": number}, key)


class Run:
    """Clients who repeat each request until it is answered, while processes are killed."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.apis: list[Api] = []
        self.answers: dict[int, Answer] = {}
        self.seen: Counter[str] = Counter()
        self.over = False
        self._numbers = count()
        self._random = Random(11)

    async def client(self) -> None:
        """One client: a new key after each answer."""
        while not self.over:
            number = next(self._numbers)
            request = made(number)
            while number not in self.answers:
                await self._try(number, request)
            await asyncio.sleep(0.01)

    async def _try(self, number: int, request: Request) -> None:
        api = self._random.choice(self.apis)
        try:
            async with Connection(api.port, self.service.key) as one:
                answer = await one.ask(request)
        except (Refused, Lost, Truncated) as error:
            self.seen[type(error).__name__] += 1
            await asyncio.sleep(0.02)
            return
        if answer.status in (409, 503):
            self.seen[str(answer.status)] += 1
            await asyncio.sleep(0.05)
            return
        assert answer.status in (201, 202), (answer.status, answer.body)
        self.seen["replayed"] += "idempotent-replayed" in answer.headers
        self.answers[number] = answer

    async def killer(self) -> None:
        """Kill one process after the other while it works, and start another in its place."""
        try:
            for n in range(KILLS):
                await asyncio.sleep(0.3 + self._random.random() * 0.3)
                place = n % PROCESSES
                lost = self.seen["Lost"] + self.seen["Truncated"]
                await asyncio.to_thread(self.apis[place].process.end, signal.SIGKILL)
                await asyncio.sleep(0.05)
                self.seen["hits"] += self.seen["Lost"] + self.seen["Truncated"] > lost
                new = self.service.start("api")
                await asyncio.to_thread(new.wait_until_ready)
                self.apis[place] = new
        finally:
            self.over = True


@contextmanager
def running(run: Run) -> Iterator[None]:
    """The processes at first, and no process afterwards."""
    try:
        run.apis += [run.service.start("api") for _ in range(PROCESSES)]
        for api in run.apis:
            api.wait_until_ready()
        yield
    finally:
        for api in run.apis:
            api.process.end(signal.SIGKILL)


@pytest.fixture
def empty(service: Service, postgres: Postgres) -> Iterator[Service]:
    """The service without jobs and keys; what the proof makes goes again."""
    postgres.sql("TRUNCATE queue_jobs, idempotency_keys")
    yield service
    postgres.sql("TRUNCATE queue_jobs, idempotency_keys")
    postgres.sql("DELETE FROM items WHERE name LIKE 'once-%'")


def test_processes_are_killed(empty: Service, postgres: Postgres, table: Table) -> None:
    run = Run(empty)

    async def everybody() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run.killer())
            for _ in range(CLIENTS):
                tasks.create_task(run.client())

    with running(run):
        asyncio.run(everybody())
        # asked once more, everything is answered as before
        again = asyncio.run(_again(run))
    keys = len(run.answers)
    assert keys >= LEAST
    assert run.seen["hits"] >= KILLS // 2, f"kills that hit nothing prove nothing: {run.seen}"
    assert again == {number: run.answers[number].body for number in again}
    wrong = _not_once(postgres, keys)
    assert wrong == []
    table.add(
        "A request with an Idempotency-Key is done once",
        f"kill -9 of {PROCESSES} processes in turn under {CLIENTS} clients that repeat what was lost: "
        "items, bulks of items, jobs",
        f"{KILLS} kills, {keys} keys; {run.seen['Lost'] + run.seen['Truncated']} answers lost, "
        f"{run.seen['replayed']} of them found done",
        f"0 of {keys} missing, 0 done twice",
    )


async def _again(run: Run) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    async with Connection(run.apis[0].port, run.service.key) as one:
        for number in list(run.answers)[-100:]:
            answer = await one.ask(made(number))
            assert answer.headers["idempotent-replayed"] == "true"
            found[number] = answer.body
    return found


def _not_once(postgres: Postgres, keys: int) -> list[str]:
    """Numbers below `keys` with more or less than they should have made, and how much they did."""
    found = postgres.sql(
        f"""
        WITH item AS (SELECT name, count(*) AS made FROM items GROUP BY name),
            job AS (SELECT payload::text AS said, count(*) AS made FROM queue_jobs GROUP BY 1)
        SELECT n || ': ' || coalesce(item.made, 0) || ' items, ' || coalesce(job.made, 0) || ' jobs'
        FROM generate_series(0, {keys - 1}) n
        LEFT JOIN item ON item.name = 'once-' || n
        LEFT JOIN job ON job.said = '{{"user_id":' || n || '}}'
        WHERE coalesce(item.made, 0) <> (ARRAY[1, {BULK}, 0])[n % 3 + 1]
            OR coalesce(job.made, 0) <> (n % 3 = 2)::int
        """
    )
    return found.splitlines() if found else []


def test_fifty_at_once(empty: Service, postgres: Postgres, table: Table) -> None:
    rounds, clients = 10, 50

    async def at_once(apis: list[Api], request: Request) -> list[Answer]:
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(Connection(apis[n % len(apis)].port, empty.key))
                for n in range(clients)
            ]
            return await asyncio.gather(*(one.ask(request) for one in connections))

    statuses: Counter[int] = Counter()
    with empty.processes(PROCESSES) as apis:
        for n in range(rounds):
            answers = asyncio.run(at_once(apis, made(3 * n)))
            statuses.update(answer.status for answer in answers)
            assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert statuses.keys() <= {201, 409}
    assert postgres.sql("SELECT count(*) FROM items WHERE name LIKE 'once-%'") == str(rounds)
    table.add(
        "A request with an Idempotency-Key is done once",
        f"{clients} simultaneous clients of one key, {PROCESSES} processes",
        f"{rounds} times; {statuses[201]} answers 201, all the same, {statuses[409]} times 409",
        f"{rounds} items, 0 too many",
    )
