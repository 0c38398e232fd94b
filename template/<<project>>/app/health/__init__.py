"""Probes: alive, ready, started. Being alive never depends on another server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from collections.abc import Callable
from time import monotonic
from typing import Literal
from typing import Self

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.logs import log
from app.http.responses import JSONBytes
from app.pattern import Check
from app.pattern import Pattern
from app.service import Service

CHECK_TIMEOUT_S = 1.0
# Anybody may ask /health; this often, at most, is a dependency asked for it.
PUBLIC_REUSE_S = 1.0
_started_at = monotonic()


class Health(BaseModel):
    """How the service is. Answers are encoded directly; this documents them."""

    model_config = ConfigDict(alias_generator=to_camel)

    status: Literal["healthy", "degraded", "unhealthy", "starting", "draining"]
    checks: dict[str, Literal["ok", "failing"]] = {}
    uptime_seconds: float = 0.0


class Readiness:
    """Asks every check at once, and once for all who wait for an answer. Found by `service.get`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._asking: asyncio.Task[dict[str, bool]] | None = None
        self._passed: dict[str, bool] = {}
        self._passed_at = -math.inf

    async def __aenter__(self) -> Self:
        """Nothing is opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is closed: what is being asked has ended within CHECK_TIMEOUT_S."""

    async def answer(self, reuse_s: float) -> Response:
        """200 when every required check passes, else 503; each check is named with its state.

        A result that is at most `reuse_s` seconds old will do; 0 asks anew, or joins who is asking.
        The state never carries an error's text: that may hold addresses or credentials.
        """
        service = self._service
        if service.draining or not service.started:
            return _answer(503, {"status": "draining" if service.draining else "starting"})
        checks = service.checks()
        passed = self._passed
        if monotonic() - self._passed_at >= reuse_s:
            passed = await self._ask(checks)
        if not all(passed[name] for name, check in checks.items() if check.required):
            status, state = 503, "unhealthy"
        else:
            status, state = 200, "healthy" if all(passed.values()) else "degraded"
        states = {name: "ok" if ok else "failing" for name, ok in passed.items()}
        uptime = round(monotonic() - _started_at, 1)
        return _answer(status, {"status": state, "checks": states, "uptimeSeconds": uptime})

    async def _ask(self, checks: dict[str, Check]) -> dict[str, bool]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all(checks))
        return await asyncio.shield(self._asking)  # a caller that is gone leaves it to the others

    async def _ask_all(self, checks: dict[str, Check]) -> dict[str, bool]:
        passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
        self._passed = dict(zip(checks, passed, strict=True))
        self._passed_at = monotonic()
        return self._passed


async def _passes(name: str, check: Check) -> bool:
    pinging = asyncio.create_task(_ping(name, check))
    await asyncio.wait({pinging}, timeout=CHECK_TIMEOUT_S)
    if pinging.done():
        return pinging.result()
    log.warning("health_check_failed", check=name, error="no answer in time")
    pinging.cancel()  # and not awaited: a connection to a silent server takes long to let go
    return False


async def _ping(name: str, check: Check) -> bool:
    try:
        await check.ping()
    except Exception as error:  # any failure means that the dependency is away
        log.warning("health_check_failed", check=name, error=repr(error))
        return False
    return True


def _answer(status: int, document: dict[str, object]) -> Response:
    return JSONBytes(msgspec.json.encode(document), status)


async def _alive(_: Service) -> Response:
    return _answer(200, {"status": "alive"})


async def _ready(service: Service) -> Response:
    return await service.get(Readiness).answer(0)


async def _started(service: Service) -> Response:
    return _answer(200 if service.started else 503, {"started": service.started})


def _probe(
    answer: Callable[[Service], Awaitable[Response]], service: Service
) -> Callable[[Request], Awaitable[Response]]:
    async def probe(_: Request) -> Response:
        return await answer(service)

    return probe


def _internal(service: Service) -> list[Route]:
    probes = {"/livez": _alive, "/readyz": _ready, "/startupz": _started}
    return [Route(path, _probe(answer, service)) for path, answer in probes.items()]


def _public(api: APIRouter, service: Service) -> None:
    readiness = service.get(Readiness)

    @api.head("/health", include_in_schema=False)
    @api.get(
        "/health",
        response_model=Health,
        responses={503: {"model": Health, "description": "Not ready"}},
        tags=["operations"],
    )
    async def health() -> Response:
        """Whether the service is ready, and what of it is not; at most a second old."""
        return await readiness.answer(PUBLIC_REUSE_S)


def _resources(service: Service) -> list[Readiness]:
    return [Readiness(service)]


pattern = Pattern(name="health", resources=_resources, routes=_public, internal=_internal)
