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
from app.settings import SettingsError
from app.shutdown import ShutdownSettings

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
    _check(service, settings.deadline_s)
    limit = Limit(settings.limit or _most(service), settings.latency_s)
    limiter = Limiter(limit, settings.queue, settings.wait_s)
    watch(limiter)
    streamed = [path for path, bound in service.body_bounds.items() if bound.streamed]
    return Backpressure(app, limiter, settings.deadline_s, settings.low_priority, streamed)


def _check(service: Service, deadline_s: float) -> None:
    """SettingsError in production when a shutdown would cut off what is still in time."""
    if not service.core.production:
        return
    shutdown = service.settings(ShutdownSettings)
    if deadline_s + shutdown.drain_s >= shutdown.force_s:
        raise SettingsError(
            f"BACKPRESSURE_DEADLINE_S ({deadline_s:g}) and SHUTDOWN_DRAIN_S ({shutdown.drain_s:g}) "
            f"must be less together than SHUTDOWN_FORCE_S ({shutdown.force_s:g}): "
            "a shutdown would cut requests off."
        )


pattern = Pattern(
    name="backpressure",
    settings=BackpressureSettings,
    middleware=_middleware,
)
