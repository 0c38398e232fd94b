"""The trace that somebody else has begun, as W3C Trace Context tells it."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_LARGEST_STATE = 512  # what the standard asks everybody to take
_NOTHING = Context()


def parent_of(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """The context of a request's caller; an empty one if it has none, or a malformed one."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name == b"traceparent":
            carrier["traceparent"] = value.decode("latin-1")
        elif name == b"tracestate" and len(value) <= _LARGEST_STATE:
            carrier["tracestate"] = value.decode("latin-1")
    return extract(carrier) if "traceparent" in carrier else _NOTHING


def extract(carrier: dict[str, str]) -> Context:
    """The context that `traceparent` and `tracestate` describe."""
    return _PROPAGATOR.extract(carrier, _NOTHING)
