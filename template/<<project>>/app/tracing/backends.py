"""What is imported only where there is somebody to tell: the SDKs, put together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from app.tracing.batches import CountedBatches
from app.tracing.sentry import Sentry
from app.tracing.settings import TracingSettings

# They log each failure at length; it is counted, and logged once by ourselves.
_NOISY = ("opentelemetry.exporter", "opentelemetry.sdk", "urllib3.connectionpool")


class Backends:
    """The tracer, and what becomes of its spans."""

    def __init__(self, settings: TracingSettings, environment: str) -> None:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        own = Resource({"deployment.environment.name": environment})
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.otel_traces_sampler_arg)),
            resource=own.merge(Resource.create({"service.name": settings.otel_service_name})),
            shutdown_on_exit=False,
        )
        self._sentry: Sentry | None = None
        if settings.otlp:
            exporter = OTLPSpanExporter()
            self._provider.add_span_processor(CountedBatches(exporter, "otlp", settings))
        if settings.sentry_dsn:
            at = settings.sentry_environment or environment
            self._sentry = Sentry(settings.sentry_dsn.get_secret_value(), at, settings)
            self._provider.add_span_processor(self._sentry.spans)
        self.tracer = self._provider.get_tracer("app.tracing")
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            # other libraries that speak OpenTelemetry join in; this can be set only once
            trace.set_tracer_provider(self._provider)

    @property
    def report(self) -> Callable[[BaseException, str], None] | None:
        """What tells of errors, if anything does."""
        return self._sentry.report if self._sentry else None

    def close(self, seconds: float) -> None:
        """Send what waits. May take longer than `seconds` when a backend does not answer."""
        ends = monotonic() + seconds
        self._provider.shutdown()
        if self._sentry:
            self._sentry.close(max(0.0, ends - monotonic()))
