"""Deleting what is cached, so that a deletion is never lost to an outage of Redis."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from random import uniform
from typing import Any

from prometheus_client import Gauge
from redis.exceptions import RedisError

from app.http.logs import log
from app.redis import RedisClient

PENDING = Gauge("cache_pending_invalidations", "Deletions that Redis has not confirmed yet")

MOST_PENDING = 10_000
SCAN_COUNT = 1000
RETRY_S = 1.0
LAST_TRY_S = 5.0  # at the end of the process, and at most half of the time that it has left


class Invalidation:
    """Deletes keys and patterns; what could not be sent is kept and sent when Redis is back.

    Until then `trusted` is False and the cache does not read: it might find what is deleted.
    """

    def __init__(
        self, redis: RedisClient, everything: str, seconds_left: Callable[[], float]
    ) -> None:
        self.trusted = True
        self._redis = redis
        self._everything = everything
        self._seconds_left = seconds_left
        self._names: set[str] = set()
        self._patterns: set[str] = set()
        self._unconfirmed: set[asyncio.Future[Any]] = set()
        self._replaying: asyncio.Task[None] | None = None

    async def delete(self, names: list[str]) -> None:
        """Delete these keys. Goes on when the caller is cancelled; never raises RedisError."""
        await self._confirmed(self._redis.execute("UNLINK", *names), names, ())

    async def delete_pattern(self, pattern: str) -> None:
        """Delete what matches this glob. Goes on when the caller is cancelled."""
        sweep = get_running_loop().create_task(self._sweep(pattern))
        await self._confirmed(sweep, (), (pattern,))

    async def close(self) -> None:
        """Send what is left if Redis comes back within LAST_TRY_S; otherwise say what is lost."""
        if self._unconfirmed:
            await asyncio.wait(self._unconfirmed)
        if self._replaying and not self._replaying.done():
            last_try_s = min(LAST_TRY_S, self._seconds_left() / 2)
            await asyncio.wait([self._replaying], timeout=last_try_s)
            self._replaying.cancel()
            await asyncio.wait([self._replaying])
        if not self.trusted:
            log.error("cache_invalidations_lost", count=len(self._names) + len(self._patterns))
            PENDING.set(0)

    async def _confirmed(
        self, reply: asyncio.Future[Any], names: Iterable[str], patterns: Iterable[str]
    ) -> None:
        def confirm(reply: asyncio.Future[Any]) -> None:
            self._unconfirmed.discard(reply)
            error = None if reply.cancelled() else reply.exception()
            if error or reply.cancelled():
                self._remember(names, patterns, error)

        if reply.done():
            return confirm(reply)
        # a callback, because the caller may be gone by then
        self._unconfirmed.add(reply)
        reply.add_done_callback(confirm)
        with suppress(RedisError):
            await asyncio.shield(reply)

    async def _sweep(self, pattern: str) -> None:
        """SCAN meets every key that is there from its beginning to its end; a lease is one, too."""
        cursor: int | bytes = 0
        while True:
            cursor, names = await self._redis.execute(
                "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT
            )
            if names:
                await self._redis.execute("UNLINK", *names)
            if int(cursor) == 0:
                return

    def _remember(
        self, names: Iterable[str], patterns: Iterable[str], error: BaseException | None
    ) -> None:
        if self.trusted:
            log.warning("cache_bypassed", error=str(error))
        self.trusted = False
        self._names.update(names)
        self._patterns.update(patterns)
        if len(self._names) + len(self._patterns) > MOST_PENDING:
            # more than we remember: then everything of this service
            self._names, self._patterns = set(), {self._everything}
        PENDING.set(len(self._names) + len(self._patterns))
        if self._replaying is None or self._replaying.done():
            self._replaying = get_running_loop().create_task(self._replay())

    async def _replay(self) -> None:
        while self._names or self._patterns:
            await self._redis.until_available()
            # taken out before they are sent: the same key may become pending again meanwhile
            names, self._names = self._names, set()
            patterns, self._patterns = self._patterns, set()
            try:
                if names:
                    await self._redis.execute("UNLINK", *names)
                for pattern in patterns:
                    await self._sweep(pattern)
            except BaseException as error:
                self._remember(names, patterns, error)
                if not isinstance(error, RedisError):
                    raise
                await asyncio.sleep(RETRY_S * uniform(0.5, 1))  # noqa: S311
        self.trusted = True
        PENDING.set(0)
        log.warning("cache_trusted")
