"""The two middlewares: one decides, the other one tells, and decides on what never got so far."""

from __future__ import annotations

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
        replaced = False

        async def send_with_fields(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                decisions = scope.get("rate_limit")
                if decisions is None and scope.get("refusal") in GUESSES:
                    decision = await self._limits.admit(scope)
                    scope["rate_limit"] = decisions = [decision]
                    if not decision.admitted:
                        # not by way of this function: what knows itself is left to the collector
                        # of cycles, with all that a request has
                        await _refuse(send, decision, fields(decisions))
                        replaced = True
                        return
                if decisions:
                    message["headers"] = [*message["headers"], *fields(decisions)]
            elif replaced:
                return
            await send(message)

        await self._app(scope, receive, send_with_fields)


async def _refuse(send: Send, decision: Decision, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"retry-after", b"%d" % decision.wait_s), *more]
    await send_problem(send, 429, decision.detail, headers)
