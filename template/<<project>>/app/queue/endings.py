"""Jobs that are done are forgotten together: those that end while others are said to have, in one
DELETE. One for each job would cost a round trip and a commit, in which nothing else is said."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Collection
from contextvars import Context

# Id and attempt of a job.
type Key = tuple[int, int]


class Endings:
    """Says that jobs are done.

    forget: forgets jobs, however long the database is away; those that were still ours
    """

    def __init__(self, forget: Callable[[Collection[Key]], Awaitable[set[Key]]]) -> None:
        self._forget = forget
        self._waiting: list[tuple[Key, asyncio.Future[bool]]] = []
        self._saying: asyncio.Task[None] | None = None
        self._given_up = False
        self._context = Context()  # of no job: what is said is of many

    async def done(self, key: Key) -> bool:
        """Say that a job is done, until it is heard; whether it was still ours."""
        if self._given_up:
            raise asyncio.CancelledError
        heard: asyncio.Future[bool] = get_running_loop().create_future()
        self._waiting.append((key, heard))
        if self._saying is None:
            self._saying = get_running_loop().create_task(self._say(), context=self._context)
        return await heard

    def give_up(self) -> None:
        """Say no more: who waits to be heard, now or later, is cancelled."""
        self._given_up = True
        for _, heard in self._waiting:
            heard.cancel()
        if self._saying:
            self._saying.cancel()

    async def _say(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._say_all(batch)
        finally:
            self._saying = None

    async def _say_all(self, batch: list[tuple[Key, asyncio.Future[bool]]]) -> None:
        try:
            ours = await self._forget([key for key, _ in batch])
        except Exception as error:
            for _, heard in batch:
                if not heard.done():
                    heard.set_exception(error)
        except BaseException:
            for _, heard in batch:
                heard.cancel()
            raise
        else:
            for key, heard in batch:
                if not heard.done():  # who waited may be cancelled by now
                    heard.set_result(key in ours)
