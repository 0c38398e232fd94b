"""Probes: alive, ready, started. Being alive never depends on another server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from time import monotonic

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.logs import log
from app.http.responses import JSONBytes
from app.pattern import Check
from app.pattern import Pattern
from app.service import Service

CHECK_TIMEOUT_S = 1.0
_started_at = monotonic()


async def readiness(service: Service) -> Response:
    """200 when every required check passes, else 503; each check is named with its state.

    The state never carries an error's text: that may hold addresses or credentials.
    """
    if service.draining or not service.started:
        state = "draining" if service.draining else "starting"
        return _answer(503, {"status": state})
    checks = service.checks()
    passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    failing = {name for name, ok in zip(checks, passed, strict=True) if not ok}
    if any(checks[name].required for name in failing):
        status, state = 503, "unhealthy"
    else:
        status, state = 200, "degraded" if failing else "healthy"
    states = {name: "failing" if name in failing else "ok" for name in checks}
    uptime = round(monotonic() - _started_at, 1)
    return _answer(status, {"status": state, "checks": states, "uptimeSeconds": uptime})


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


async def _started(service: Service) -> Response:
    return _answer(200 if service.started else 503, {"started": service.started})


def _probe(
    answer: Callable[[Service], Awaitable[Response]], service: Service
) -> Callable[[Request], Awaitable[Response]]:
    async def probe(_: Request) -> Response:
        return await answer(service)

    return probe


def _internal(service: Service) -> list[Route]:
    probes = {"/livez": _alive, "/readyz": readiness, "/startupz": _started}
    return [Route(path, _probe(answer, service)) for path, answer in probes.items()]


def _public(api: APIRouter, service: Service) -> None:
    @api.api_route("/health", methods=["GET", "HEAD"], tags=["operations"])
    async def health() -> Response:
        """Whether the service is ready, and what of it is not."""
        return await readiness(service)


pattern = Pattern(name="health", routes=_public, internal=_internal)
