"""A profile says where the time went, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from app.profiling.profiles import Profiles
from app.service import Service
from tests.profiling.conftest import never

pytestmark = pytest.mark.anyio


def hot(until: float) -> int:
    """Compute."""
    number = 0
    while time.monotonic() < until:
        number += sum(range(50))
    return number


def warm(until: float) -> int:
    """Compute as well."""
    return hot(until)


async def handle(hot_s: float, warm_s: float) -> None:
    """Is a task that computes, three parts of it in `hot` by itself."""
    while True:
        hot(time.monotonic() + hot_s)
        await asyncio.sleep(0)
        warm(time.monotonic() + warm_s)
        await asyncio.sleep(0)


async def during[R](work: Any, profile: Callable[[], Any]) -> Any:
    """What `profile` gives while the work is done."""
    task = asyncio.create_task(work)
    try:
        return await profile()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def shares(document: dict[str, Any]) -> dict[str, float]:
    """By function, the share of the main thread's seconds during which it was on the stack."""
    frames = document["shared"]["frames"]
    [main] = [one for one in document["profiles"] if one["name"] == "MainThread"]
    found: dict[str, float] = {}
    for sample, seconds in zip(main["samples"], main["weights"], strict=True):
        for name in {frames[index]["name"] for index in sample}:
            found[name] = found.get(name, 0) + seconds / main["endValue"]
    return found


async def test_the_time_is_where_it_went(internal: httpx2.AsyncClient) -> None:
    before = threading.active_count()
    answer = await during(
        handle(0.03, 0.01), lambda: internal.get("/profile/cpu", params={"seconds": 3})
    )
    assert answer.status_code == 200
    found = shares(answer.json())
    # the rest is the loop's `select`; on a busy machine the thread waits there for its turn
    assert found["handle"] > 0.3
    assert found["hot"] / found["handle"] > 0.95
    assert 0.1 < found["warm"] / found["handle"] < 0.4
    assert threading.active_count() == before
    assert sys.getswitchinterval() == pytest.approx(0.005)


async def test_the_document_is_as_speedscope_reads_it(internal: httpx2.AsyncClient) -> None:
    document = (await internal.get("/profile/cpu", params={"seconds": 0.3})).json()
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert {"name", "file", "line"} == set(frames[0])
    assert len({tuple(frame.items()) for frame in frames}) == len(frames)
    assert document["profiles"]
    for profile in document["profiles"]:
        assert (profile["type"], profile["unit"], profile["startValue"]) == (
            "sampled",
            "seconds",
            0,
        )
        assert len(profile["samples"]) == len(profile["weights"]) > 0
        assert profile["endValue"] == pytest.approx(sum(profile["weights"]))
        assert 0.1 < profile["endValue"] < 3
        assert all(0 <= index < len(frames) for sample in profile["samples"] for index in sample)


async def test_collapsed(internal: httpx2.AsyncClient) -> None:
    answer = await during(
        handle(0.03, 0.01),
        lambda: internal.get("/profile/cpu", params={"seconds": 0.5, "format": "collapsed"}),
    )
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert all(line.rpartition(" ")[2].isdigit() for line in lines)
    assert any(line.startswith("MainThread;") and ";hot (" in line for line in lines)


SECONDS = ("seconds=0", "seconds=61", "seconds=-1", "seconds=nan", "seconds=inf", "seconds=x")


@pytest.mark.parametrize(
    "asked",
    [
        *(f"/profile/cpu?{query}" for query in (*SECONDS, "format=x")),
        *(f"/profile/memory?{query}" for query in SECONDS),
    ],
)
async def test_bounds(internal: httpx2.AsyncClient, asked: str) -> None:
    answer = await internal.get(asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_one_at_a_time(internal: httpx2.AsyncClient) -> None:
    first = asyncio.create_task(internal.get("/profile/cpu?seconds=0.5"))
    await asyncio.sleep(0.1)
    for path in ("/profile/cpu", "/profile/memory"):
        assert (await internal.get(f"{path}?seconds=0.1")).status_code == 409
    assert (await first).status_code == 200
    assert (await internal.get("/profile/cpu?seconds=0.1")).status_code == 200


async def test_it_ends_with_the_process(alone: Service) -> None:
    profiles = alone.get(Profiles)
    for profile in (profiles.cpu, profiles.memory):
        running = asyncio.create_task(profile(60, never))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(20):
            await profiles.__aexit__()
            assert await running
        profiles._closing.clear()


async def test_it_ends_when_nobody_waits_for_it(alone: Service) -> None:
    async def gone() -> bool:
        return True

    async with asyncio.timeout(20):
        for profile in (alone.get(Profiles).cpu, alone.get(Profiles).memory):
            assert await profile(60, gone)


@pytest.mark.parametrize("host", ["evil.example", "service.mesh:9000"])
async def test_not_by_another_name(internal: httpx2.AsyncClient, host: str) -> None:
    for path in ("/profile/cpu", "/profile/memory"):
        answer = await internal.get(f"{path}?seconds=0.1", headers={"Host": host})
        assert answer.status_code == 403


@pytest.mark.parametrize("client", ["192.0.2.1", "10.0.0.7", "2001:db8::1", "0.0.0.0"])
async def test_only_from_the_same_machine(alone: Service, client: str) -> None:
    from app.main import create_internal_app

    transport = httpx2.ASGITransport(create_internal_app(alone), client=(client, 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://internal") as asked:
        for path in ("/profile/cpu", "/profile/memory"):
            headers = {"X-Forwarded-For": "127.0.0.1", "Host": "localhost"}
            assert (await asked.get(f"{path}?seconds=0.1", headers=headers)).status_code == 403
