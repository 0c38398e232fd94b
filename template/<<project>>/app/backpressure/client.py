"""The client of a request that waits in the queue."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import copy_context

from starlette.types import Message
from starlette.types import Receive

from app.backpressure.limiter import CLIENT_GONE
from app.backpressure.limiter import Turn
from app.backpressure.limiter import shed


class QueuedClient:
    """A `receive` that can notice, while the request is queued, that its client goes away.

    For that somebody has to receive, which takes a task and is left for those that wait for long.
    What comes meanwhile is kept for the application: one message, for of a body that is still on
    its way no more is read.
    """

    def __init__(self, receive: Receive, turn: Turn) -> None:
        self._receive = receive
        self._turn = turn
        self._early: deque[asyncio.Task[Message]] = deque()
        self._context = copy_context()  # of the request: whoever calls `listen` may have another

    async def __call__(self) -> Message:
        """The next message."""
        if self._early:
            return await self._early.popleft()
        return await self._receive()

    def close(self) -> None:
        """Stop listening."""
        for message in self._early:
            message.cancel()

    def listen(self) -> None:
        """From now on notice it."""
        message = asyncio.get_running_loop().create_task(self._next(), context=self._context)
        message.add_done_callback(self._heard)
        self._early.append(message)

    async def _next(self) -> Message:
        return await self._receive()

    def _heard(self, message: asyncio.Future[Message]) -> None:
        if self._turn.done() or message.cancelled() or message.exception():
            return  # the application finds out
        if message.result()["type"] == "http.disconnect":
            shed(self._turn, CLIENT_GONE)
        elif not message.result().get("more_body"):
            self.listen()  # what comes next is that the client has gone
