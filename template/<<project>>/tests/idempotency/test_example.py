"""Items and jobs are made once for each key."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx2
import pytest

from app.main import create_api
from app.service import Service

pytestmark = pytest.mark.anyio

KEY = {"Idempotency-Key": "a-1"}
ITEM: dict[str, Any] = {"name": "A hat", "price": 12.5, "description": "It is red."}
REQUESTS = [("/items", ITEM, "items", 1), ("/items/bulk", {"items": [ITEM] * 3}, "items", 3)]


@pytest.fixture
async def rows(servers: dict[str, str]) -> Any:
    """A connection of the tests' own."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    yield connection
    await connection.close()


@pytest.mark.parametrize(("path", "body", "table", "made"), REQUESTS)
async def test_a_repeated_request_makes_nothing_more(
    client: httpx2.AsyncClient,
    rows: asyncpg.Connection,
    path: str,
    body: dict[str, Any],
    table: str,
    made: int,
) -> None:
    answers = await asyncio.gather(*(client.post(path, json=body, headers=KEY) for _ in range(10)))
    answers.append(await client.post(path, json=body, headers=KEY))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert answers[-1].headers["idempotent-replayed"] == "true"
    assert await rows.fetchval(f"SELECT count(*) FROM {table}") == made


async def test_what_is_made_is_found_at_once(client: httpx2.AsyncClient) -> None:
    """Also when somebody has just asked for it in vain."""
    first = (await client.post("/items", json=ITEM, headers=KEY)).json()["id"]
    assert (await client.get(f"/items/{first + 1}")).status_code == 404
    headers = {"Idempotency-Key": "a-2"}
    made = (await client.post("/items", json=ITEM, headers=headers)).json()["id"]
    assert made == first + 1
    assert (await client.get(f"/items/{made}")).status_code == 200


async def test_a_request_that_is_wrong_leaves_its_key_free(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    assert (await client.post("/items", json={"name": ""}, headers=KEY)).status_code == 422
    assert (await client.post("/items", json=ITEM, headers=KEY)).status_code == 201
    assert await rows.fetchval("SELECT count(*) FROM items") == 1


async def test_the_document_tells_of_keys(service: Service) -> None:
    paths = create_api(service).openapi()["paths"]
    for path in ("/items", "/items/bulk"):
        names = [one["name"] for one in paths[path]["post"]["parameters"]]
        assert names.count("Idempotency-Key") == 1
        assert {"400", "409", "422"} <= paths[path]["post"]["responses"].keys()
