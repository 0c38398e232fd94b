"""The middleware: a request gets a place in time, and is answered in time, or it is refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from collections.abc import Collection
from collections.abc import Sequence
from math import inf
from random import randint

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import is_public
from app.backpressure.alarms import Alarms
from app.backpressure.body import Body
from app.backpressure.body import begin
from app.backpressure.limiter import Limiter
from app.backpressure.limiter import Shed
from app.backpressure.metrics import DEADLINES
from app.backpressure.metrics import SHED
from app.backpressure.visit import VISIT
from app.backpressure.visit import Visit
from app.http.errors import Unavailable
from app.http.errors import send_problem
from app.http.errors import send_refusal
from app.http.errors import send_unavailable

# With this header a client says how many seconds it waits.
TIMEOUT = b"x-request-timeout"
_SECONDS = re.compile(rb"\d{1,6}(\.\d{1,6})?")
# Who is refused comes back after so many seconds: not all in the same one.
SOONEST_S, LATEST_S = 1, 3


class Backpressure:
    """ASGI middleware; what is public (the probes) passes it by.

    A place is for work: it is taken when the body is there, or its first part, and given back when
    the answer begins. At the deadline the task of the request is cancelled, and with it whatever it
    waits for. It is counted from the end of the body.

    streamed: the paths whose bodies are not waited for, as work begins with their first part
    """

    def __init__(
        self,
        app: ASGIApp,
        limiter: Limiter,
        deadline_s: float,
        low_priority: Sequence[str] = (),
        streamed: Collection[str] = (),
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._deadlines = Alarms(deadline_s)
        self._low_priority = tuple(low_priority)
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or is_public(scope):
            return await self._app(scope, receive, send)
        patience_s, has_body = _facts(scope)
        first: Message | None = None
        if has_body and scope["path"] not in self._streamed:
            try:
                first = await begin(receive)
            except HTTPException as refused:
                return await send_refusal(send, refused)
        visit = scope[VISIT] = Visit(self._limiter, self._deadlines, patience_s)
        if first:
            receive = Body(first, receive, visit)
        try:
            await self._serve(visit, scope, receive, send)
        except Shed as shed:
            SHED[shed.reason].inc()
            await _refuse(send, "The service is busy.")
        except TimeoutError:
            if visit.answered or not visit.deadline.expired():
                raise
            await _miss(send, by_choice=patience_s < self._deadlines.seconds)
        finally:
            visit.end()

    async def _serve(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that is there. Raises Shed, or TimeoutError at its deadline."""

        def send_in_time(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                visit.answer(message["status"])
            return send(message)

        async with visit.deadline:
            try:
                low_priority = scope["path"].startswith(self._low_priority)
                if turn := visit.enter(low_priority=low_priority):
                    receive = await visit.wait(turn, receive)
                await self._app(scope, receive, send_in_time)
            finally:
                visit.lift_deadline()


def _facts(scope: Scope) -> tuple[float, bool]:
    """For how many seconds the client waits, if it says so, and whether the request has a body."""
    patience_s, has_body = inf, False
    for name, value in scope["headers"]:
        if name == TIMEOUT and _SECONDS.fullmatch(value):
            patience_s = float(value)
        elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            has_body = True
    return patience_s, has_body


async def _miss(send: Send, *, by_choice: bool) -> None:
    """Answer who was not served by the deadline; by the client's choice it is no failure of ours,
    and must not be counted or told as one: it would be for anybody to call for help."""
    DEADLINES["client" if by_choice else "service"].inc()
    if by_choice:
        await send_problem(send, 408, "The request took longer than its X-Request-Timeout.")
    else:
        await _refuse(send, "The request took too long.")


async def _refuse(send: Send, detail: str) -> None:
    retry_after = randint(SOONEST_S, LATEST_S)  # noqa: S311
    await send_unavailable(send, Unavailable(detail, retry_after))
