"""The limits of the service: by Redis for all processes, by each for itself while Redis is away."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Scope

from app.auth import Principal
from app.metrics.loop import LoopCounter
from app.rate_limit.local import LocalLogs
from app.rate_limit.policy import Decision
from app.rate_limit.policy import Policy
from app.rate_limit.policy import tell
from app.rate_limit.sender import address
from app.rate_limit.settings import RateLimitSettings
from app.rate_limit.shared import ADMIT
from app.redis import RedisClient

DECISIONS = LoopCounter("rate_limit_decisions", "Requests decided on", ["decision", "by"])
ADMITTED = DECISIONS.labels("admitted", "redis")
REFUSED = DECISIONS.labels("refused", "redis")
ADMITTED_LOCALLY = DECISIONS.labels("admitted", "process")
REFUSED_LOCALLY = DECISIONS.labels("refused", "process")


class RateLimits(AbstractAsyncContextManager["RateLimits"]):
    """Decides on requests; a refused one uses nothing up."""

    def __init__(self, redis: RedisClient, settings: RateLimitSettings) -> None:
        self._admit = redis.script(ADMIT)
        self._local = LocalLogs(settings.replicas)
        self._prefix = f"{settings.prefix}:".encode()
        window_s = settings.window_s
        self._tiers = {name: Policy(name, n, window_s) for name, n in settings.tiers.items()}
        self._lowest = min(self._tiers.values(), key=lambda policy: policy.limit)
        self._anonymous = Policy("anonymous", settings.anonymous, window_s)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    def admit(self, scope: Scope) -> Awaitable[Decision]:
        """Decide on a request: by its principal's tier, else by its client's address."""
        principal: Principal | None = scope.get("principal")
        if principal is None:
            return self._decide(self._anonymous, address(scope))
        return self._decide(self._tiers.get(principal.tier, self._lowest), principal.id)

    def route(
        self, name: str, limit: int, window_s: int = 60
    ) -> Callable[[Request], Awaitable[None]]:
        """A further limit for what is costly; what asks for the same name shares it.

        It is called in the handler or, in one line, given to the route:
        `dependencies=[Depends(service.get(RateLimits).route("reports", limit=10))]`.
        """
        policy = Policy(name, limit, window_s)

        async def check(request: Request) -> None:
            scope = request.scope
            principal: Principal | None = scope.get("principal")
            sender = principal.id if principal else address(scope)
            decision = await self._decide(policy, f"route:{name}:{sender}")
            tell(scope, decision)
            if not decision.admitted:
                raise HTTPException(429, decision.detail, {"Retry-After": str(decision.wait_s)})

        return check

    async def _decide(self, policy: Policy, sender: str) -> Decision:
        # a token's subject is any text, also half a surrogate pair
        key = self._prefix + sender.encode(errors="surrogatepass")
        try:
            remaining, wait_us = await self._admit([key], *policy.arguments)
        except RedisError:
            remaining, wait_us = self._local.admit(policy, sender)
            (ADMITTED_LOCALLY if remaining >= 0 else REFUSED_LOCALLY).inc()
        else:
            (ADMITTED if remaining >= 0 else REFUSED).inc()
        return Decision(policy, remaining, wait_us)
