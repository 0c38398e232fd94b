"""The middleware: a whole answer that is large enough is compressed, everything else passes."""

from __future__ import annotations

import os
from asyncio import get_running_loop
from collections.abc import Awaitable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.compression.codings import LARGE
from app.compression.codings import Coding
from app.compression.head import encoded
from app.compression.head import is_compressible
from app.compression.head import is_smaller
from app.compression.head import not_modified
from app.compression.head import varied
from app.compression.negotiation import Choice
from app.compression.negotiation import accepted
from app.compression.negotiation import negotiation

_OFF = "no_compression"
_NOT_MODIFIED = 304
_AS_IT_IS = frozenset({204, 205, 206})  # without a body, or a part of one


def no_compression(request: Request) -> None:
    """Send the answer to this request as it is; call it in a handler, or use it with `Depends`.

    For answers that hold a secret beside something that a stranger chose (BREACH), and for those
    whose strong ETag clients send back with If-Match.
    """
    request.scope[_OFF] = True


class Compression:
    """ASGI middleware. Streams, ranges and what is compressed already are not touched."""

    def __init__(self, app: ASGIApp, offered: Sequence[Coding], threshold: int) -> None:
        self._app = app
        self._choose = negotiation(offered, threshold)
        # of its own: large answers do not keep others from the loop's threads (name look-ups)
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "compression")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        choice = self._choose(accepted(scope["headers"]))
        start: Message | None = None

        def send_compressed(message: Message) -> Awaitable[None]:
            nonlocal start
            if message["type"] == "http.response.start":
                small = is_smaller(message["headers"], choice.least)
                if small and message["status"] != _NOT_MODIFIED:
                    return send(message)
                start = message  # kept until it is known how much there is
                return _nothing()
            if start is None:
                return send(message)
            begun, start = start, None
            return self._answer(scope, choice, begun, message, send)

        await self._app(scope, receive, send_compressed)

    async def _answer(
        self, scope: Scope, choice: Choice, start: Message, message: Message, send: Send
    ) -> None:
        if _whole(message) >= choice.least or start["status"] == _NOT_MODIFIED:
            await self._change(scope, choice.coding, start, message)
        await send(start)
        await send(message)

    async def _change(
        self, scope: Scope, coding: Coding | None, start: Message, message: Message
    ) -> None:
        """Make of a whole answer, its two messages, what the client gets."""
        headers, status = start["headers"], start["status"]
        if scope.get(_OFF):
            return
        if status == _NOT_MODIFIED:
            held = dict(scope["headers"]).get(b"if-none-match", b"")
            start["headers"] = not_modified(headers, held)
        elif status in _AS_IT_IS or not is_compressible(headers):
            return
        elif coding is None:
            start["headers"] = varied(headers)
        elif scope["method"] == "HEAD":  # its body is not sent, so nobody has to know its length
            start["headers"] = encoded(headers, coding.name, None)
        else:
            body = await self._encode(coding, message["body"])
            start["headers"] = encoded(headers, coding.name, len(body))
            message["body"] = body

    async def _encode(self, coding: Coding, body: bytes) -> bytes:
        if len(body) < LARGE:
            return coding.encode(body)
        return await get_running_loop().run_in_executor(self._threads, coding.encode, body)


def _whole(message: Message) -> int:
    """How many bytes an answer has that begins with this message; 0 when more is to come."""
    return 0 if message.get("more_body") else len(message.get("body", b""))


async def _nothing() -> None:
    pass
