"""Jobs that concurrent requests enqueue leave together, in one INSERT."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from typing import NamedTuple

from app.database import Database
from app.queue.enqueue import ENQUEUE

# A batch has at most this many jobs, and this many batches are under way. The second lets others go
# on when one is slow; with more of them the batches would be smaller, and cost more a job.
MAX_BATCH = 100
IN_FLIGHT = 2


class NewJob(NamedTuple):
    """What is stored of a job. A batch is one statement, so every value is known to be storable."""

    kind: str
    payload: str
    priority: int
    delay_s: float
    max_attempts: int
    request_id: str | None


class Batches:
    """Enqueues jobs: those asked for in one turn of the event loop, or while others are under way,
    in one statement, which is committed or fails for all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[NewJob, asyncio.Future[int]]] = []
        self._scheduled = False
        self._sending: set[asyncio.Task[None]] = set()

    def enqueue(self, job: NewJob) -> asyncio.Future[int]:
        """The job's id, once it is committed.

        Raises Unavailable. A caller that is cancelled disturbs nobody; its job is enqueued all the
        same.
        """
        loop = get_running_loop()
        job_id: asyncio.Future[int] = loop.create_future()
        self._waiting.append((job, job_id))
        if not self._scheduled and len(self._sending) < IN_FLIGHT:
            self._scheduled = True
            loop.call_soon(self._flush)
        return job_id

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._waiting or self._sending:
            self._flush()
            await asyncio.wait(self._sending)

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._sending) < IN_FLIGHT:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            task = get_running_loop().create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._waiting and not self._scheduled:
            # in the next turn, so that those who were just answered can join
            self._scheduled = True
            get_running_loop().call_soon(self._flush)

    async def _send(self, batch: list[tuple[NewJob, asyncio.Future[int]]]) -> None:
        columns = zip(*(job for job, _ in batch), strict=True)
        try:
            rows = await self._database.fetch(
                ENQUEUE, **dict(zip(NewJob._fields, columns, strict=True))
            )
        except Exception as error:
            for _, job_id in batch:
                if not job_id.done():
                    job_id.set_exception(error)
        else:
            # the order of ids is the order of jobs; that of rows is the database's affair
            for (_, job_id), made in zip(batch, sorted(row[0] for row in rows), strict=True):
                if not job_id.done():
                    job_id.set_result(made)
