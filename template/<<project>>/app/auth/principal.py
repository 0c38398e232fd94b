"""Who sends a request, and what handlers ask of them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException
from fastapi import Request

from app.auth.refusal import Refusal
from app.auth.refusal import count
from app.auth.refusal import detail_of


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    id:     `key:NAME` of an API key, `jwt:SUBJECT` of a token: none can pass for another
    tier:   what limits hold, as a name
    scopes: what they may do; `read` and `write` are asked of every request
    """

    id: str
    tier: str
    scopes: frozenset[str]


def known(request: Request) -> Principal:
    """The principal of the request; without one the request is refused (401)."""
    principal: Principal | None = request.scope.get("principal")
    if principal is None:
        raise _refused(request, Refusal.MISSING)
    return principal


def require(request: Request, scope: str) -> Principal:
    """The principal of the request, who has `scope`; else the request is refused (401, 403)."""
    principal = known(request)
    if scope not in principal.scopes:
        raise _refused(request, Refusal.SCOPE)
    return principal


def _refused(request: Request, refusal: Refusal) -> HTTPException:
    count(refusal)
    headers = {"WWW-Authenticate": refusal.challenge}
    return HTTPException(refusal.status, detail_of(refusal, request.scope), headers)
