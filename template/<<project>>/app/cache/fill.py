"""How a value gets into the cache: loaded once, however many ask, in this process and in others."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from random import uniform
from time import perf_counter

from redis.exceptions import RedisError

from app.cache.entry import STAMP
from app.cache.entry import is_entry
from app.cache.entry import is_lease
from app.cache.entry import value_of
from app.cache.lease import Leases
from app.cache.source import ERRORS
from app.cache.source import Source
from app.http.logs import log

FIRST_POLL_S = 0.005
LONGEST_POLL_S = 0.05

type Load = Callable[[], Awaitable[bytes | None]]


class Fill:
    """Single flight, in the process by a shared task and between processes by a lease."""

    def __init__(self, leases: Leases, source: Source, lease_s: float) -> None:
        self._leases = leases
        self._source = source
        self._patience_s = 2 * lease_s
        self._flights: dict[str, asyncio.Task[bytes | None]] = {}
        self._refreshing: set[str] = set()

    async def load(self, name: str, load: Load, ttl_s: float | None, store: bool) -> bytes | None:
        """The value from its source, shared with everybody who asks meanwhile.

        It is stored if `store`; else Redis is left alone. What `load` raises reaches everybody
        and is not cached. A caller that is cancelled stops neither the load nor the others.
        """
        flight = self._flights.get(name)
        if flight is None:
            work = self._fill(name, load, ttl_s) if store else self._source.load(load)
            flight = self._flights[name] = get_running_loop().create_task(work)
            flight.add_done_callback(lambda done: self._landed(name, done))
        return await asyncio.shield(flight)

    def refresh(self, name: str, load: Load, ttl_s: float | None, seen: bytes) -> None:
        """Load anew in the background what is `seen`, unless somebody does so already."""
        if name not in self._refreshing:
            self._refreshing.add(name)
            self._source.spawn(self._refresh(name, load, ttl_s, seen[STAMP]))

    def forget(self, names: Iterable[str]) -> None:
        """Who asks from now on gets a load that begins from now on."""
        for name in names:
            self._flights.pop(name, None)

    def forget_all(self) -> None:
        """The same for every key."""
        self._flights.clear()

    async def close(self) -> None:
        """Stop what still loads."""
        flights = [*self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, name: str, flight: asyncio.Task[bytes | None]) -> None:
        if self._flights.get(name) is flight:
            del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # looked at here, as everybody who asked may be gone

    async def _fill(self, name: str, load: Load, ttl_s: float | None) -> bytes | None:
        try:
            held, stamp = await self._take(name)
        except RedisError:
            ERRORS.inc()
            return await self._source.load(load)
        if held is not None and is_entry(held):
            return value_of(held)
        if held is not None and is_lease(held):
            # its holder takes longer than we wait
            return await self._source.load(load)
        return await self._load_and_store(name, load, ttl_s, stamp)

    async def _take(self, name: str) -> tuple[bytes | None, bytes]:
        """The lease, or the entry that another one stores while we wait for it."""
        give_up = perf_counter() + self._patience_s
        pause_s = FIRST_POLL_S
        while True:
            held, stamp = await self._leases.take(name)
            if held is None or not is_lease(held) or perf_counter() > give_up:
                return held, stamp
            await asyncio.sleep(uniform(0.5, 1) * pause_s)  # noqa: S311
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)

    async def _load_and_store(
        self, name: str, load: Load, ttl_s: float | None, stamp: bytes
    ) -> bytes | None:
        source = self._source
        started = perf_counter()
        try:
            value = await source.load_keeping(load, lambda: self._leases.keep(name, stamp))
        except BaseException:
            source.spawn(source.quietly(self._leases.give_back(name, stamp)))
            raise
        took_s = perf_counter() - started
        await source.quietly(self._leases.store(name, stamp, value, ttl_s, took_s))
        return value

    async def _refresh(self, name: str, load: Load, ttl_s: float | None, stamp: bytes) -> None:
        leases = self._leases
        try:
            if not await leases.take_refresh(name, stamp):
                return
            started = perf_counter()
            value = await self._source.load_keeping(load, lambda: leases.keep_refresh(name))
            await leases.store(name, stamp, value, ttl_s, perf_counter() - started)
            await leases.end_refresh(name)
        except Exception as error:
            # The entry is good until it expires. The refresh is not ended, so a source that fails
            # is asked again only after a while.
            log.warning("cache_refresh_failed", error=repr(error))
        finally:
            self._refreshing.discard(name)
