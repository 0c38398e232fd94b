"""The same for plain functions, in all threads."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from concurrent.futures import Future
from threading import get_ident

from app.local_cache.store import MISSING
from app.local_cache.store import Bounds
from app.local_cache.store import Store


class _Flight[V](Future[V]):
    """A load under way in some thread."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = get_ident()


class BlockingCache[K: Hashable, V]:
    """As LocalCache, but a thread that finds another one loading is blocked until it is done.

    So not on the event loop, where a load takes long. Two threads whose loads ask for each other's
    key wait for ever.
    """

    def __init__(self, name: str, bounds: Bounds) -> None:
        self._store: Store[K, V, _Flight[V]] = Store(name, bounds)

    def get(self, key: K, load: Callable[[], V]) -> V:
        """The value of a key; `load` is called when it is not here, once however many ask.

        What it raises reaches all of them, and is not kept. RecursionError when it asks for the
        key that it loads.
        """
        value = self._store.get(key)
        if value is not MISSING:
            return value
        mine = _Flight[V]()
        value, flight = self._store.join(key, lambda: mine)
        if value is not MISSING:
            return value
        assert flight, "there is one, or a value"
        if flight is mine:
            self._fly(key, mine, load)
        elif flight.thread == get_ident() and not flight.done():
            raise RecursionError(f"The load of {key!r} asks for itself.")
        return flight.result()

    def delete(self, *keys: K) -> None:
        """Forget these keys, after the source was changed."""
        for key in keys:
            self._store.delete(key)

    def clear(self) -> None:
        """Forget every key."""
        self._store.clear("invalidated")

    def _fly(self, key: K, flight: _Flight[V], load: Callable[[], V]) -> None:
        try:
            value = load()
        except Exception as error:
            self._store.abandon(key, flight)
            flight.set_exception(error)
        except BaseException:
            # it is this thread that ends, nobody else
            self._store.abandon(key, flight)
            flight.set_exception(RuntimeError("Who loaded this was ended."))
            raise
        else:
            try:
                self._store.land(key, flight, value)
            finally:
                self._store.abandon(key, flight)  # unless it has landed
                flight.set_result(value)
