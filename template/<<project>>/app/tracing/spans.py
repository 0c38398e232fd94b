"""Spans, on OpenTelemetry's API alone: it is there in any case, because FastAPI has it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field

from opentelemetry import trace
from opentelemetry.trace import NoOpTracer
from opentelemetry.trace import Span
from opentelemetry.trace import Status
from opentelemetry.trace import StatusCode
from opentelemetry.trace import Tracer
from opentelemetry.trace import format_span_id
from opentelemetry.trace import format_trace_id
from structlog.typing import EventDict

type Attribute = str | bool | int | float


@dataclass
class Telemetry:
    """What this process traces with; nothing until `Tracing` opens, and after it has closed.

    tracer:         makes the spans
    report:         tells of an exception that nobody expected, and of the work that it ended
    error_messages: whether what exceptions say may be told
    """

    tracer: Tracer = field(default_factory=NoOpTracer)
    report: Callable[[BaseException, str], None] = lambda error, work: None
    error_messages: bool = False


telemetry = Telemetry()


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[Span]:
    """A span around a block: part of the trace that is recorded here, else the first of a new one.

    name:       a constant; what varies belongs into the attributes
    attributes: sent as they are, so no personal data

        with span("price offer", items=len(items)):
            ...
    """
    parent = trace.get_current_span()
    if parent.get_span_context().is_valid and not parent.is_recording():
        yield parent  # of a trace that is not sampled
        return
    with telemetry.tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except Exception as error:
            failed(made, error)
            raise


def failed(one: Span, error: BaseException) -> None:
    """Mark a span as failed by this. What the error says is told only if the settings allow it."""
    one.set_status(Status(StatusCode.ERROR))
    one.set_attribute("error.type", kind_of(error))
    if telemetry.error_messages:
        one.record_exception(error)


def kind_of(error: BaseException) -> str:
    """An error as a bounded attribute: PostgreSQL's code for it, else its class."""
    code = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    return code if isinstance(code, str) else type(error).__qualname__


def traceparent() -> str | None:
    """The present trace as others are told of it (W3C Trace Context), or None outside of any."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    ids = f"{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}"
    return f"00-{ids}-{context.trace_flags & 1:02x}"


def add_ids(event: EventDict) -> None:
    """Put the ids of the present span into a line of the log."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
