"""Whether Redis is there: after one failure nobody waits for it until it answers again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from contextvars import Context
from random import uniform
from time import monotonic

from prometheus_client import Gauge
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from app.http.logs import log
from app.redis.wire import AWAY

UNAVAILABLE = Gauge("redis_unavailable", "1 while Redis does not answer this process, else 0")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
EXPECTED = (*AWAY, ResponseError)  # of a probe, while Redis is away or is loading its data
STEADY_S = 5.0  # an outage so soon after the last one continues its pauses


class RedisUnavailable(RedisConnectionError):
    """Redis did not answer, or is known not to; it may have done what it was asked."""


def said(error: BaseException) -> str:
    """The kind and text of an error; redis-py's own repr leaves the text out."""
    return f"{type(error).__name__}: {error}"


class Outage:
    """A circuit breaker that tests the circuit itself, so that no request pays for the test."""

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        self.reason: str | None = None  # why commands are refused; None while Redis is there
        self._probe = probe
        self._over = asyncio.Event()
        self._over.set()
        self._pause_s = FIRST_PAUSE_S
        self._ended = -STEADY_S
        self._probing: asyncio.Task[None] | None = None

    def begin(self, error: BaseException) -> None:
        """Refuse commands from now on, and ask in the background until Redis answers."""
        if self.reason is not None:
            return
        self.reason = "Redis does not answer."
        self._over.clear()
        again = monotonic() - self._ended < STEADY_S
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S) if again else FIRST_PAUSE_S
        UNAVAILABLE.set(1)
        log.warning("redis_unavailable", error=said(error))
        # in no request's context: it is about all of them
        probing = self._until_back(monotonic())
        self._probing = asyncio.get_running_loop().create_task(probing, context=Context())

    async def _until_back(self, began: float) -> None:
        told = ""
        while True:
            await asyncio.sleep(self._pause_s * uniform(0.5, 1.0))  # noqa: S311
            try:
                await self._probe()
                break
            except Exception as error:
                # whatever it is: if nobody asked any more, the outage would never end
                if not isinstance(error, EXPECTED) and said(error) != told:
                    told = said(error)
                    log.error("redis_probe_failed", error=told, exc_info=True)
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self.reason = None
        self._ended = monotonic()
        UNAVAILABLE.set(0)
        log.warning("redis_available", seconds=round(self._ended - began, 3))
        self._over.set()

    async def over(self) -> None:
        """Returns when Redis is there, at once if it is."""
        await self._over.wait()

    async def close(self, reason: str) -> None:
        """Refuse everything for good."""
        self.reason = reason
        if self._probing:
            self._probing.cancel()
            await asyncio.wait([self._probing])
            UNAVAILABLE.set(0)
