"""The worker: takes jobs, does them side by side, and gives back what it cannot finish."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import nullcontext
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any
from typing import Self

from app.database import Database
from app.http.errors import Unavailable
from app.http.logs import log
from app.queue import metrics
from app.queue.attempt import Attempt
from app.queue.attempt import Outcome
from app.queue.kinds import Handler
from app.queue.leases import CRASHED
from app.queue.leases import Leases
from app.queue.settings import QueueSettings
from app.settings import SettingsError

OBSERVE_S = 10
PRUNE_S = 60


class Worker:
    """`async with Worker(...)`: works until the block ends.

    patience_s: how long the end waits for jobs to be finished, and again half as long for those
                that it then cancels and hands back
    around:     is around each attempt, its end included; see `Queue.attempting`
    """

    def __init__(
        self,
        database: Database,
        handlers: Iterable[Handler[Any]],
        settings: QueueSettings,
        patience_s: float,
        around: Callable[[Attempt], AbstractContextManager[None]] = lambda attempt: nullcontext(),
    ) -> None:
        self._around = around
        self._handlers = _by_kind(handlers)
        self._settings = settings
        self._patience_s = patience_s
        self._wake = asyncio.Event()
        self._leases = Leases(database, self._handlers, settings, self._wake.set)
        self._running: dict[int, Attempt] = {}
        self._hooks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def __aenter__(self) -> Self:
        metrics.RUNNING.set_function(lambda: len(self._running))
        metrics.begin(self._handlers)
        self._taking = asyncio.create_task(self._take())
        every = [
            (self._settings.poll_s, self._expire),
            (self._settings.lease_s / 3, self._renew),
            (OBSERVE_S, self._leases.observe),
            (PRUNE_S, self._leases.prune),
        ]
        self._tending = [asyncio.create_task(_repeat(*one)) for one in every]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._wake.set()
        await self._taking  # not cancelled: what it is just taking would stay taken
        await self._finish()
        for task in (*self._tending, *self._hooks):
            task.cancel()
        await asyncio.wait({*self._tending, *self._hooks})
        await self._leases.close()

    async def _take(self) -> None:
        """Take jobs as long as there are any and a place is free; then wait to be woken."""
        while not self._stopping:
            self._wake.clear()
            free = self._settings.concurrency - len(self._running)
            if free and not await _heard(partial(self._start, free)):
                await asyncio.sleep(self._settings.poll_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_s):
                    await self._wake.wait()

    async def _start(self, free: int) -> None:
        may_alone = not any(attempt.row["alone"] for attempt in self._running.values())
        for attempt in await self._leases.take(free, may_alone):
            self._running[attempt.row["id"]] = attempt
            attempt.task = asyncio.create_task(self._do(attempt))

    async def _do(self, attempt: Attempt) -> None:
        try:
            with self._around(attempt):
                await self._attempt(attempt)
        except Exception as error:  # ours: a handler's is part of the attempt
            log.error("worker_failed", **attempt.named, exc_info=error)
        finally:
            if self._running.get(attempt.row["id"]) is attempt:
                del self._running[attempt.row["id"]]
            self._wake.set()

    async def _attempt(self, attempt: Attempt) -> None:
        await attempt.run()
        if attempt.outcome in (Outcome.HANDED_BACK, Outcome.LOST):
            return
        if not await self._leases.settle(attempt):
            log.warning("job_lost", **attempt.named)  # somebody else has it by now
        elif attempt.outcome is not Outcome.DONE and attempt.last:
            await attempt.tell(attempt.error)
        elif attempt.outcome is not Outcome.DONE:
            metrics.RETRIES.labels(attempt.handler.kind.name).inc()

    async def _expire(self) -> None:
        more = True
        while more:
            ready, dead, more = await self._leases.expire()
            if ready:
                self._wake.set()
            for attempt in dead:
                task = asyncio.create_task(attempt.tell(CRASHED))
                self._hooks.add(task)
                task.add_done_callback(self._hooks.discard)

    async def _renew(self) -> None:
        held = list(self._running.values())
        if not held:
            return
        ours = await self._leases.renew([attempt.key for attempt in held])
        for attempt in held:
            if attempt.row["id"] not in ours and attempt.outcome is None:
                log.warning("job_lost", **attempt.named)
                attempt.cancel(Outcome.LOST)

    async def _finish(self) -> None:
        """Wait for what is running; then cancel it and hand it back.

        What has ended by then, and only has to say so, gets that time to be heard.
        """
        tasks = {a.task: a for a in self._running.values() if a.task}
        if not tasks:
            return
        _, unfinished = await asyncio.wait(tasks, timeout=self._patience_s)
        if not unfinished:
            return
        for task in unfinished:
            if tasks[task].outcome is None:
                tasks[task].cancel(Outcome.HANDED_BACK)
        ended, late = await asyncio.wait(unfinished, timeout=self._patience_s / 2)
        unheard = {task for task in late if tasks[task].outcome}
        for task in unheard:  # it holds the connection
            task.cancel()
        if unheard:
            self._leases.give_up()
        self._hooks |= unheard
        back = [a.key for t, a in tasks.items() if t in ended and a.outcome is Outcome.HANDED_BACK]
        with suppress(Unavailable):  # then their leases run out
            returned = await self._leases.hand_back(back)
            stuck = len(late) - len(unheard)
            log.info("jobs_handed_back", jobs=returned, stuck=stuck, unheard=len(unheard))


async def _repeat(every_s: float, do: Callable[[], Awaitable[object]]) -> None:
    while True:
        await _heard(do)
        await asyncio.sleep(every_s)


async def _heard(do: Callable[[], Awaitable[object]]) -> bool:
    """Whether it worked. What does not, such as tables that are not there yet, may do so later."""
    try:
        await do()
    except Unavailable:  # logged where it happened
        return False
    except Exception as error:
        log.error("worker_failed", exc_info=error)
        return False
    return True


def _by_kind(handlers: Iterable[Handler[Any]]) -> Mapping[str, Handler[Any]]:
    found: dict[str, Handler[Any]] = {}
    for handler in handlers:
        if handler.kind.name in found:
            raise SettingsError(f"The kind of job {handler.kind.name} has two handlers.")
        found[handler.kind.name] = handler
    return found
