"""The jobs that a worker holds, as the database knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from datetime import timedelta
from secrets import token_hex
from typing import Any

import asyncpg

from app.database import Database
from app.database import Statement
from app.http.errors import Unavailable
from app.queue import metrics
from app.queue.attempt import Attempt
from app.queue.attempt import Outcome
from app.queue.connection import OwnConnection
from app.queue.endings import Endings
from app.queue.endings import Key
from app.queue.kinds import Handler
from app.queue.lifecycle import EXPIRE
from app.queue.lifecycle import FAIL
from app.queue.lifecycle import FORGET
from app.queue.lifecycle import HAND_BACK
from app.queue.lifecycle import KEEP
from app.queue.lifecycle import PRUNE
from app.queue.lifecycle import RENEW
from app.queue.lifecycle import TAKE
from app.queue.settings import QueueSettings

CRASHED = "The worker died, or said nothing for too long."
# How much of what is late one statement looks after.
MOST = 1000
RETRY_S = 0.5


class Leases:
    """Takes jobs, keeps them, and says what became of them, all on a connection of its own."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler[Any]],
        settings: QueueSettings,
        heard: Callable[[], None],
    ) -> None:
        self._handlers = handlers
        self._settings = settings
        self._worker = token_hex(8)
        self._lease = timedelta(seconds=settings.lease_s)
        self._connection = OwnConnection(database, heard, settings.lease_s / 3)
        self._endings = Endings(self._forget)

    async def take(self, free: int, may_alone: bool) -> list[Attempt]:
        """The next jobs, at most `free`; one that runs alone only if `may_alone`."""
        rows = await self._connection.fetch(
            TAKE,
            kinds=list(self._handlers),
            may_alone=may_alone,
            free=free,
            worker=self._worker,
            lease=self._lease,
        )
        return [Attempt(dict(row), self._handlers[row["kind"]]) for row in rows]

    async def renew(self, held: Collection[Key]) -> set[int]:
        """Keep these for another lease; the ids of those that are still ours."""
        rows = await self._connection.fetch(RENEW, lease=self._lease, **self._all(held))
        return {row["id"] for row in rows}

    async def hand_back(self, held: Collection[Key]) -> int:
        """Give these back unfinished; how many were still ours."""
        return len(await self._connection.fetch(HAND_BACK, **self._all(held)))

    async def settle(self, attempt: Attempt) -> bool:
        """Say how an attempt ended, until it is heard; whether the job was still ours."""
        job_id, number = attempt.key
        owned = {"job": job_id, "attempt": number, "owner": self._worker}
        if attempt.outcome is not Outcome.DONE:
            becomes = "failed" if attempt.last else "delayed"
            delay = timedelta(seconds=0 if attempt.last else attempt.delay_s)
            failed = {"becomes": becomes, "delay": delay, "said": attempt.error}
            return bool(await self._until_heard(FAIL, **failed, **owned))
        if attempt.row["keyed"]:
            delay = timedelta(seconds=self._settings.key_ttl_s)
            return bool(await self._until_heard(KEEP, delay=delay, **owned))
        return await self._endings.done(attempt.key)

    def give_up(self) -> None:
        """Say of no job any more that it is done, but hold on to the connection."""
        self._endings.give_up()

    async def expire(self) -> tuple[int, list[Attempt], bool]:
        """Look after what is late: how many jobs are ready now, those that failed for good, and
        whether there may be more."""
        rows = await self._connection.fetch(EXPIRE, lease=self._lease, most=MOST, error=CRASHED)
        for row in rows:
            if row["was"] == "running":
                known = row["kind"] in self._handlers
                metrics.CRASHES.labels(row["kind"] if known else "other").inc()
        dead = [row for row in rows if row["state"] == "failed" and row["kind"] in self._handlers]
        attempts = [Attempt(dict(row), self._handlers[row["kind"]]) for row in dead]
        return sum(row["state"] == "ready" for row in rows), attempts, len(rows) == MOST

    async def prune(self) -> int:
        """Forget all jobs whose time is over; how many."""
        forgotten, more = 0, True
        while more:
            rows = await self._connection.fetch(PRUNE, most=MOST)
            forgotten += len(rows)
            more = len(rows) == MOST
        return forgotten

    async def observe(self) -> None:
        """Count the jobs for the metrics."""
        counted = await self._connection.fetch(metrics.COUNT, most=metrics.MOST)
        age = await self._connection.fetch(metrics.AGE)
        metrics.show(counted, age[0]["age"], self._handlers)

    async def close(self) -> None:
        """Give the connection back."""
        await self._connection.close()

    def _all(self, held: Collection[Key]) -> dict[str, Any]:
        ids, attempts = zip(*held, strict=True) if held else ((), ())
        return {"ids": list(ids), "attempts": list(attempts), "worker": self._worker}

    async def _forget(self, done: Collection[Key]) -> set[Key]:
        rows = await self._until_heard(FORGET, **self._all(done))
        return {(row["id"], row["attempt"]) for row in rows}

    async def _until_heard(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """While the database is away a job that is done must not be done again."""
        while True:
            try:
                return await self._connection.fetch(statement, **values)
            except Unavailable:
                await asyncio.sleep(RETRY_S)
