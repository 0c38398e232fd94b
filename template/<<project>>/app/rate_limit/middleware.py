"""The two middlewares: one decides on requests, the other one on guesses."""

from __future__ import annotations

from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import GUESSES
from app.auth import is_public
from app.http.errors import send_problem
from app.rate_limit.limits import RateLimits
from app.rate_limit.policy import Decision
from app.rate_limit.policy import tell


class Admission:
    """ASGI middleware within authentication: no request passes that is not admitted.

    What is public passes uncounted: who balances must not take "too often" for "not healthy".
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or is_public(scope):
            return await self._app(scope, receive, send)
        decision = await self._limits.admit(scope)
        tell(scope, decision)
        if decision.admitted:
            await self._app(scope, receive, send)
        else:
            await _refuse(send, decision)


class AroundAuthentication:
    """ASGI middleware that has guesses counted for the client's address.

    What authentication refuses as a guess gets another answer when that address is beyond its
    limit. Its other refusals are left as they are, and valid credentials are not held up: others at
    the same address may guess.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope["on_refusal"] = self._count_guess
        await self._app(scope, receive, send)

    async def _count_guess(self, scope: Scope, send: Send) -> bool:
        if scope["refusal"] not in GUESSES:
            return False
        decision = await self._limits.admit(scope)
        tell(scope, decision)
        if not decision.admitted:
            await _refuse(send, decision)
        return not decision.admitted


async def _refuse(send: Send, decision: Decision) -> None:
    headers = [(b"retry-after", b"%d" % decision.wait_s)]
    await send_problem(send, 429, decision.detail, headers)
