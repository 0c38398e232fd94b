"""A page of the example, compressed on its way through the whole service."""

import httpx2
import pytest

from tests.compression.answers import DECODE

pytestmark = pytest.mark.anyio

NEW = {"name": "A hat", "price": 12.5, "description": "It is red, and made of felt. " * 3}


async def raw(client: httpx2.AsyncClient, path: str, coding: str) -> tuple[httpx2.Headers, bytes]:
    """The head of an answer and its bytes as they were sent."""
    headers = {"Accept-Encoding": coding}
    async with client.stream("GET", path, headers=headers) as answer:
        return answer.headers, b"".join([part async for part in answer.aiter_raw()])


@pytest.mark.parametrize("coding", DECODE)
async def test_a_page_is_smaller_and_the_same(client: httpx2.AsyncClient, coding: str) -> None:
    assert (await client.post("/items/bulk", json={"items": [NEW] * 30})).status_code == 201
    plain, page = await raw(client, "/items", "identity")
    assert ("content-encoding" not in plain, plain["vary"]) == (True, "Accept-Encoding")
    head, encoded = await raw(client, "/items", coding)
    assert (head["content-encoding"], head["vary"]) == (coding, "Accept-Encoding")
    assert int(head["content-length"]) == len(encoded) < len(page) / 3
    assert DECODE[coding](encoded) == page
    seen = await client.get("/items", headers={"Accept-Encoding": "gzip"})
    assert len(seen.json()["data"]) == 20


async def test_a_single_item_is_too_small(client: httpx2.AsyncClient) -> None:
    made = (await client.post("/items", json=NEW)).json()
    head, sent = await raw(client, f"/items/{made['id']}", "gzip")
    assert "content-encoding" not in head
    assert int(head["content-length"]) == len(sent)
