"""Who sends a request, and what handlers ask of them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException
from fastapi import Request

from app.auth.refusal import Refusal
from app.auth.refusal import count


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    id:     `key:NAME` of an API key, `jwt:SUBJECT` of a token: neither can pass for the other
    tier:   what limits hold, as a name
    scopes: what they may do; `read` and `write` are asked of every request
    """

    id: str
    tier: str
    scopes: frozenset[str]


def require(request: Request, scope: str) -> Principal:
    """The principal of the request, who has `scope`; else the request is refused (401, 403)."""
    principal: Principal | None = request.scope.get("principal")
    if principal is not None and scope in principal.scopes:
        return principal
    refusal = Refusal.MISSING if principal is None else Refusal.SCOPE
    count(refusal)
    headers = {"WWW-Authenticate": refusal.challenge}
    raise HTTPException(refusal.status, refusal.detail, headers)
