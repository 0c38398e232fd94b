"""Spans leave in batches, from a thread; what does not fit, or cannot be sent, is counted."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from app.http.logs import log
from app.tracing.metrics import SPANS
from app.tracing.metrics import SPANS_DROPPED
from app.tracing.settings import TracingSettings


class _CountedExporter(SpanExporter):
    """An exporter that counts what it could not send, and says so once for each outage."""

    def __init__(self, exporter: SpanExporter, backend: str) -> None:
        self.taken = 0
        self._exporter = exporter
        self._backend = backend
        self._dropped = SPANS_DROPPED.labels(backend)
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; called by the one thread of the processor."""
        self.taken += len(spans)
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self._dropped.inc(len(spans))
        if failed and not self._failing:
            log.warning("spans_not_sent", backend=self._backend)
        if self._failing and not failed:
            log.info("spans_sent_again", backend=self._backend)
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Send nothing more."""
        self._exporter.shutdown()


class CountedBatches(BatchSpanProcessor):
    """OpenTelemetry's queue and thread; whoever ends a span never waits for either."""

    def __init__(self, exporter: SpanExporter, backend: str, settings: TracingSettings) -> None:
        self._counted = _CountedExporter(exporter, backend)
        self._most = settings.otel_bsp_max_queue_size
        batch = settings.otel_bsp_max_export_batch_size
        super().__init__(self._counted, self._most, settings.otel_bsp_schedule_delay, batch)
        self._spans = SPANS.labels(backend)
        self._dropped = SPANS_DROPPED.labels(backend)
        self._given = 0
        self._lock = Lock()

    def on_end(self, span: ReadableSpan) -> None:
        """Put a span into the queue, or drop it."""
        self._spans.inc()
        with self._lock:
            full = self._given - self._counted.taken >= self._most
            self._given += not full
        if full:
            self._dropped.inc()
        else:
            super().on_end(span)
