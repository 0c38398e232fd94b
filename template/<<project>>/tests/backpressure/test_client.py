"""The client of a request that waits."""

from __future__ import annotations

import asyncio
from contextvars import Context
from contextvars import ContextVar

import pytest
from starlette.types import Message

from app.backpressure.client import QueuedClient

pytestmark = pytest.mark.anyio


async def test_it_is_listened_to_in_the_context_of_its_request() -> None:
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    heard: list[str] = []
    parts: list[Message] = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        heard.append(whose.get())
        return parts.pop(0)

    whose.set("the request's")
    turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    client = QueuedClient(receive, turn)
    Context().run(client.listen)  # as the timer of all requests does
    assert (await client())["type"] == "http.request"
    await asyncio.wait([turn], timeout=30)
    assert turn.exception()
    assert heard == ["the request's"] * 2
