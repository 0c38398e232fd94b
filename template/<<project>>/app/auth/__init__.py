"""Authentication: who sends a request, and what they may do. Nothing is open unless it says so."""

from __future__ import annotations

from starlette.types import ASGIApp

from app.auth.command import API_KEY
from app.auth.keyset import KeySet
from app.auth.middleware import Authentication
from app.auth.middleware import is_public
from app.auth.openapi import describe_security
from app.auth.principal import Principal
from app.auth.principal import known
from app.auth.principal import require
from app.auth.refusal import GUESSES
from app.auth.settings import AuthSettings
from app.auth.tokens import Tokens
from app.pattern import Pattern
from app.pattern import Resource
from app.service import Service

__all__ = [
    "GUESSES",
    "AuthSettings",
    "Authentication",
    "Principal",
    "describe_security",
    "is_public",
    "known",
    "pattern",
    "require",
]


def _resources(service: Service) -> list[Resource]:
    issuer = service.settings(AuthSettings).issuer()
    return [KeySet(issuer.keys_url)] if issuer else []


def _middleware(app: ASGIApp, service: Service) -> ASGIApp:
    settings = service.settings(AuthSettings)
    issuer = settings.issuer()
    tokens = Tokens(issuer, service.get(KeySet)) if issuer else None
    return Authentication(
        app,
        settings.principals(),
        tokens,
        public_reads=settings.public_reads,
        open_routes=service.open_routes,
        any_scope_routes=service.any_scope_routes,
    )


pattern = Pattern(
    name="auth",
    settings=AuthSettings,
    resources=_resources,
    middleware=_middleware,
    commands=(API_KEY,),
)
