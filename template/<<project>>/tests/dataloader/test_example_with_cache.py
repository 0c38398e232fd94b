"""Owners out of the cache: the same entries as for users, so that all see a change."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest
from prometheus_client import REGISTRY

from app.cache import Cache
from app.cache.example import user_key
from app.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rows(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own; 2 owners, 20 items, every third of which has none."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute("INSERT INTO users (name, email) VALUES ('Ada', 'a@x'), ('Bo', 'b@x')")
    await connection.execute(
        "INSERT INTO items (owner_id, name, price, description)"
        " SELECT nullif(n % 3, 0), 'Item ' || n, n, '' FROM generate_series(1, 20) n"
    )
    yield connection
    await connection.close()


def counted(name: str, **labels: str) -> float:
    """What a counter stands at."""
    return REGISTRY.get_sample_value(name, labels) or 0


def queries() -> float:
    """How many queries for owners there were."""
    return counted("database_query_duration_seconds_count", statement="owners")


async def owners(client: httpx2.AsyncClient) -> list[str | None]:
    """The names of the owners of the newest items, and nothing else of them is shown."""
    page = (await client.get("/items/owned", params={"limit": 3})).json()
    shown = [item["owner"] for item in page["data"]]
    assert all(owner.keys() == {"id", "name"} for owner in shown if owner)
    return [owner and owner["name"] for owner in shown]


async def test_the_next_request_finds_them_in_the_cache(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    before = queries()
    assert await owners(client) == ["Bo", "Ada", None]
    assert queries() == before + 1
    hits = counted("cache_requests_total", result="hit")
    assert await owners(client) == ["Bo", "Ada", None]
    assert queries() == before + 1
    assert counted("cache_requests_total", result="hit") == hits + 2


async def test_who_shows_a_user_shares_the_entry(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    alone = (await client.get("/users/1")).content
    before = queries()
    await owners(client)
    await rows.execute("UPDATE users SET name = 'past the cache'")
    assert (await client.get("/users/1")).content == alone
    assert (await client.get("/users/2")).json()["name"] == "Bo"
    assert queries() == before + 1


async def test_what_an_older_version_has_stored_is_read_anew(
    client: httpx2.AsyncClient, service: Service, rows: asyncpg.Connection
) -> None:
    """It knew fewer columns. Users see the new ones after that, too."""

    async def old() -> bytes:
        return b'{"id":2}'

    assert await service.get(Cache).get(user_key(2), old) == b'{"id":2}'
    for _ in range(2):
        assert await owners(client) == ["Bo", "Ada", None]
    assert (await client.get("/users/2")).json()["email"] == "b@x"


async def test_a_change_is_seen_at_once(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    assert await owners(client) == ["Bo", "Ada", None]
    assert (await client.patch("/users/2", json={"name": "Bob"})).status_code == 200
    assert await owners(client) == ["Bob", "Ada", None]
