"""Sessions in Redis behind a cookie: who has logged in once is known to every process."""

from __future__ import annotations

from starlette.types import ASGIApp

from app.pattern import Pattern
from app.pattern import Resource
from app.redis import RedisClient
from app.redis import RedisSettings
from app.service import Service
from app.sessions.cookie import Cookie
from app.sessions.csrf import Csrf
from app.sessions.middleware import SessionCookie
from app.sessions.openapi import describe
from app.sessions.passwords import Passwords
from app.sessions.routes import OWN
from app.sessions.routes import add_routes
from app.sessions.session import Session
from app.sessions.settings import SessionsSettings
from app.sessions.store import Sessions
from app.sessions.throttle import Throttle

__all__ = ["Passwords", "Session", "Sessions", "SessionsSettings", "Throttle", "pattern"]


def _resources(service: Service) -> list[Resource]:
    settings = service.settings(SessionsSettings)
    if settings.redis_url:
        own = {"url": settings.redis_url}
        redis = RedisClient(service.settings(RedisSettings).model_copy(update=own))
    else:
        redis = service.get(RedisClient)
    return [Sessions(redis, settings, owned=bool(settings.redis_url)), Passwords(settings)]


def _middleware(app: ASGIApp, service: Service) -> ASGIApp:
    return SessionCookie(app, service.get(Sessions), Cookie.of(service), Csrf.of(service))


pattern = Pattern(
    name="sessions",
    settings=SessionsSettings,
    resources=_resources,
    routes=add_routes,
    any_scope=OWN,
    openapi=describe,
    middleware=_middleware,
)
