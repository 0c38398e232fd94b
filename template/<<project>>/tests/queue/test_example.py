"""Whoever is asked for, or becomes active, is welcomed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from app.auth.keys import new_key
from app.database import Database
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.queue.example import Mail
from app.queue.example import welcome
from app.queue.settings import QueueSettings
from app.queue.worker import Worker
from app.service import Service
from app.users.store import StoredUsers
from tests.queue.conftest import Table
from tests.queue.conftest import until

pytestmark = pytest.mark.anyio


class Sent(Mail):
    """Remembers what it would send."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str, str]] = []

    async def send(self, to: str, text: str, key: str) -> None:
        """Remember."""
        self.letters.append((to, text, key))


@pytest.fixture
async def user(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[int]:
    """A user who is not active."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    yield await connection.fetchval(
        "INSERT INTO users (name, email, status) VALUES ('Ann', 'ann@example.com', 'inactive')"
        " RETURNING id"
    )
    await connection.close()


async def test_a_job_is_accepted_and_done(
    client: httpx2.AsyncClient, service: Service, table: Table, user: int
) -> None:
    answer = await client.post("/jobs", json={"userId": user})
    row = await table.row()
    assert answer.status_code == 202
    assert answer.json() == {"id": str(row["id"])}
    assert row["request_id"] == answer.headers["x-request-id"]
    mail = Sent()
    handlers = [welcome(StoredUsers(service.get(Database)), mail)]
    async with Worker(service.get(Database), handlers, QueueSettings(), 1):
        await table.becomes()
    assert mail.letters == [("ann@example.com", "Welcome, Ann!", f"welcome-{row['id']}")]


async def test_who_is_gone_is_not_welcomed(
    client: httpx2.AsyncClient, service: Service, table: Table
) -> None:
    await client.post("/jobs", json={"userId": 2**31 - 1})
    mail = Sent()
    handlers = [welcome(StoredUsers(service.get(Database)), mail)]
    async with Worker(service.get(Database), handlers, QueueSettings(), 1):
        await until(lambda: _empty(table), "it is done")
    assert mail.letters == []


async def _empty(table: Table) -> bool:
    return not await table.rows()


async def test_a_repeated_request_makes_no_second_job(
    client: httpx2.AsyncClient, table: Table
) -> None:
    headers = {"Idempotency-Key": "a-1"}
    answers = [await client.post("/jobs", json={"userId": 1}, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    row = await table.row()
    assert [answer.json() for answer in answers] == [{"id": str(row["id"])}] * 3
    other = await client.post("/jobs", json={"userId": 2}, headers=headers)
    assert other.status_code == 422
    assert len(await table.rows()) == 1


async def test_somebody_elses_key_is_another(
    monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], table: Table
) -> None:
    made = [new_key(name, "standard", ["write"]) for name in ("ann", "bob")]
    monkeypatch.setenv("AUTH_API_KEYS", ",".join(entry for _, entry in made))
    service = Service(PATTERNS)
    transport = httpx2.ASGITransport(create_app(service, create_api(service), MIDDLEWARE))
    async with (
        service.running(),
        httpx2.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        for number, (key, _) in enumerate(made, 1):
            headers = {"X-API-Key": key, "Idempotency-Key": "a"}
            answer = await client.post("/jobs", json={"userId": number}, headers=headers)
            assert answer.status_code == 202
    assert len(await table.rows()) == 2


@pytest.mark.parametrize(
    "body", [{}, {"userId": 0}, {"userId": 2**31}, {"userId": "x"}, {"userId": 1, "more": 1}, []]
)
async def test_what_is_no_job_is_422(client: httpx2.AsyncClient, table: Table, body: Any) -> None:
    assert (await client.post("/jobs", json=body)).status_code == 422
    assert await table.rows() == []


@pytest.mark.parametrize("key", ["", "x" * 129, "a b", "é"])
async def test_what_is_no_key_is_400(client: httpx2.AsyncClient, table: Table, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    answer = await client.post("/jobs", json={"userId": 1}, headers=headers)
    assert answer.status_code == 400
    assert await table.rows() == []


async def test_without_a_key_nothing_is_enqueued(
    anonymous: httpx2.AsyncClient, table: Table
) -> None:
    assert (await anonymous.post("/jobs", json={"userId": 1})).status_code == 401
    assert await table.rows() == []


async def test_who_becomes_active_is_welcomed_in_the_same_transaction(
    client: httpx2.AsyncClient, table: Table, user: int
) -> None:
    assert (await client.patch(f"/users/{user}", json={"name": "Bo"})).status_code == 200
    assert await table.rows() == []
    assert (await client.patch(f"/users/{user}", json={"status": "active"})).status_code == 200
    assert (await table.row())["payload"] == f'{{"user_id":{user}}}'
    assert (await client.patch(f"/users/{user}", json={"status": "active"})).status_code == 200
    assert len(await table.rows()) == 1
    assert (await client.patch("/users/999", json={"status": "active"})).status_code == 404
    assert len(await table.rows()) == 1
