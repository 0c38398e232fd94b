"""A request that is sent again with its Idempotency-Key is done once, and answered as before."""

from starlette.types import ASGIApp

from app.database import Database
from app.idempotency.keys import IdempotencyKeys as IdempotencyKeys
from app.idempotency.middleware import Idempotency
from app.idempotency.openapi import describe
from app.idempotency.settings import IdempotencySettings as IdempotencySettings
from app.pattern import Pattern
from app.pattern import Resource
from app.service import Service


def _resources(service: Service) -> list[Resource]:
    return [IdempotencyKeys(service.get(Database), service.settings(IdempotencySettings))]


def _middleware(app: ASGIApp, service: Service) -> ASGIApp:
    required = service.settings(IdempotencySettings).required
    return Idempotency(app, service.get(Database), service.get(IdempotencyKeys), required=required)


pattern = Pattern(
    name="idempotency",
    settings=IdempotencySettings,
    resources=_resources,
    middleware=_middleware,
    openapi=describe,
)
