"""Selections whose owners come out of the cache: the same answers, and no query for them."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx2
import pytest

from tests.fields import test_example

pytestmark = pytest.mark.anyio
rows = test_example.rows


async def owners(client: httpx2.AsyncClient, fields: str) -> list[Any]:
    """The owners of the three newest items, with these fields."""
    answer = await client.get("/items", params={"fields": f"owner({fields})", "limit": 3})
    assert answer.status_code == 200, answer.text
    return [item["owner"] for item in answer.json()["data"]]


async def test_a_cached_owner_is_not_asked_for(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, asked: list[str]
) -> None:
    for user_id in (1, 2):
        await client.get(f"/users/{user_id}")
    asked.clear()
    assert await owners(client, "name") == [None, {"name": "Bo"}, {"name": "Ada"}]
    [sql] = asked
    assert sql.startswith("SELECT items.owner_id")


async def test_another_selection_is_another_view_of_the_same_entry(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, asked: list[str]
) -> None:
    assert await owners(client, "id") == [None, {"id": 2}, {"id": 1}]
    asked.clear()
    assert await owners(client, "name,id") == [
        None,
        {"id": 2, "name": "Bo"},
        {"id": 1, "name": "Ada"},
    ]
    assert not any("users" in sql for sql in asked)


async def test_a_change_is_seen_at_once(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    assert await owners(client, "name") == [None, {"name": "Bo"}, {"name": "Ada"}]
    assert (await client.patch("/users/1", json={"name": "Ada L."})).status_code == 200
    assert await owners(client, "name") == [None, {"name": "Bo"}, {"name": "Ada L."}]


async def test_what_is_cached_of_an_owner_and_not_offered_cannot_be_asked_for(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    answer = await client.get("/items", params={"fields": "owner(email)"})
    assert answer.status_code == 400
    assert "id, name" in answer.json()["detail"]
