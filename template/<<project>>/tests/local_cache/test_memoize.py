"""Functions that remember, sync and async."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from threading import Event
from time import sleep

import pytest

from app.local_cache import memoize
from tests.local_cache.conftest import Clock
from tests.local_cache.conftest import counted
from tests.local_cache.conftest import evicted


@pytest.mark.parametrize("value", [None, 0, "", 5])
def test_a_result_is_remembered_whatever_it_is(name: str, value: object) -> None:
    calls = []

    @memoize(name)
    def function(n: int) -> object:
        """What it does."""
        calls.append(n)
        return value

    assert [function(1), function(1), function(2)] == [value] * 3
    assert calls == [1, 2]
    assert (counted("hits_total", name), counted("misses_total", name)) == (1, 2)
    assert function.__doc__ == "What it does."
    assert function.__wrapped__(3) == value


@pytest.mark.anyio
@pytest.mark.parametrize("value", [None, 0, "", 5])
async def test_a_coroutine_s_result_is_remembered(name: str, value: object) -> None:
    calls = []

    @memoize(name)
    async def function(n: int) -> object:
        calls.append(n)
        await asyncio.sleep(0.01)
        return value

    assert [*await asyncio.gather(function(1), function(1), function(2))] == [value] * 3
    assert await function(1) == value
    assert sorted(calls) == [1, 2]


def test_one_call_however_it_is_spelled(name: str) -> None:
    calls = []

    @memoize(name)
    def function(a: object, b: int = 2, *, c: int = 3) -> None:
        calls.append((a, b, c))

    function(1)
    function(1, 2)
    function(a=1)
    function(b=2, a=1, c=3)
    assert calls == [(1, 2, 3)]
    function.delete(a=1)
    function(1, c=3)
    assert calls == [(1, 2, 3)] * 2
    function(1, c=4)
    function(1, 3)
    function(True)
    function(1.0)
    assert len(calls) == 6


def test_arguments_of_any_number(name: str) -> None:
    @memoize(name)
    def function(*args: int, **kwargs: int) -> object:
        return args, kwargs

    for args, kwargs in (((), {}), ((1, 2), {}), ((1,), {"b": 2}), ((), {"a": 1, "b": 2})):
        assert [function(*args, **kwargs) for _ in range(2)] == [(args, kwargs)] * 2
    assert function(b=2, a=1) is function(a=1, b=2)
    with pytest.raises(TypeError):
        function([])  # type: ignore[arg-type]


def test_an_error_is_not_remembered(name: str) -> None:
    calls = []

    @memoize(name)
    def function() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("no")
        return len(calls)

    with pytest.raises(ValueError, match="no"):
        function()
    assert [function(), function()] == [2, 2]


def test_it_is_bounded_and_forgets_with_time(name: str, clock: Clock) -> None:
    @memoize(name, ttl_s=10, jitter=0, max_entries=2, max_bytes=5_000)
    def function(n: int) -> bytes:
        return bytes(n)

    for n in (1, 2, 3, 5_000):
        function(n)
    clock.now += 10
    function(3)
    assert evicted(name) == {"count": 1, "too_large": 1, "expired": 1}
    function.clear()
    assert counted("entries", name) == 0


def test_threads_share_one_call(name: str) -> None:
    calls = []
    together = Barrier(16)

    @memoize(name)
    def function(n: int) -> int:
        calls.append(n)
        sleep(0.05)
        return n * n

    def call(n: int) -> int:
        together.wait()
        return function(n)

    with ThreadPoolExecutor(16) as pool:
        for n in range(5):
            assert [*pool.map(call, [n] * 16)] == [n * n] * 16
    assert calls == [*range(5)]


def test_threads_share_an_error(name: str) -> None:
    calls = []
    together = Barrier(8)

    @memoize(name)
    def function() -> None:
        calls.append(1)
        sleep(0.05)
        raise ValueError("no")

    def call(_: int) -> str:
        together.wait()
        with pytest.raises(ValueError, match="no"):
            function()
        return "raised"

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(call, range(8))] == ["raised"] * 8
    assert len(calls) == 1


def test_what_is_computed_while_it_is_deleted_is_not_remembered(name: str) -> None:
    begun, go_on = Event(), Event()
    value = "old"

    @memoize(name)
    def function() -> str:
        found = value
        begun.set()
        go_on.wait(5)
        return found

    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(function)
        begun.wait(5)
        value = "new"
        function.delete()
        go_on.set()
        assert function() == "new"
        assert before.result() == "old"
    assert function() == "new"


def test_recursion_works_and_one_without_end_is_an_error(name: str) -> None:
    @memoize(name)
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(50) == 12_586_269_025

    @memoize(f"{name}-endless")
    def endless() -> int:
        return endless() + 1

    with pytest.raises(RecursionError):
        endless()


def test_who_is_interrupted_ends_alone(name: str) -> None:
    begun = Event()

    @memoize(name)
    def function() -> int:
        if not begun.is_set():
            begun.set()
            sleep(0.05)
            raise KeyboardInterrupt
        return 5

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(function)
        begun.wait(5)
        other = pool.submit(function)
        assert isinstance(first.exception(5), KeyboardInterrupt)
        assert isinstance(other.exception(5), RuntimeError)
    assert function() == 5


def test_an_async_function_in_disguise_is_refused(name: str) -> None:
    async def function(n: int) -> int:
        return n

    @memoize(name)
    def disguised(n: int) -> object:
        return function(n)

    for _ in range(2):
        with pytest.raises(TypeError, match="returns an awaitable"):
            disguised(1)


def test_types_are_told_apart_as_arguments_and_not_within_them(name: str) -> None:
    calls = []

    @memoize(name)
    def function(value: object) -> None:
        calls.append(value)

    for value in (1, True, (1,), (True,), 0.0, -0.0):
        function(value)
    assert calls == [1, True, (1,), 0.0]
