"""What is counted of each cache. Plain numbers, read by Prometheus only when it asks: counting a
hit must not cost more than the hit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from typing import Protocol
from typing import get_args
from weakref import WeakSet

from prometheus_client import REGISTRY
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Reason = Literal["count", "bytes", "too_large", "expired", "invalidated", "disconnected"]


class Measured(Protocol):
    """What a store tells of itself."""

    @property
    def entries(self) -> int:
        """How many it holds."""

    @property
    def bytes(self) -> int:
        """How large they are."""


class Statistics:
    """The counts of one name, and the stores that have it."""

    __slots__ = ("evictions", "hits", "misses", "stores")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.evictions = dict.fromkeys(get_args(Reason), 0)
        self.stores: WeakSet[Measured] = WeakSet()


_BY_NAME: dict[str, Statistics] = {}


def statistics_of(name: str) -> Statistics:
    """The statistics under this name, the value of the label `cache`; the same one every time."""
    return _BY_NAME.setdefault(name, Statistics())


class _Exposition(Collector):
    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        hits = CounterMetricFamily("local_cache_hits", "Reads answered from memory", labels=_LABEL)
        misses = CounterMetricFamily("local_cache_misses", "Reads that were not", labels=_LABEL)
        evictions = CounterMetricFamily(
            "local_cache_evictions",
            "Entries given up, by reason: one of the bounds (count, bytes), too large to be kept "
            "at all, expired, invalidated, disconnected (from who tells of invalidations)",
            labels=[*_LABEL, "reason"],
        )
        entries = GaugeMetricFamily("local_cache_entries", "Entries held", labels=_LABEL)
        size = GaugeMetricFamily("local_cache_bytes", "Bytes held, estimated", labels=_LABEL)
        for name, counted in [*_BY_NAME.items()]:
            stores = [*counted.stores]
            hits.add_metric([name], counted.hits)
            misses.add_metric([name], counted.misses)
            for reason, count in counted.evictions.items():
                evictions.add_metric([name, reason], count)
            entries.add_metric([name], sum(store.entries for store in stores))
            size.add_metric([name], sum(store.bytes for store in stores))
        yield from (hits, misses, evictions, entries, size)


_LABEL = ["cache"]
REGISTRY.register(_Exposition())
