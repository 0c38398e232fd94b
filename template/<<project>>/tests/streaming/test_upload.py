"""A body in parts: read only when asked for, and none so large that others would wait for it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from app.streaming.gzip import MOST_AT_ONCE
from app.streaming.upload import uploaded
from tests.streaming.conftest import HEAD
from tests.streaming.conftest import Shop

pytestmark = pytest.mark.anyio


async def test_a_part_is_read_when_the_one_before_is_used(shop: Shop) -> None:
    """Backpressure: the client is asked for the next part only then."""
    asked = 0

    class Sends:
        headers = {"content-type": "text/csv"}  # noqa: RUF012

        async def receive(self) -> Any:
            nonlocal asked
            asked += 1
            return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    parts = uploaded(Sends(), shop.streams.settings)  # type: ignore[arg-type]
    for number in range(1, 5):
        assert await anext(parts) == b"x" * 10
        assert asked == number
    await parts.aclose()


@pytest.mark.parametrize("packed", [False, True])
async def test_others_have_their_turn_within_a_part(shop: Shop, packed: bool) -> None:
    """Blank and bad rows take 1 to 2 µs a byte."""
    file = HEAD + b"x\n" * 30_000

    class Sends:
        headers = {"content-type": "text/csv", "content-encoding": "gzip" if packed else ""}  # noqa: RUF012

        async def receive(self) -> Any:
            return {"type": "http.request", "body": gzip.compress(file) if packed else file}

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    found = [part async for part in uploaded(Sends(), shop.streams.settings)]  # type: ignore[arg-type]
    task.cancel()
    assert b"".join(found) == file
    assert max(map(len, found)) <= MOST_AT_ONCE <= 8_192
    assert turns >= len(found)
