"""The outermost layer: request id, access log, security headers, bounded bodies, client address."""

from __future__ import annotations

import re
from asyncio import get_running_loop
from asyncio import timeout_at
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from os import urandom
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http.errors import FAILED
from app.http.errors import send_problem
from app.http.logs import log
from app.http.logs import request_id
from app.http.protocol import is_complete
from app.settings import CoreSettings

# So much of a path is logged: a client may send 64 KB of it.
MOST_PATH = 1_024
# An id is the process and a number: unique, and cheaper than asking the system for randomness.
_PROCESS = urandom(8).hex().encode()
_number = count()
_USABLE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# The answers are data, so a browser is told to treat them as nothing else. What only matters for
# pages (Referrer-Policy, and X-Frame-Options beside frame-ancestors) is left out.
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
TOO_SLOW = "The body did not come in time."
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


@dataclass(frozen=True, slots=True)
class BodyBound:
    """How large the body of a request may be, and how long it may take.

    `streamed`: its route works on each part as it comes, and has deadlines of its own.
    """

    most_bytes: int
    timeout_s: float
    streamed: bool = False


class Edge:
    """ASGI middleware; every other layer may rely on the request id being set.

    For the layers further in there are `scope["on_start"]`, to which they may add a function that
    changes the head of the answer (an ASGI message), and when the answer has begun
    `scope["status"]`. Both cost less than one more `send` around the others. A `send` that awaits
    nothing returns what the next one gives to be awaited: one coroutine less for each message.

    bounds: of the bodies that have others than the settings say, by path
    """

    def __init__(
        self, app: ASGIApp, settings: CoreSettings, bounds: Mapping[str, BodyBound] | None = None
    ) -> None:
        self._app = app
        self._usual = BodyBound(settings.max_body_bytes, settings.body_timeout_s)
        self._bounds = bounds or {}
        self._log = log.info if settings.access_log else None
        self._headers = [*SECURITY_HEADERS, *([STRICT_TRANSPORT] if settings.production else [])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = perf_counter()
        on_start: list[Callable[[Message], None]] = []
        scope["on_start"] = on_start
        given, length, chunked = _facts(scope)
        current = given or b"%b%08x" % (_PROCESS, next(_number))
        request_id.set(current.decode())
        extra = [*self._headers, (b"x-request-id", current)]

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                scope["status"] = message["status"]
                message["headers"] = [*message["headers"], *extra]
                for change in on_start:
                    change(message)
            return send(message)

        try:
            if length or chunked:
                bound = self._bounds.get(scope["path"], self._usual)
                if length > bound.most_bytes:
                    await _refuse(send_with_headers, bound)
                else:
                    # what is there and as long as it says needs no timer, which is dear
                    there = length and not chunked and is_complete(scope)
                    bounded = receive if there else _bounded(receive, bound)
                    await self._app(scope, bounded, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if "status" not in scope:
                await send_problem(send_with_headers, 500, FAILED)
            # also when it was answered already: Starlette raises it again for this
            log.error("request_failed", exc_info=error)
        finally:
            if self._log:
                self._log(
                    "request",
                    method=scope["method"],
                    path=scope["path"][:MOST_PATH],
                    status=scope.get("status"),
                    ms=round((perf_counter() - started) * 1000, 3),
                    client=scope["client"][0] if scope.get("client") else None,
                    principal=getattr(scope.get("principal"), "id", None),
                )


def _bounded(receive: Receive, bound: BodyBound) -> Receive:
    """A `receive` for the body, which must come in time and end within the limit."""
    received, whole = 0, False
    deadline = get_running_loop().time() + bound.timeout_s

    async def bounded() -> Message:
        nonlocal received, whole
        if whole:  # what comes now is that the client has gone, at any time
            return await receive()
        try:
            async with timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW, {"Connection": "close"}) from None
        received += len(message.get("body", b""))
        if received > bound.most_bytes:
            raise HTTPException(413, _too_large(bound), {"Connection": "close"})
        whole = not message.get("more_body")
        return message

    return bounded


async def _refuse(send: Send, bound: BodyBound) -> None:
    # the rest of the body is not read, so the connection cannot be used again
    await send_problem(send, 413, _too_large(bound), [(b"connection", b"close")])


def _too_large(bound: BodyBound) -> str:
    return f"The body may have at most {bound.most_bytes} bytes."


def _facts(scope: Scope) -> tuple[bytes | None, int, bool]:
    """The client's request id if it is usable, the declared length of the body, and whether the
    body has none."""
    given, length, chunked = None, 0, False
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value if _USABLE_ID.fullmatch(value) else None
        elif name == b"content-length":
            # no more digits than any limit has: reading 5,000 of them is an error
            length = int(value.lstrip(b"0")[:20] or b"0") if value.isdigit() else 0
        elif name == b"transfer-encoding":
            chunked = True
    return given, length, chunked
