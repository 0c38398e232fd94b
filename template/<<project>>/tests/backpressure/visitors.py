"""Clients of an application behind the middleware, which is told when to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import REGISTRY
from starlette.responses import Response
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.backpressure.limit import Limit
from app.backpressure.limiter import Limiter
from app.backpressure.middleware import Backpressure
from tests.http.asgi import Headers


class Handler:
    """An application that answers a request when it is told to; it knows those it has."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self._answers: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        self.entered.append(path)
        await self._event(path).wait()
        message = await receive()
        await Response(message.get("body", b""))(scope, receive, send)

    def answer(self, *paths: str) -> None:
        """Answer these requests, also those that are still to come."""
        for path in paths:
            self._event(path).set()

    def _event(self, path: str) -> asyncio.Event:
        return self._answers.setdefault(path, asyncio.Event())


class Visitor:
    """One request. `sent` is what came back; it leaves when it is told to."""

    def __init__(self, app: Any, path: str, headers: Headers = (), *parts: bytes) -> None:
        self.sent: list[Message] = []
        self._parts = list(parts or (b"",))
        self._left = asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    async def status(self) -> int:
        """The status of the answer, once it is there."""
        await asyncio.wait_for(self.task, 5)
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        """What the answer says."""
        return b"".join(message.get("body", b"") for message in self.sent)


class Desk:
    """The middleware with a few places, and its visitors."""

    def __init__(
        self,
        app: Any,
        limit: int = 1,
        queue: int = 10,
        wait_s: float = 5,
        deadline_s: float = 5,
        low_priority: Sequence[str] = (),
    ) -> None:
        self.limiter = Limiter(Limit(limit, None), queue, wait_s)
        self._app = Backpressure(app, self.limiter, deadline_s, low_priority)

    async def visit(self, path: str, headers: Headers = (), *parts: bytes) -> Visitor:
        """A request that has got as far as it gets by itself."""
        visitor = Visitor(self._app, path, headers, *parts)
        await settled()
        return visitor


async def settled() -> None:
    """Let everything happen that can happen at once."""
    for _ in range(10):
        await asyncio.sleep(0)


def sheds(reason: str) -> float:
    """How many requests were not served for this reason, so far."""
    labels = {"reason": reason}
    return REGISTRY.get_sample_value("backpressure_shed_requests_total", labels) or 0


def deadlines_exceeded() -> float:
    """How many deadlines were exceeded, so far."""
    return REGISTRY.get_sample_value("backpressure_deadline_exceeded_total") or 0
