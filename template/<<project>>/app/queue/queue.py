"""What puts jobs into the queue, from whichever process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any
from typing import Self

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.http.errors import Unavailable
from app.http.logs import request_id
from app.queue.attempt import Attempt
from app.queue.batches import Batches
from app.queue.batches import NewJob
from app.queue.enqueue import CHANNEL
from app.queue.enqueue import ENQUEUE
from app.queue.enqueue import ENQUEUE_ONCE
from app.queue.enqueue import INSERT
from app.queue.enqueue import INSERT_ONCE
from app.queue.enqueue import NOTIFY
from app.queue.kinds import Kind
from app.unit_of_work import present

# NOTIFY takes a lock that makes the commits of all who use it wait for each other, so it is no part
# of the transaction; and once is enough for all that were enqueued in this time.
ANNOUNCE_EVERY_S = 0.01
# What a column of the table holds.
PRIORITIES = range(-(2**15), 2**15)
LONGEST_DELAY_S = 10 * 366 * 86_400


class KeyTaken(Exception):
    """The idempotency key belongs to a job of that kind with another payload."""


class Queue:
    """Puts jobs into the table. A worker takes them out, at once if one is idle.

    A job is in the queue when the transaction that enqueued it is committed, and only then.

    enqueuing:  is around each `enqueue`; what it yields, ASCII without NUL, is stored with the job
    attempting: is around each attempt, whose `row["context"]` is that
    """

    def __init__(self, database: Database) -> None:
        self.enqueuing: Callable[[Kind[Any]], AbstractContextManager[str | None]]
        self.enqueuing = lambda kind: nullcontext()
        self.attempting: Callable[[Attempt], AbstractContextManager[None]]
        self.attempting = lambda attempt: nullcontext()
        self._database = database
        self._batches = Batches(database, self.announce)
        self._announcing: asyncio.Task[None] | None = None
        self._more = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._batches.close()
        if self._announcing:
            self._announcing.cancel()
            await asyncio.wait({self._announcing})
        if self._more:
            await self._notify()

    async def enqueue[P](
        self,
        kind: Kind[P],
        payload: P,
        *,
        session: AsyncSession | None = None,
        key: str | None = None,
        delay_s: float = 0,
        priority: int = 0,
    ) -> int:
        """Enqueue a job; its id. Unavailable when it cannot be said whether it is enqueued.

        session:  enqueue in its transaction, and only if that is committed; without one in the
                  `transaction` block of this task, else at once
        key:      of this kind only one job has it, until QUEUE_KEY_TTL_S after it is done; later
                  ones get its id, or KeyTaken when their payload is another one
        delay_s:  before which it is not done, at most ten years
        priority: higher is sooner, from -32768 to 32767; of equals the older

        ValueError for what cannot be stored.
        """
        if priority not in PRIORITIES or not 0 <= delay_s <= LONGEST_DELAY_S:
            raise ValueError(f"{kind.name}: no job has priority {priority} or delay {delay_s} s.")
        encoded = kind.encode(payload)
        kind.enqueued.inc()
        with self.enqueuing(kind) as context:
            job = NewJob(
                kind.name, encoded, priority, delay_s, kind.attempts, request_id.get(), context
            )
            return await self._store(job, key, session)

    async def _store(self, job: NewJob, key: str | None, session: AsyncSession | None) -> int:
        if key is not None:
            return await self._once({**_values(job), "key": key}, session)
        if session:
            made: int = (await session.execute(INSERT, _values(job))).scalar_one()
            self._announce_at_commit(session)
            return made
        if present():
            return await self._join(job)
        return await self._batches.enqueue(job)

    def announce(self) -> None:
        """Let the workers know of jobs that are committed now. Returns at once."""
        self._more = True
        if self._announcing is None or self._announcing.done():
            self._announcing = asyncio.create_task(self._announce())

    async def _join(self, job: NewJob) -> int:
        """Enqueue as a part of the transaction that this task is in."""
        columns = {name: [value] for name, value in zip(NewJob._fields, job, strict=True)}
        [row] = await self._database.fetch(ENQUEUE, **columns)
        announce = self._when_committed()
        announce()
        made: int = row[0]
        return made

    async def _once(self, values: dict[str, Any], session: AsyncSession | None) -> int:
        for _ in range(2):
            rows: Any
            if session:
                rows = (await session.execute(INSERT_ONCE, values)).all()
            else:
                rows = await self._database.fetch(ENQUEUE_ONCE, **values)
            if rows:
                break
            # somebody else has just committed that key; what begins now sees it
        else:
            raise Unavailable("The job of this key has just ended.")
        job_id, same = rows[0]
        if not same:
            raise KeyTaken(values["key"])
        if session:
            self._announce_at_commit(session)
        else:
            announce = self._when_committed()
            announce()
        found: int = job_id
        return found

    def _announce_at_commit(self, session: AsyncSession) -> None:
        if "queue" not in session.info:
            session.info["queue"] = True
            announce = self._when_committed()
            event.listen(session.sync_session, "after_commit", lambda _: announce())

    def _when_committed(self) -> Callable[[], None]:
        """What announces: later, if this task is in a transaction that is not committed yet."""
        if unit := present():
            return partial(unit.after_commit, self.announce)
        return self.announce

    async def _announce(self) -> None:
        while self._more:
            self._more = False
            try:
                await self._notify()
            except asyncio.CancelledError:
                self._more = True  # it may not have been said
                raise
            await asyncio.sleep(ANNOUNCE_EVERY_S)

    async def _notify(self) -> None:
        with suppress(Unavailable):  # workers look for themselves, a little later
            await self._database.fetch(NOTIFY, channel=CHANNEL, said="")


def _values(job: NewJob) -> dict[str, Any]:
    """The job as the statements for one of them take it."""
    return {
        "kind": job.kind,
        "payload": job.payload,
        "priority": job.priority,
        "state": "delayed" if job.delay_s > 0 else "ready",
        "delay": timedelta(seconds=job.delay_s),
        "max_attempts": job.max_attempts,
        "request_id": job.request_id,
        "context": job.context,
    }
