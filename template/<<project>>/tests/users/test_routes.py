"""The routes of users, through the whole service."""

import asyncio
import json
from typing import Any

import asyncpg
import httpx2
import pytest
from pydantic import TypeAdapter

from app.users.routes import UserView

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(rows: asyncpg.Connection) -> int:
    """The id of a user named Ada."""
    insert = "INSERT INTO users (name, email) VALUES ('Ada', 'ada@example.com') RETURNING id"
    return int(await rows.fetchval(insert))


def shown(answer: httpx2.Response) -> UserView:
    """The answer as the model that the API promises, with not a field more."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == UserView.model_fields.keys()
    return TypeAdapter(UserView).validate_json(answer.content)


def is_problem(answer: httpx2.Response, status: int) -> bool:
    """Whether this is a problem document of that status."""
    document = answer.json()
    assert answer.status_code == status, document
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert document["detail"]
    return True


async def test_a_user_is_found(client: httpx2.AsyncClient, ada: int) -> None:
    for _ in range(2):  # from the database, from the cache
        user = shown(await client.get(f"/users/{ada}"))
        assert (user.id, user.name, user.email, user.status) == (
            ada,
            "Ada",
            "ada@example.com",
            "active",
        )
        assert user.created_at.tzinfo


async def test_a_user_who_is_not_there_is_404(client: httpx2.AsyncClient) -> None:
    for id in (1, 2**31 - 1):
        for _ in range(2):
            assert is_problem(await client.get(f"/users/{id}"), 404)
        assert is_problem(await client.patch(f"/users/{id}", json={"name": "x"}), 404)


@pytest.mark.parametrize("id", ["0", "-1", str(2**31), "9" * 5000, "x", "1.5", "%00"])
async def test_an_id_that_cannot_be_is_422(client: httpx2.AsyncClient, id: str) -> None:
    assert is_problem(await client.get(f"/users/{id}"), 422)
    assert is_problem(await client.patch(f"/users/{id}", json={"name": "x"}), 422)


async def test_a_change_is_seen_at_once(client: httpx2.AsyncClient, ada: int) -> None:
    shown(await client.get(f"/users/{ada}"))
    changed = shown(await client.patch(f"/users/{ada}", json={"name": "Ada 🎩 L."}))
    assert (changed.name, changed.status) == ("Ada 🎩 L.", "active")
    assert shown(await client.get(f"/users/{ada}")) == changed
    changed = shown(await client.patch(f"/users/{ada}", json={"status": "inactive"}))
    assert (changed.name, changed.status) == ("Ada 🎩 L.", "inactive")
    assert shown(await client.get(f"/users/{ada}")) == changed
    for nothing in ({}, {"name": None, "status": None}):
        assert shown(await client.patch(f"/users/{ada}", json=nothing)) == changed


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"name": 5},
        {"status": "asleep"},
        {"status": ""},
        {"email": "new@example.com"},
        {"tier": "premium"},
        {"id": 5},
        {"name": "fine", "status": "wrong"},
        [],
        "Ada",
        None,
    ],
)
async def test_a_field_that_is_wrong_is_422_and_changes_nothing(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, ada: int, change: Any
) -> None:
    body, headers = json.dumps(change), {"Content-Type": "application/json"}
    answer = await client.patch(f"/users/{ada}", content=body, headers=headers)
    assert is_problem(answer, 422)
    name = await rows.fetchval("SELECT name FROM users WHERE id = $1 AND status = 'active'", ada)
    assert name == "Ada"


async def test_changes_at_the_same_time_do_not_undo_each_other(
    client: httpx2.AsyncClient, ada: int
) -> None:
    for n in range(10):
        status = "inactive" if n % 2 else "active"
        await asyncio.gather(
            client.patch(f"/users/{ada}", json={"name": f"Ada {n}"}),
            client.patch(f"/users/{ada}", json={"status": status}),
        )
        user = shown(await client.get(f"/users/{ada}"))
        assert (user.name, user.status) == (f"Ada {n}", status)


async def test_a_change_waits_for_another_and_shows_both(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, ada: int
) -> None:
    async with rows.transaction():
        await rows.execute("UPDATE users SET status = 'inactive' WHERE id = $1", ada)
        changing = asyncio.create_task(client.patch(f"/users/{ada}", json={"name": "Ada L."}))
        await asyncio.sleep(0.3)
        assert not changing.done()
    changed = shown(await changing)
    assert (changed.name, changed.status) == ("Ada L.", "inactive")


async def test_who_is_not_known_changes_nothing(
    anonymous: httpx2.AsyncClient, rows: asyncpg.Connection, ada: int
) -> None:
    assert is_problem(await anonymous.patch(f"/users/{ada}", json={"name": "Eve"}), 401)
    assert await rows.fetchval("SELECT name FROM users") == "Ada"
