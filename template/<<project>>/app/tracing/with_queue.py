"""The trace of a request goes on in its jobs, in whichever process they are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from contextlib import contextmanager
from typing import Any
from typing import Self

from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.trace import SpanKind

from app.pattern import Pattern
from app.queue import Kind
from app.queue import Queue
from app.queue.attempt import Attempt
from app.service import Service
from app.tracing.parents import NO_PARENT
from app.tracing.parents import extract
from app.tracing.spans import failed
from app.tracing.spans import telemetry
from app.tracing.spans import traceparent
from app.tracing.tracing import Tracing


class TracedJobs(AbstractAsyncContextManager["TracedJobs"]):
    """While it is open, the trace is stored with each job, and each attempt has a span in it.

    A job that was enqueued outside of any trace begins one.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._before = queue.enqueuing, queue.attempting

    async def __aenter__(self) -> Self:
        self._queue.enqueuing, self._queue.attempting = enqueuing, attempting
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queue.enqueuing, self._queue.attempting = self._before


@contextmanager
def enqueuing(kind: Kind[Any]) -> Iterator[str | None]:
    """Around the enqueuing of a job: what is stored with it."""
    if not trace.get_current_span().is_recording():
        yield traceparent()
        return
    with telemetry.tracer.start_as_current_span(
        f"send {kind.name}",
        kind=SpanKind.PRODUCER,
        attributes=_attributes("send", kind),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield traceparent()
        except Exception as error:
            failed(span, error)
            raise


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Around an attempt at a job. The error of the last one is reported, others are tried again."""
    kind, stored = attempt.handler.kind, attempt.row["context"]
    span = telemetry.tracer.start_span(
        f"process {kind.name}",
        extract({"traceparent": stored}) if stored else NO_PARENT,
        SpanKind.CONSUMER,
        {
            **_attributes("process", kind),
            "messaging.message.id": str(attempt.row["id"]),
            "messaging.message.delivery_count": attempt.row["attempts"],
        },
    )
    with trace.use_span(span, end_on_exit=True, record_exception=False):
        try:
            yield
        finally:
            _judge(span, attempt)


def _judge(span: Span, attempt: Attempt) -> None:
    if attempt.outcome:
        span.set_attribute("job.outcome", attempt.outcome)
    if attempt.cause:
        failed(span, attempt.cause)
        if attempt.last:
            telemetry.report(attempt.cause, f"process {attempt.handler.kind.name}")


def _attributes(operation: str, kind: Kind[Any]) -> dict[str, Any]:
    """As OpenTelemetry's conventions for messaging name it; the system is none of theirs."""
    return {
        "messaging.system": "postgresql",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": kind.name,
    }


def _resources(service: Service) -> list[TracedJobs]:
    return [TracedJobs(service.get(Queue))] if service.get(Tracing).on else []


pattern = Pattern(name="tracing", resources=_resources)
