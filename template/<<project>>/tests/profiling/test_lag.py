"""A loop that is blocked is measured, and what blocks it is named."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.profiling.lag import LoopWatch
from app.profiling.settings import ProfilingSettings
from app.settings import SettingsError
from app.settings import load_settings

pytestmark = pytest.mark.anyio


def lags(above_s: float) -> float:
    """How often the loop was later than that."""
    value = REGISTRY.get_sample_value
    below = value("event_loop_lag_seconds_bucket", {"le": str(above_s)}) or 0
    return (value("event_loop_lag_seconds_count") or 0) - below


def watch(blocked_s: float, started: bool = True) -> LoopWatch:
    """Of the running loop."""
    return LoopWatch(ProfilingSettings(blocked_s=blocked_s), lambda: started)


def block(seconds: float) -> None:
    """Is what must not be done."""
    time.sleep(seconds)


async def watched(block_s: float, blocked_s: float = 0.1) -> tuple[list[Any], list[Any]]:
    """What is logged of a block: while it lasts, and at its end."""
    with capture_logs() as logs:
        async with watch(blocked_s):
            await asyncio.sleep(0.15)
            block(block_s)
            await asyncio.sleep(0.25)
    return (
        [one for one in logs if one["event"] == "event_loop_blocked"],
        [one for one in logs if one["event"] == "event_loop_free"],
    )


async def test_a_block_is_measured_and_named(anyio_backend: str) -> None:
    short = lags(0.1)
    blocked, free = await watched(0.6)
    # 0.6 s are one tick that is late, and five that were due meanwhile
    assert lags(0.1) - short >= 4
    assert len(blocked) == 1
    assert any(line.startswith("block (tests/profiling/test_lag.py:") for line in blocked[0]["at"])
    assert blocked[0]["at"][-1].startswith("block (")
    assert 0.1 < blocked[0]["so_far_s"] < 0.6
    assert len(free) == 1
    assert 0.4 < free[0]["blocked_s"] < 2


async def test_what_holds_the_gil_is_named_as_well(anyio_backend: str) -> None:
    """When it ends, if the thread has its turn before the loop has: so in one of a few tries."""
    stacks: list[list[str]] = []
    for _ in range(10):
        with capture_logs() as logs:
            async with watch(0.1):
                await asyncio.sleep(0.15)
                assert not re.fullmatch("(a+)+b", "a" * 24)
                await asyncio.sleep(0.25)
        assert [one["event"] for one in logs][-1] == "event_loop_free"
        stacks = [one["at"] for one in logs if one["event"] == "event_loop_blocked"]
        if stacks:
            break
    assert any("test_what_holds_the_gil" in line for line in stacks[0])


async def test_nothing_is_said_of_the_start(anyio_backend: str) -> None:
    with capture_logs() as logs:
        async with watch(0.1, started=False):
            await asyncio.sleep(0.15)
            block(0.4)
            await asyncio.sleep(0.25)
    assert logs == []


async def test_nothing_is_said_of_what_is_short(anyio_backend: str) -> None:
    measured = REGISTRY.get_sample_value("event_loop_lag_seconds_count") or 0
    blocked, free = await watched(0.05, blocked_s=2)
    assert (blocked, free) == ([], [])
    assert (REGISTRY.get_sample_value("event_loop_lag_seconds_count") or 0) > measured


async def test_the_thread_ends(anyio_backend: str) -> None:
    before = set(threading.enumerate())
    async with watch(0.5):
        assert "loop-watch" in {one.name for one in set(threading.enumerate()) - before}
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("value", ["0", "-1", "61", "x"])
def test_bounds(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("PROFILING_BLOCKED_S", value)
    with pytest.raises(SettingsError, match="PROFILING_BLOCKED_S is not usable"):
        load_settings([ProfilingSettings])
