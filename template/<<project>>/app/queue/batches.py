"""Jobs that concurrent requests enqueue leave together, in one INSERT."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable
from contextvars import Context
from typing import Any
from typing import NamedTuple

from app.database import Database
from app.http.errors import Unavailable
from app.queue.enqueue import ENQUEUE

# A batch has at most this many jobs, and so many leave at a time: with more, they would be smaller,
# and cost more a job. One that is slow does not count, so that others never wait for it.
MAX_BATCH = 100
IN_FLIGHT = 2
SLOW_S = 0.05


class NewJob(NamedTuple):
    """What is stored of a job. A batch is one statement, so every value is known to be storable."""

    kind: str
    payload: str
    priority: int
    delay_s: float
    max_attempts: int
    request_id: str | None
    context: str | None


type _Asked = tuple[NewJob, asyncio.Future[int]]


class Batches:
    """Enqueues jobs: those asked for in one turn of the event loop, or while others are under way,
    leave in one statement.

    stored: called when jobs have been committed
    """

    def __init__(self, database: Database, stored: Callable[[], None]) -> None:
        self._database = database
        self._stored = stored
        self._waiting: list[_Asked] = []
        self._scheduled = False
        self._sending: set[asyncio.Task[None]] = set()
        self._recent: set[asyncio.Task[None]] = set()
        self._context = Context()  # of no request: a batch is of many

    def enqueue(self, job: NewJob) -> asyncio.Future[int]:
        """The job's id, once it is committed.

        Raises Unavailable. A caller that is cancelled before its job has left has none; later it
        may have.
        """
        job_id: asyncio.Future[int] = get_running_loop().create_future()
        self._waiting.append((job, job_id))
        self._schedule()
        return job_id

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._waiting or self._sending:
            self._flush()
            if self._sending:
                await asyncio.wait(self._sending, timeout=SLOW_S)

    def _schedule(self) -> None:
        # in the next turn, so that others can join
        if self._waiting and not self._scheduled and len(self._recent) < IN_FLIGHT:
            self._scheduled = True
            get_running_loop().call_soon(self._flush, context=self._context)

    def _flush(self) -> None:
        self._scheduled = False
        self._waiting = [asked for asked in self._waiting if not asked[1].done()]
        loop = get_running_loop()
        while self._waiting and len(self._recent) < IN_FLIGHT:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            task = loop.create_task(self._send(batch), context=self._context)
            self._sending.add(task)
            self._recent.add(task)
            loop.call_later(SLOW_S, self._let_others_go, task, context=self._context)
            task.add_done_callback(self._sending.discard, context=self._context)
            task.add_done_callback(self._let_others_go, context=self._context)

    def _let_others_go(self, task: asyncio.Task[None]) -> None:
        self._recent.discard(task)
        self._schedule()

    async def _send(self, batch: list[_Asked]) -> None:
        """Store the jobs and tell their callers; each caller has an exception of its own."""
        columns = zip(*(job for job, _ in batch), strict=True)
        try:
            rows = await self._database.fetch(
                ENQUEUE, **dict(zip(NewJob._fields, columns, strict=True))
            )
        except Unavailable as error:
            _fail(batch, Unavailable, str(error), error.retry_after)
        except Exception as error:
            if len(batch) == 1:
                if not batch[0][1].done():
                    batch[0][1].set_exception(error)
                return
            # nothing is stored, and whose fault it is the others need not know
            for asked in batch:
                if not asked[1].done():
                    await self._send([asked])
        except BaseException:
            for _, job_id in batch:
                job_id.cancel()
            raise
        else:
            self._stored()
            _tell(batch, sorted(row[0] for row in rows))


def _tell(batch: list[_Asked], ids: list[int]) -> None:
    """Give each caller the id of its job: ids are in the order of jobs, which rows need not be."""
    if len(ids) != len(batch):
        _fail(batch, RuntimeError, "Something keeps jobs out of their table; a trigger?")
        return
    for (_, job_id), made in zip(batch, ids, strict=True):
        if not job_id.done():
            job_id.set_result(made)


def _fail(batch: list[_Asked], kind: type[Exception], *words: Any) -> None:
    for _, job_id in batch:
        if not job_id.done():
            job_id.set_exception(kind(*words))
