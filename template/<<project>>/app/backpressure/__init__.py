"""Overload is refused early and cheaply, and no request outlives its deadline."""

from __future__ import annotations

from starlette.types import ASGIApp

from app.backpressure.limit import Limit
from app.backpressure.limiter import Limiter
from app.backpressure.metrics import watch
from app.backpressure.middleware import Backpressure
from app.backpressure.settings import BackpressureSettings
from app.backpressure.visit import long_running
from app.pattern import Pattern
from app.service import Service

__all__ = ["Backpressure", "BackpressureSettings", "long_running", "pattern"]

# Of requests whose work nobody bounds more tightly: enough for one core and some waiting.
USUAL_CONCURRENCY = 20


def _most(service: Service) -> int:
    """Twice what the scarcest resource serves at a time: it is never idle for want of requests,
    and whoever waits for it does so for about one request's time."""
    at_a_time = (p.concurrency(service) for p in service.patterns if p.concurrency)
    return 2 * min(at_a_time, default=USUAL_CONCURRENCY)


def _middleware(app: ASGIApp, service: Service) -> ASGIApp:
    settings = service.settings(BackpressureSettings)
    limit = Limit(settings.limit or _most(service), settings.latency_s)
    limiter = Limiter(limit, settings.queue, settings.wait_s)
    watch(limiter)
    return Backpressure(app, limiter, settings.deadline_s, settings.low_priority)


pattern = Pattern(
    name="backpressure",
    settings=BackpressureSettings,
    middleware=_middleware,
)
