"""A queue, workers in a hurry, and somebody who looks at the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

import asyncpg
import msgspec
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from app.database import Database
from app.database import DatabaseSettings
from app.queue import Handler
from app.queue import Job
from app.queue import Kind
from app.queue import Queue
from app.queue import QueueSettings
from app.queue.worker import Worker

SHORT = {"poll_s": 0.05, "lease_s": 0.6}


class Work(msgspec.Struct, frozen=True):
    """What there is to do."""

    n: int
    text: str = ""


WORK = Kind("work", Work)


class Handled:
    """A handler that remembers: attempts begun and ended, and what failed for good."""

    def __init__(self, kind: Kind[Work] = WORK) -> None:
        self.kind = kind
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.now = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.raises: BaseException | None = None

    def handler(self) -> Handler[Work]:
        """It, as a pattern would give it."""
        return Handler(kind=self.kind, run=self._run, failed=self._failed)

    async def _run(self, job: Job[Work]) -> None:
        self.begun.append(job.payload.n)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
            if self.raises:
                raise self.raises
            self.ended.append(job.payload.n)
        finally:
            self.now -= 1

    async def _failed(self, job: Job[Work], error: str) -> None:
        self.failed.append((job.payload.n, error))


class Table:
    """Somebody else's connection to the table of jobs."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def rows(self) -> list[asyncpg.Record]:
        """All jobs, the oldest first."""
        return await self.connection.fetch("SELECT * FROM queue_jobs ORDER BY id")

    async def row(self) -> asyncpg.Record:
        """The only job."""
        [row] = await self.rows()
        return row

    async def states(self) -> list[str]:
        """The states of all jobs."""
        return [row["state"] for row in await self.rows()]

    async def change(self, assignment: str) -> None:
        """Change every job."""
        await self.connection.execute(f"UPDATE queue_jobs SET {assignment}")

    async def becomes(self, *states: str) -> None:
        """Wait until the jobs have these states."""
        await until(lambda: self._are(list(states)), f"{states}")

    async def _are(self, states: list[str]) -> bool:
        return await self.states() == states


def queries(statement: str) -> float:
    """How often a statement was run."""
    name = "database_query_duration_seconds_count"
    return REGISTRY.get_sample_value(name, {"statement": statement}) or 0


async def until(true: Callable[[], Any], what: str, within_s: float = 10) -> None:
    """Wait until `true()`, which may be asynchronous, holds."""
    deadline = monotonic() + within_s
    while True:
        found = true()
        if await found if isinstance(found, Awaitable) else found:
            return
        assert monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.01)


type StartWorker = Callable[..., Awaitable[Worker]]


@pytest.fixture
async def table(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[Table]:
    """The table of jobs."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    yield Table(connection)
    await connection.close()


def database_settings(url: str, **changed: Any) -> DatabaseSettings:
    """Settings of a small pool."""
    pool = {"pool_min": 1, "pool_max": 5, "start_timeout_s": 5}
    return DatabaseSettings(**{"url": SecretStr(url), **pool, **changed})


@pytest.fixture
async def database(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[Database]:
    """The database with a small pool."""
    async with Database(database_settings(servers["DATABASE_URL"])) as database:
        yield database


@pytest.fixture
async def queue(database: Database) -> AsyncIterator[Queue]:
    """The queue."""
    async with Queue(database) as queue:
        yield queue


@pytest.fixture
async def start(database: Database) -> AsyncIterator[StartWorker]:
    """Starts a worker with these handlers and settings; all of them end with the test."""
    async with AsyncExitStack() as stack:

        async def start_worker(
            *handled: Handled, patience_s: float = 0.2, on: Database = database, **settings: Any
        ) -> Worker:
            chosen = QueueSettings(**{**SHORT, **settings})
            handlers = [one.handler() for one in handled]
            worker = Worker(on, handlers, chosen, patience_s)
            return await stack.enter_async_context(worker)

        yield start_worker


@pytest.fixture
def handled(anyio_backend: str) -> Handled:
    """The handler of WORK."""
    return Handled()
