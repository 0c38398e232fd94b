"""A store holds what its bounds allow, and no byte more."""

import gc
import os
import tracemalloc
from dataclasses import replace
from threading import Thread

import pytest

from app.local_cache import Bounds
from app.local_cache.sizes import size_of
from app.local_cache.store import MISSING
from app.local_cache.store import Store
from tests.local_cache.conftest import BOUNDS
from tests.local_cache.conftest import Clock
from tests.local_cache.conftest import counted
from tests.local_cache.conftest import evicted

type Bytes = Store[str, bytes | None, object]


def put(store: Bytes, key: str, value: bytes | None) -> None:
    """Load a value and store it."""
    load = object()
    assert store.join(key, lambda: load) == (MISSING, load)
    store.land(key, load, value)


def test_of_too_many_the_least_recently_used_goes(name: str) -> None:
    store: Bytes = Store(name, replace(BOUNDS, max_entries=3))
    for key in "abc":
        put(store, key, key.encode())
    assert store.get("a") == b"a"
    put(store, "d", b"d")
    assert [store.get(key) for key in "abcd"] == [b"a", MISSING, b"c", b"d"]
    assert evicted(name) == {"count": 1}


def test_the_bytes_are_bounded(name: str) -> None:
    store: Bytes = Store(name, replace(BOUNDS, max_bytes=10_000))
    for n in range(200):
        put(store, f"key:{n}", os.urandom(n * 10))
        assert store.bytes <= 10_000
        assert counted("bytes", name) == store.bytes
    assert evicted(name).keys() == {"bytes"}
    assert store.get("key:199") is not MISSING
    for n in range(200):
        store.delete(f"key:{n}")
    assert (store.entries, store.bytes) == (0, 0)


def test_what_is_larger_than_the_bound_is_not_kept_and_displaces_nothing(name: str) -> None:
    store: Bytes = Store(name, replace(BOUNDS, max_bytes=10_000))
    put(store, "small", b"small")
    put(store, "large", bytes(10_000))
    assert store.get("large") is MISSING
    assert store.get("small") == b"small"
    assert evicted(name) == {"too_large": 1}


@pytest.mark.parametrize(("entries", "size"), [(1_000, 10), (10_000, 100), (3_000, 2_000)])
def test_bytes_are_what_the_process_takes(name: str, entries: int, size: int) -> None:
    store: Bytes = Store(name, replace(BOUNDS, max_entries=entries, max_bytes=10**9))
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(entries):
            put(store, f"key:{n}", os.urandom(size))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.bytes == pytest.approx(after - before, rel=0.2)


class Plain:
    """An object as any."""

    def __init__(self, value: object) -> None:
        self.value = value


def test_the_size_of_a_value_is_all_of_it() -> None:
    text = "x" * 1_000
    for value in ([text], {"key": (text,)}, Plain([text]), {text}):
        assert 1_000 < size_of(value, 10**6) < 2_000
    assert size_of([text, [text], Plain(text)], 10**6) < 3_000, "what is shared counts once"
    endless: list[object] = [text]
    endless.append(endless)
    assert size_of(endless, 10**6) < 2_000


def test_counting_stops_beyond_the_bound() -> None:
    assert 10_000 < size_of([bytes(1_000) for _ in range(10_000)], 10_000) < 100_000


def test_a_life_ends_and_is_counted(name: str, clock: Clock) -> None:
    store: Bytes = Store(name, replace(BOUNDS, ttl_s=10))
    put(store, "key", None)
    clock.now += 9.9
    assert store.get("key") is None
    clock.now += 0.1
    assert store.get("key") is MISSING
    assert evicted(name) == {"expired": 1}
    assert (store.entries, store.bytes) == (0, 0)


def test_a_use_does_not_lengthen_a_life(name: str, clock: Clock) -> None:
    store: Bytes = Store(name, replace(BOUNDS, ttl_s=10))
    put(store, "key", b"value")
    for _ in range(9):
        clock.now += 1
        assert store.get("key") == b"value"
    clock.now += 1
    assert store.get("key") is MISSING


def test_lives_differ_by_the_jitter_and_never_exceed_the_ttl(name: str, clock: Clock) -> None:
    store: Bytes = Store(name, Bounds(ttl_s=10, jitter=0.2, max_entries=1000, max_bytes=10**6))
    for n in range(500):
        put(store, f"{n}", b"")
    begun, alive = clock.now, {}
    for seconds in (7.9, 9, 10):
        clock.now = begun + seconds
        alive[seconds] = sum(store.get(f"{n}") is not MISSING for n in range(500))
    assert (alive[7.9], alive[10]) == (500, 0)
    assert 150 < alive[9] < 350, "about half in the middle of the jitter"


def test_what_has_expired_makes_room_under_that_name(name: str, clock: Clock) -> None:
    store: Bytes = Store(name, replace(BOUNDS, max_entries=1))
    put(store, "old", b"")
    clock.now += 60
    put(store, "new", b"")
    assert evicted(name) == {"expired": 1}


def test_what_was_deleted_while_it_was_loaded_is_not_stored(name: str) -> None:
    store: Bytes = Store(name, BOUNDS)
    before, after = object(), object()
    store.join("key", lambda: before)
    store.delete("key")
    assert store.join("key", lambda: after) == (MISSING, after)
    store.land("key", before, b"old")
    assert store.get("key") is MISSING
    store.land("key", after, b"new")
    assert store.get("key") == b"new"


def test_what_was_cleared_while_it_was_loaded_is_not_stored(name: str) -> None:
    store: Bytes = Store(name, BOUNDS)
    put(store, "other", b"other")
    load = object()
    store.join("key", lambda: load)
    assert store.clear("disconnected") == [load]
    store.land("key", load, b"old")
    assert [store.get("key"), store.get("other")] == [MISSING, MISSING]
    assert evicted(name) == {"disconnected": 1}
    assert counted("entries", name) == counted("bytes", name) == 0


def test_many_threads_do_not_confuse_it(name: str) -> None:
    store: Bytes = Store(name, replace(BOUNDS, max_entries=20, max_bytes=10_000))

    def use() -> None:
        for n in range(3_000):
            key = f"{n % 50}"
            if store.get(key) is MISSING:
                value, load = store.join(key, object)
                if value is MISSING:
                    store.land(key, load, bytes(n % 300))
            if n % 7 == 0:
                store.delete(key)

    threads = [Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted("hits_total", name) + counted("misses_total", name) == 24_000
    assert store.entries <= 20
    assert store.bytes <= 10_000
    for n in range(50):
        store.delete(f"{n}")
    assert (store.entries, store.bytes) == (0, 0)
