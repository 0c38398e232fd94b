"""Nobody waits for ever: neither a load for itself, nor others for what cannot be kept."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from time import sleep

import pytest

from app.local_cache import LocalCache
from app.local_cache import memoize
from tests.local_cache.conftest import BOUNDS
from tests.local_cache.conftest import Source
from tests.local_cache.conftest import Unmeasurable


@pytest.mark.anyio
async def test_a_load_that_waits_for_itself_is_an_error(name: str) -> None:
    local: LocalCache[str, object] = LocalCache(name, BOUNDS)
    needs = {"a": "b", "b": "c", "c": "a", "d": "d"}

    async def ask(key: str) -> object:
        return await local.get(key, partial(ask, needs[key]))

    async with asyncio.timeout(5):
        for key in ("a", "d", "a"):
            with pytest.raises(RecursionError):
                await ask(key)
        assert await local.get("a", Source().load) == b"value"


@pytest.mark.anyio
async def test_a_coroutine_that_awaits_itself_is_an_error(name: str) -> None:
    @memoize(name)
    async def function(n: int) -> int:
        return await function(1 - n)

    async with asyncio.timeout(5):
        with pytest.raises(RecursionError):
            await function(1)


def test_nobody_waits_for_what_cannot_be_kept(name: str) -> None:
    loading, asked = Event(), Event()

    @memoize(name)
    def function() -> object:
        loading.set()
        asked.wait(5)
        return Unmeasurable()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(function)
        assert loading.wait(5)
        second = pool.submit(function)
        sleep(0.1)
        asked.set()
        with pytest.raises(TypeError, match="of no size"):
            first.result(5)
        assert isinstance(second.result(5), Unmeasurable)
