"""Values that are loaded once and kept in the process for a while."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Hashable
from functools import partial
from types import TracebackType
from typing import Any
from typing import Self

from app.local_cache.settings import LocalCacheSettings
from app.local_cache.statistics import Reason
from app.local_cache.store import MISSING
from app.local_cache.store import Bounds
from app.local_cache.store import Store
from app.unit_of_work import again_when_committed

type Load[V] = Callable[[], Coroutine[Any, Any, V]]

# Who waits for which load, in all caches; a load that is among the first waits for another one.
_waits_for: dict[asyncio.Task[Any], asyncio.Task[Any]] = {}


class LocalCache[K: Hashable, V]:
    """Get or load, in one event loop. Values are shared by all who get them: do not change them.

    Whatever is loaded is kept, None and other empty values as well; what a load raises is not.
    """

    def __init__(self, name: str, bounds: Bounds) -> None:
        self._store: Store[K, V, asyncio.Task[V]] = Store(name, bounds)

    async def get(self, key: K, load: Load[V]) -> V:
        """The value of a key; `load` is awaited when it is not here, once however many ask.

        A caller that is cancelled stops neither the load nor the others. So a load may outlive
        the request that began it, and must not use what belongs to one request. RecursionError
        when a load waits for itself, also by way of others.
        """
        value = self._store.get(key)
        if value is not MISSING:
            return value
        _, flight = self._store.join(key, lambda: self._begin(key, load))
        assert flight, "nothing can have come meanwhile: one event loop"
        return await _end_of(flight)

    def delete(self, *keys: K) -> None:
        """Forget these keys, after the source was changed and that was committed.

        What a load finds that is under way goes to those who asked before, and is not kept.
        """
        again_when_committed(partial(self.delete, *keys))
        for key in keys:
            self._store.delete(key)

    def clear(self, reason: Reason = "invalidated") -> None:
        """The same for every key."""
        again_when_committed(partial(self.clear, reason))
        self._store.clear(reason)

    async def close(self) -> None:
        """Stop what still loads."""
        flights = self._store.clear("invalidated")
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _begin(self, key: K, load: Load[V]) -> asyncio.Task[V]:
        flight = get_running_loop().create_task(load())
        flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: K, flight: asyncio.Task[V]) -> None:
        try:
            # the exception is looked at here, as everybody who asked may be gone
            if not flight.cancelled() and flight.exception() is None:
                self._store.land(key, flight, flight.result())
        finally:
            self._store.abandon(key, flight)  # unless it has landed


async def _end_of[V](flight: asyncio.Task[V]) -> V:
    """What the flight brings; RecursionError when it waits, by way of others, for this task."""
    task = asyncio.current_task()
    assert task, "a coroutine runs in a task"
    last: asyncio.Task[Any] | None = flight
    while last:
        if last is task:
            raise RecursionError("A load waits for itself.")
        last = _waits_for.get(last)
    _waits_for[task] = flight
    try:
        return await asyncio.shield(flight)
    finally:
        del _waits_for[task]


class LocalCaches:
    """The service's named caches, each with the bounds of the settings unless it has its own."""

    def __init__(self, settings: LocalCacheSettings) -> None:
        self._bounds = settings.bounds
        self._caches: list[LocalCache[Any, Any]] = []

    async def __aenter__(self) -> Self:
        """Nothing is opened."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what still loads."""
        for cache in self._caches:
            await cache.close()

    def cache[K: Hashable, V](self, name: str, bounds: Bounds | None = None) -> LocalCache[K, V]:
        """A new cache, with its name in the metrics; made while the service is put together."""
        made: LocalCache[K, V] = LocalCache(name, bounds or self._bounds)
        self._caches.append(made)
        return made
