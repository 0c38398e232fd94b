"""Values in memory: so many, so many bytes, for so long; the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from enum import auto
from random import uniform
from threading import Lock
from time import monotonic
from typing import Final
from typing import Literal

from app.local_cache.sizes import size_of
from app.local_cache.statistics import Reason
from app.local_cache.statistics import statistics_of

# What an entry takes beside key and value, as tracemalloc counts it: its places, expiry and size.
OVERHEAD = 200


class Missing(Enum):
    """Says that there is no value, where None is one."""

    MISSING = auto()


MISSING: Final = Missing.MISSING


@dataclass(frozen=True)
class Bounds:
    """What one store holds at most, and for how long, in seconds.

    A life is up to the share `jitter` shorter, so that what was stored together does not expire
    together.
    """

    ttl_s: float
    jitter: float
    max_entries: int
    max_bytes: int


class Store[K: Hashable, V, F]:
    """The values of one named cache, and the loads (F) under way for others. Thread-safe.

    A load is registered before it begins; only while it is still registered may its value be
    stored. `delete` ends the registration, so a value that was read before an invalidation is
    not stored after it.
    """

    def __init__(self, name: str, bounds: Bounds) -> None:
        self._bounds = bounds
        self._entries: OrderedDict[K, tuple[V, float, int]] = OrderedDict()
        self._loads: dict[K, F] = {}
        self._lock = Lock()
        self._counted = statistics_of(name)
        self._counted.stores.add(self)
        self.bytes = 0  # of all entries

    @property
    def entries(self) -> int:
        """How many there are; some may have expired since."""
        return len(self._entries)

    def get(self, key: K) -> V | Literal[Missing.MISSING]:
        """The value, or MISSING."""
        with self._lock:
            value = self._find(key)
            if value is MISSING:
                self._counted.misses += 1
            else:
                self._counted.hits += 1
            return value

    def pass_by(self) -> None:
        """Count a read that may not be answered from here."""
        with self._lock:
            self._counted.misses += 1

    def join(self, key: K, begin: Callable[[], F]) -> tuple[V | Literal[Missing.MISSING], F | None]:
        """The load of a key, begun now if there is none; or the value, if it came meanwhile."""
        with self._lock:
            load = self._loads.get(key)
            if load is None:
                value = self._find(key)
                if value is not MISSING:
                    return value, None
                load = self._loads[key] = begin()
            return MISSING, load

    def land(self, key: K, load: F, value: V) -> None:
        """Store what a load has brought, unless the key was deleted since it began."""
        most = self._bounds.max_bytes
        size = size_of(key, most) + size_of(value, most) + OVERHEAD
        with self._lock:
            if self._loads.get(key) is not load:
                return
            del self._loads[key]
            if size > most:
                self._counted.evictions["too_large"] += 1
                return
            lives_s = self._bounds.ttl_s * uniform(1 - self._bounds.jitter, 1)  # noqa: S311
            self._entries[key] = (value, monotonic() + lives_s, size)
            self.bytes += size
            self._make_room()

    def abandon(self, key: K, load: F) -> None:
        """The load has failed: the next one who asks begins another."""
        with self._lock:
            if self._loads.get(key) is load:
                del self._loads[key]

    def delete(self, key: K) -> None:
        """Forget the value; who asks from now on gets a load that begins from now on."""
        with self._lock:
            self._loads.pop(key, None)
            if key in self._entries:
                self._remove(key, "invalidated")

    def clear(self, reason: Reason) -> list[F]:
        """The same for every key; the loads that were under way."""
        with self._lock:
            loads = [*self._loads.values()]
            self._loads.clear()
            self._counted.evictions[reason] += len(self._entries)
            self._entries.clear()
            self.bytes = 0
            return loads

    def _find(self, key: K) -> V | Literal[Missing.MISSING]:
        entry = self._entries.get(key)
        if entry is None:
            return MISSING
        if entry[1] <= monotonic():
            self._remove(key, "expired")
            return MISSING
        self._entries.move_to_end(key)
        return entry[0]

    def _make_room(self) -> None:
        bounds = self._bounds
        while self.bytes > bounds.max_bytes or len(self._entries) > bounds.max_entries:
            key, (_, expires, _) = next(iter(self._entries.items()))
            if expires <= monotonic():
                self._remove(key, "expired")
            else:
                self._remove(key, "bytes" if self.bytes > bounds.max_bytes else "count")

    def _remove(self, key: K, reason: Reason) -> None:
        self.bytes -= self._entries.pop(key)[2]
        self._counted.evictions[reason] += 1
