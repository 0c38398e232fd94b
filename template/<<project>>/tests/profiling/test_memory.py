"""A profile says what grows, and tracing ends with it."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import httpx2
import pytest

from app.profiling.profiles import Profiles
from app.service import Service
from tests.profiling.conftest import never

pytestmark = pytest.mark.anyio


class Leaked:
    """Is never let go."""

    def __init__(self) -> None:
        self.text = bytearray(2_000)


async def profiled_while_leaking(internal: httpx2.AsyncClient, kept: list[Any]) -> Any:
    """What grows while 1,000 objects and as many short-lived ones are made."""
    profile = asyncio.create_task(internal.get("/profile/memory?seconds=1"))
    while not tracemalloc.is_tracing():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    for _ in range(1000):
        kept.append(Leaked())
        Leaked()
    answer = await profile
    assert answer.status_code == 200
    return answer.json()


async def test_what_grows_is_named(internal: httpx2.AsyncClient) -> None:
    kept: list[Any] = []
    found = await profiled_while_leaking(internal, kept)
    first = found["lines"][0]
    assert first["line"].startswith("tests/profiling/test_memory.py:")
    assert 2_000_000 <= first["bytes"] < 3_000_000
    [leaked] = [one for one in found["objects"] if one["type"].endswith("test_memory.Leaked")]
    assert (leaked["growth"], leaked["count"]) == (1000, 1000)
    assert not tracemalloc.is_tracing()


async def test_tracing_ends_whatever_happens(
    alone: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = asyncio.create_task(alone.get(Profiles).memory(60, never))
    while not tracemalloc.is_tracing():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    profile.cancel()
    with pytest.raises(asyncio.CancelledError):
        await profile
    assert not tracemalloc.is_tracing()
    assert not alone.get(Profiles)._one.locked()
