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
    """One request. `sent` is what came back; it leaves when it is told to.

    whole: whether these parts are all of the body; else the rest is sent when it is told to
    reads: whether it takes the answer; else whoever sends it waits
    """

    def __init__(
        self,
        app: Any,
        path: str,
        headers: Headers = (),
        *parts: bytes,
        whole: bool = True,
        reads: bool = True,
    ) -> None:
        self.sent: list[Message] = []
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        self._reads = reads
        for number, part in enumerate(parts or (b"",), 1):
            self.send(part, more=number < len(parts) or not whole)
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "headers": list(headers),
            "client": ("192.0.2.1", 5000),
        }
        self.task = asyncio.create_task(app(scope, self.coming.get, self._send))

    async def _send(self, message: Message) -> None:
        if not self._reads:
            await asyncio.Event().wait()
        self.sent.append(message)

    def send(self, part: bytes, *, more: bool) -> None:
        """Send a part of the body."""
        self.coming.put_nowait({"type": "http.request", "body": part, "more_body": more})

    def leave(self) -> None:
        """Close the connection."""
        self.coming.put_nowait({"type": "http.disconnect"})

    async def status(self) -> int:
        """The status of the answer, once it is there."""
        await asyncio.wait_for(self.task, 5)
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        """What the answer says."""
        return b"".join(message.get("body", b"") for message in self.sent)


class Observed(Limit):
    """A limit that stays, and what it was told: seconds, and whether that was all."""

    def __init__(self, most: int) -> None:
        super().__init__(most, None)
        self.told: list[tuple[float, bool]] = []

    def observe(self, seconds: float, *, finished: bool = True) -> None:
        """Remember it."""
        self.told.append((seconds, finished))


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
        streamed: Sequence[str] = (),
    ) -> None:
        self.observed = Observed(limit)
        self.limiter = Limiter(self.observed, queue, wait_s)
        self.app = Backpressure(app, self.limiter, deadline_s, low_priority, streamed)

    async def visit(
        self,
        path: str,
        headers: Headers = (),
        *parts: bytes,
        whole: bool = True,
        reads: bool = True,
    ) -> Visitor:
        """A request that has got as far as it gets by itself."""
        visitor = Visitor(self.app, path, headers, *parts, whole=whole, reads=reads)
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


def deadlines_exceeded(whose: str = "service") -> float:
    """How many deadlines were exceeded, so far."""
    labels = {"whose": whose}
    return REGISTRY.get_sample_value("backpressure_deadline_exceeded_total", labels) or 0
