"""What the tests share: something to load from, a clock, and what was counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from prometheus_client import REGISTRY

from app.local_cache import Bounds
from app.local_cache import store

BOUNDS = Bounds(ttl_s=60, jitter=0, max_entries=100, max_bytes=100_000)


class Source:
    """Something to load from, that counts how often it is asked."""

    def __init__(self, value: object = b"value", takes_s: float = 0.0) -> None:
        self.value = value
        self.takes_s = takes_s
        self.loads = 0
        self.error: Exception | None = None
        self.asked = asyncio.Event()

    async def load(self) -> object:
        """The value as it is when the load begins."""
        self.loads += 1
        self.asked.set()
        found = self.value
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return found


class Unmeasurable:
    """A value that no cache can keep, as its size cannot be told."""

    def __sizeof__(self) -> int:
        raise TypeError("of no size")


class Clock:
    """The time as stores see it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still unless it is set."""
    made = Clock()
    monkeypatch.setattr(store, "monotonic", made)
    return made


_numbers = count()


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other test's cache has: what is counted stays."""
    yield f"test-{next(_numbers)}"


def counted(what: str, name: str, **labels: str) -> float:
    """The value of `local_cache_<what>` for the cache of this name."""
    value = REGISTRY.get_sample_value(f"local_cache_{what}", {"cache": name, **labels})
    assert value is not None, what
    return value


def evicted(name: str) -> dict[str, int]:
    """How many entries were given up, for each reason there was."""
    samples = (s for metric in REGISTRY.collect() for s in metric.samples)
    return {
        sample.labels["reason"]: int(sample.value)
        for sample in samples
        if sample.name == "local_cache_evictions_total" and sample.labels["cache"] == name
        if sample.value
    }
