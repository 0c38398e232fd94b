"""Profiles of this process: one at a time, for a while, and ended when the process is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from contextlib import asynccontextmanager
from contextlib import suppress
from typing import Any
from typing import Self

from app.http.logs import log
from app.profiling.cpu import CpuProfile
from app.profiling.cpu import Sampler
from app.profiling.memory import MemoryGrowth


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

    async def cpu(self, seconds: float) -> CpuProfile:
        """Where the time goes for so many seconds. Raises AnotherRuns."""
        async with self._alone("cpu"):
            with Sampler() as profile:
                await self._wait(seconds)
        return profile

    async def memory(self, seconds: float) -> dict[str, Any]:
        """What grows within so many seconds. Raises AnotherRuns."""
        async with self._alone("memory"):
            growth = MemoryGrowth()
            try:
                await asyncio.to_thread(growth.begin)
                await self._wait(seconds)
                return await asyncio.to_thread(growth.end)
            finally:
                growth.stop()

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    @asynccontextmanager
    async def _alone(self, kind: str) -> AsyncIterator[None]:
        if self._one.locked():
            raise AnotherRuns
        async with self._one:
            log.warning("profile_begins", kind=kind)
            yield
            log.warning("profile_ends", kind=kind)
