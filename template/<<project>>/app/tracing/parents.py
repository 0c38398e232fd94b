"""The trace that somebody else has begun, as W3C Trace Context tells it."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_LARGEST_STATE = 512  # what the standard asks everybody to take
NO_PARENT = Context()


def parent_of(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """The context of a request's caller; an empty one if it has none, or a malformed one."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name == b"traceparent":
            carrier["traceparent"] = value.decode("latin-1")
        elif name == b"tracestate" and len(value) <= _LARGEST_STATE:
            carrier["tracestate"] = value.decode("latin-1")
    return extract(carrier) if "traceparent" in carrier else NO_PARENT


def context_of(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    """The ids of a request's caller, and nothing of what else it says of its trace."""
    caller = trace.get_current_span(parent_of(headers)).get_span_context()
    return SpanContext(caller.trace_id, caller.span_id, is_remote=True) if caller.is_valid else None


def extract(carrier: dict[str, str]) -> Context:
    """The context that `traceparent` and `tracestate` describe."""
    return _PROPAGATOR.extract(carrier, NO_PARENT)
