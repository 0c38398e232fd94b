"""A file may take longer than other requests, and none of their places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest
from prometheus_client import REGISTRY
from starlette.types import Scope

from app.service import Service
from app.streaming.streams import Streams

pytestmark = pytest.mark.anyio

DEADLINE_S = 2.0
HEAD = b"name,price,description\n"
CSV = {"Content-Type": "text/csv"}


def places_taken() -> float | None:
    """How many requests have a place of those that backpressure gives."""
    return REGISTRY.get_sample_value("backpressure_in_flight_requests")


def imports() -> float | None:
    """How many imports are on their way."""
    return REGISTRY.get_sample_value("streaming_active_streams", {"direction": "import"})


@pytest.fixture
def servers(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Those of all tests, for a service with a short deadline."""
    monkeypatch.setenv("BACKPRESSURE_DEADLINE_S", str(DEADLINE_S))
    return servers


async def test_an_import_may_take_longer(client: httpx2.AsyncClient) -> None:
    seen: list[tuple[float | None, float | None]] = []

    async def slowly() -> AsyncIterator[bytes]:
        yield HEAD
        for number in range(3):
            await asyncio.sleep(DEADLINE_S / 2)
            seen.append((imports(), places_taken()))
            yield b"A hat,%d,\n" % number

    answer = await client.post("/items.csv", content=slowly(), headers=CSV)
    assert (answer.status_code, answer.json()["imported"]) == (200, 3)
    assert seen == [(1, 0)] * 3  # it has begun with its first part


async def test_an_export_may_take_longer(
    client: httpx2.AsyncClient, servers: dict[str, str]
) -> None:
    locks = await asyncpg.connect(servers["DATABASE_URL"])
    try:
        async with locks.transaction():
            await locks.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            asking = asyncio.create_task(client.get("/items.csv"))
            await asyncio.sleep(1.5 * DEADLINE_S)
            assert not asking.done()
            assert places_taken() == 0
        assert (await asking).status_code == 200
    finally:
        await locks.close()


async def test_who_finds_no_place_for_a_file_is_not_set_free(
    client: httpx2.AsyncClient, service: Service
) -> None:
    """Only what has a place there needs none here."""
    streams = service.get(Streams)
    begun: list[Scope] = []
    streams.at_begin.append(begun.append)
    streams._places = 0
    assert (await client.get("/items.csv")).status_code == 503
    assert begun == []
