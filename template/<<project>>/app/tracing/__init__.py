"""Traces of requests and jobs, and errors, to OpenTelemetry, Sentry or both."""

from __future__ import annotations

from starlette.types import ASGIApp

from app.pattern import Pattern
from app.service import Service
from app.tracing import metrics  # noqa: F401 - they are shown also where nobody is told anything
from app.tracing.middleware import TracedRequests
from app.tracing.settings import TracingSettings
from app.tracing.spans import span
from app.tracing.spans import traceparent
from app.tracing.tracing import Tracing

__all__ = ["Tracing", "TracingSettings", "pattern", "span", "traceparent"]


def _middleware(app: ASGIApp, service: Service) -> ASGIApp:
    settings = service.settings(TracingSettings)
    if not settings.on:
        return app
    return TracedRequests(app, trust_callers=settings.tracing_trust_callers)


pattern = Pattern(
    name="tracing",
    settings=TracingSettings,
    resources=lambda service: [Tracing(service)],
    middleware=_middleware,
)
