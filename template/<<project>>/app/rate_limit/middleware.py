"""The two middlewares: one decides, the other one tells, and decides on what never got so far."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Iterable

from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import GUESSES
from app.auth import is_public
from app.http.errors import send_problem
from app.rate_limit.limits import RateLimits
from app.rate_limit.policy import Decision
from app.rate_limit.policy import fields

_REPLACED = "rate_limit_replaced"  # in the scope: what is sent from now on is left out


class Admission:
    """ASGI middleware within authentication: no request passes that is not admitted.

    What is public passes uncounted: who balances must not take "too often" for "not healthy".
    `scope["rate_limit"]` is what was decided.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or is_public(scope):
            return await self._app(scope, receive, send)
        decision = await self._limits.admit(scope)
        scope["rate_limit"] = [decision]
        if decision.admitted:
            await self._app(scope, receive, send)
        else:
            await _refuse(send, decision)


class AroundAuthentication:
    """ASGI middleware that adds the header fields to every answer on which something was decided.

    What authentication refuses as a guess counts for the client's address, and beyond the limit of
    that the answer is replaced. Its other refusals are left as they are, and valid credentials are
    not held up: others at the same address may guess.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        def send_with_fields(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                decisions = scope.get("rate_limit")
                if decisions is None and scope.get("refusal") in GUESSES:
                    return self._count_guess(scope, message, send)
                if decisions:
                    message["headers"] = [*message["headers"], *fields(decisions)]
            elif _REPLACED in scope:
                return _nothing()
            return send(message)

        await self._app(scope, receive, send_with_fields)

    async def _count_guess(self, scope: Scope, start: Message, send: Send) -> None:
        decision = await self._limits.admit(scope)
        scope["rate_limit"] = [decision]
        told = fields([decision])
        if decision.admitted:
            start["headers"] = [*start["headers"], *told]
            await send(start)
        else:
            scope[_REPLACED] = True
            await _refuse(send, decision, told)


async def _refuse(send: Send, decision: Decision, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"retry-after", b"%d" % decision.wait_s), *more]
    await send_problem(send, 429, decision.detail, headers)


async def _nothing() -> None:
    pass
