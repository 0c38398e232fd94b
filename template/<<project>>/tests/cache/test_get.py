"""Get or load: once, with its TTL, whatever the value is."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.cache.lease import Leases
from tests.cache.conftest import Process
from tests.cache.conftest import Source
from tests.cache.conftest import StartProcess

pytestmark = pytest.mark.anyio


def reads(result: str) -> float:
    """How many reads had this result so far."""
    return REGISTRY.get_sample_value("cache_requests_total", {"result": result}) or 0


async def test_the_first_read_loads_and_the_next_ones_do_not(process: Process) -> None:
    source = Source(b"\x00\xff and text")
    hits, misses = reads("hit"), reads("miss")
    for _ in range(5):
        assert await process.cache.get("key", source.load) == b"\x00\xff and text"
    assert source.loads == 1
    assert (reads("hit") - hits, reads("miss") - misses) == (4, 1)


@pytest.mark.parametrize("value", [None, b"", b"0", b"null"])
async def test_nothing_and_what_is_falsy_are_cached_too(
    process: Process, value: bytes | None
) -> None:
    source = Source(value)
    assert [await process.cache.get("key", source.load) for _ in range(3)] == [value] * 3
    assert source.loads == 1


async def test_nothing_is_remembered_for_less_long(start: StartProcess) -> None:
    process = await start(ttl_s=1000, negative_ttl_s=10, jitter=0)
    await process.cache.get("none", Source(None).load)
    await process.cache.get("empty", Source(b"").load)
    await process.cache.get("brief", Source(None).load, ttl_s=5)
    assert 9_000 < await process.lives_ms("none") <= 10_000
    assert 990_000 < await process.lives_ms("empty") <= 1_000_000
    assert 4_000 < await process.lives_ms("brief") <= 5_000


async def test_the_ttl_is_never_longer_than_said_and_a_tenth_shorter_at_most(
    start: StartProcess,
) -> None:
    process = await start(ttl_s=100, jitter=0.1)
    lives = []
    for n in range(100):
        await process.cache.get(f"key:{n}", Source().load)
        lives.append(await process.lives_ms(f"key:{n}"))
    assert 89_000 < min(lives) < 93_000
    assert 97_000 < max(lives) <= 100_000


async def test_an_entry_expires(start: StartProcess) -> None:
    process = await start(early=0)
    source = Source()
    await process.cache.get("key", source.load, ttl_s=0.1)
    await asyncio.sleep(0.15)
    await process.cache.get("key", source.load, ttl_s=0.1)
    assert source.loads == 2


async def test_something_else_at_the_key_is_replaced(process: Process) -> None:
    for foreign in (b"", b"x", b"from another version of the service" * 10):
        await process.redis.execute("SET", f"{process.prefix}:key", foreign)
        source = Source()
        assert await process.cache.get("key", source.load) == b"value"
        assert await process.cache.get("key", source.load) == b"value"
        assert source.loads == 1


async def test_something_of_another_type_at_the_key_is_no_error(process: Process) -> None:
    await process.redis.execute("RPUSH", f"{process.prefix}:key", "list")
    assert await process.cache.get("key", Source().load) == b"value"


async def test_many_are_read_by_one_command_and_loaded_by_one_load(process: Process) -> None:
    cache, asked = process.cache, list[list[str]]()

    async def load(missing: list[str]) -> dict[str, bytes | None]:
        asked.append(missing)
        return {key: None if key == "d" else key.encode() for key in missing if key != "e"}

    await cache.get("b", Source(b"cached").load)
    keys = ["c", "b", "a", "d", "e", "a"]
    expected = [b"c", b"cached", b"a", None, None, b"a"]
    assert await cache.get_many(keys, load) == expected
    assert await cache.get_many(keys, load) == expected
    assert asked == [["c", "a", "d", "e"]]
    source = Source(b"not asked")
    assert await cache.get("a", source.load) == b"a"
    assert await cache.get("e", source.load) is None
    assert source.loads == 0
    assert await cache.get_many([], load) == []


async def test_a_failing_load_of_many_leaves_nothing_behind(process: Process) -> None:
    async def fail(missing: list[str]) -> dict[str, bytes | None]:
        raise LookupError

    with pytest.raises(LookupError):
        await process.cache.get_many(["a", "b"], fail)
    async with asyncio.timeout(1):
        assert await process.cache.get("a", Source().load) == b"value"


@pytest.mark.parametrize("step", ["take", "store"])
async def test_a_cancelled_read_of_many_leaves_nothing_behind(
    process: Process, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Redis has given the leases, or is about to store, and the answer is still on its way."""
    done, real = asyncio.Event(), getattr(Leases, step)

    async def slowly(*args: Any) -> Any:
        answer = await real(*args) if step == "take" else None
        done.set()
        await asyncio.sleep(0.1)
        return answer

    async def load(missing: list[str]) -> dict[str, bytes | None]:
        return {}

    monkeypatch.setattr(Leases, step, slowly)
    reading = asyncio.create_task(process.cache.get_many(["a", "b"], load))
    await done.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(2):  # the lease would last for 3 s
        while await process.raw("a") or await process.raw("b"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
