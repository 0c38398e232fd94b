"""Profiles of this process: one at a time, for a while, and ended when the process is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextlib import asynccontextmanager
from contextlib import suppress
from typing import Any
from typing import Self

from app.http.logs import log
from app.profiling.cpu import CpuProfile
from app.profiling.cpu import Sampler
from app.profiling.memory import MemoryGrowth

LOOK_S = 0.5  # between two looks whether the client is still there

# Tells whether nobody waits for the profile any more.
type Gone = Callable[[], Awaitable[bool]]


class AnotherRuns(Exception):
    """There is a profile under way."""


class Profiles(AbstractAsyncContextManager["Profiles"]):
    """Makes them. Found by `service.get`."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Nothing is opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """A profile under way ends now, with what it has."""
        self._closing.set()
        async with self._one:
            pass

    async def cpu(self, seconds: float, gone: Gone) -> CpuProfile:
        """Where the time goes for so many seconds. Raises AnotherRuns."""
        async with self._alone("cpu"):
            with Sampler() as profile:
                await self._wait(seconds, gone)
        return profile

    async def memory(self, seconds: float, gone: Gone) -> dict[str, Any]:
        """What grows within so many seconds. Raises AnotherRuns."""
        async with self._alone("memory"):
            growth = MemoryGrowth()
            try:
                await asyncio.to_thread(growth.begin)
                await self._wait(seconds, gone)
                return await asyncio.to_thread(growth.end)
            finally:
                growth.stop()

    async def _wait(self, seconds: float, gone: Gone) -> None:
        """Until the time is up, the process is to end, or nobody waits for the profile."""
        left_s = seconds
        while left_s > 0 and not self._closing.is_set() and not await gone():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), min(left_s, LOOK_S))
            left_s -= LOOK_S

    @asynccontextmanager
    async def _alone(self, kind: str) -> AsyncIterator[None]:
        if self._one.locked():
            raise AnotherRuns
        async with self._one:
            log.warning("profile_begins", kind=kind)
            yield
            log.warning("profile_ends", kind=kind)
