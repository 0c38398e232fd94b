"""Requests leave nothing behind: no objects, no memory, no open files.

The requests are /health, what is not there, and those that the patterns suggest to try
(`REQUESTS` in `dev/<pattern>.py`). Add what your service is asked for.
"""

from __future__ import annotations

import gc
import tracemalloc
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from app.patterns import PATTERNS
from app.profiling.memory import count_objects

pytestmark = pytest.mark.anyio

ROUNDS = 150
# What a round may keep: buffers and caches that are bounded still fill up a little.
KEPT_BYTES = 100


def requests() -> list[tuple[str, str]]:
    """Path, and body if there is one."""
    found = [("/health", ""), ("/nowhere", "")]
    for pattern in PATTERNS:
        if find_spec(f"dev.{pattern.name}"):
            found += getattr(import_module(f"dev.{pattern.name}"), "REQUESTS", [])
    return found


async def ask(client: httpx2.AsyncClient, rounds: int) -> None:
    """Ask for everything, so often."""
    for _ in range(rounds):
        for path, body in requests():
            answer = await client.request("POST" if body else "GET", path, content=body or None)
            assert answer.status_code < 500, path


def open_files() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def traced_bytes(client: httpx2.AsyncClient) -> int:
    """What Python's memory holds after so many rounds, of what was taken since tracing began."""
    await ask(client, ROUNDS)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it is read from /proc")
async def test_requests_leave_nothing_behind(client: httpx2.AsyncClient) -> None:
    await ask(client, ROUNDS)  # pools, caches and compiled statements
    files, before = open_files(), count_objects()
    await ask(client, ROUNDS)
    grown = count_objects()
    grown.subtract(before)
    assert open_files() <= files
    # of a leak there is one more object each round; of timers that were cancelled asyncio keeps up
    # to a hundred, and what is bounded may still fill up a little
    assert all(more < ROUNDS * 0.75 for more in grown.values()), grown.most_common(10)


async def test_requests_keep_no_memory(client: httpx2.AsyncClient) -> None:
    """Also none that the garbage collector does not know of, as texts, and what holds only such."""
    await ask(client, ROUNDS)
    tracemalloc.start()
    try:
        held = [await traced_bytes(client) for _ in range(4)]
    finally:
        tracemalloc.stop()
    # a leak is there each time; that Python enlarges a table of its own, as of its texts, is not
    grown = [after - before for before, after in pairwise(held)]
    assert min(grown) < ROUNDS * KEPT_BYTES, grown
