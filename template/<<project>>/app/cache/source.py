"""Loading from where the truth is, and what goes on in the background meanwhile."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Coroutine
from contextlib import suppress
from time import perf_counter
from typing import Any

from prometheus_client import Counter
from prometheus_client import Histogram
from redis.exceptions import RedisError

LOADS = Histogram("cache_load_seconds", "Time to load what was not in the cache")
ERRORS = Counter("cache_errors", "Steps of filling the cache that Redis failed at")


class Source:
    """Measures loads, keeps their leases alive, and owns the tasks nobody waits for."""

    def __init__(self, lease_s: float) -> None:
        self._renew_s = lease_s / 3
        self._tasks: set[asyncio.Task[None]] = set()

    async def load[T](self, load: Callable[[], Awaitable[T]]) -> T:
        """Load and measure."""
        started = perf_counter()
        try:
            return await load()
        finally:
            LOADS.observe(perf_counter() - started)

    async def load_keeping[T](
        self, load: Callable[[], Awaitable[T]], keep: Callable[[], Awaitable[object]]
    ) -> T:
        """Load, and `keep` the lease for as long as that takes."""
        loop = get_running_loop()
        timer: asyncio.TimerHandle

        def renew() -> None:
            nonlocal timer
            self.spawn(self.quietly(keep()))
            timer = loop.call_later(self._renew_s, renew)

        timer = loop.call_later(self._renew_s, renew)
        try:
            return await self.load(load)
        finally:
            timer.cancel()

    async def quietly(self, step: Awaitable[object]) -> None:
        """A step Redis may fail at: then nothing is stored, or a lease runs out by itself."""
        try:
            await step
        except RedisError:
            ERRORS.inc()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this in the background."""
        task = get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what goes on in the background."""
        while self._tasks:
            # those which are cancelled may start others, to give back their leases
            tasks = [*self._tasks]
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
