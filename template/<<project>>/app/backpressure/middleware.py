"""The middleware: a request gets a place in time, and is answered in time, or it gets 503."""

from __future__ import annotations

import re
from asyncio import timeout
from collections.abc import Sequence
from random import randint

from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import is_public
from app.backpressure.limiter import Limiter
from app.backpressure.limiter import Shed
from app.backpressure.metrics import DEADLINES
from app.backpressure.metrics import SHED
from app.backpressure.visit import VISIT
from app.backpressure.visit import Visit
from app.http.errors import Unavailable
from app.http.errors import send_unavailable

# With this header a client says how many seconds it waits.
TIMEOUT = b"x-request-timeout"
_SECONDS = re.compile(rb"\d{1,6}(\.\d{1,6})?")
# Who is refused comes back after so many seconds: not all in the same one.
SOONEST_S, LATEST_S = 1, 3


class Backpressure:
    """ASGI middleware; what is public (the probes) passes it by.

    A place is held until the answer is there; what streams holds it until the first part is sent.
    At the deadline the task of the request is cancelled, and with it whatever it waits for.
    """

    def __init__(
        self, app: ASGIApp, limiter: Limiter, deadline_s: float, low_priority: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._deadline_s = deadline_s
        self._low_priority = tuple(low_priority)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or is_public(scope):
            return await self._app(scope, receive, send)
        visit = scope[VISIT] = Visit(self._limiter, timeout(self._seconds(scope)))

        async def send_in_time(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.answer()
            await send(message)
            if message.get("more_body"):
                visit.give_back()

        try:
            async with visit.deadline:
                low_priority = scope["path"].startswith(self._low_priority)
                receive = await visit.enter(receive, low_priority=low_priority)
                await self._app(scope, receive, send_in_time)
        except Shed as shed:
            SHED[shed.reason].inc()
            await _refuse(send, "The service is busy.")
        except TimeoutError:
            if visit.answered or not visit.deadline.expired():
                raise
            DEADLINES.inc()
            await _refuse(send, "The request took too long.")
        finally:
            visit.end()

    def _seconds(self, scope: Scope) -> float:
        """How long the request may take: as the client says, if that is less."""
        for name, value in scope["headers"]:
            if name == TIMEOUT and _SECONDS.fullmatch(value):
                return min(float(value), self._deadline_s)
        return self._deadline_s


async def _refuse(send: Send, detail: str) -> None:
    retry_after = randint(SOONEST_S, LATEST_S)  # noqa: S311
    await send_unavailable(send, Unavailable(detail, retry_after))
