"""Spans of calls to upstreams, which are told of the trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from contextlib import contextmanager
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.trace import SpanKind
from opentelemetry.trace import Status
from opentelemetry.trace import StatusCode

from app.http_client import Call
from app.http_client import HttpClient
from app.pattern import Pattern
from app.service import Service
from app.tracing.spans import Attribute
from app.tracing.spans import failed
from app.tracing.spans import telemetry
from app.tracing.spans import traceparent
from app.tracing.tracing import Tracing


class TracedCalls(AbstractAsyncContextManager["TracedCalls"]):
    """While it is open, each attempt of a call has a span if its request or job is recorded."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        self._client.watch(attempting)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.watch(None)


@contextmanager
def attempting(call: Call) -> Iterator[None]:
    """Around an attempt. The upstream is told of the trace, sampled or not."""
    if not trace.get_current_span().is_recording():
        _tell_upstream(call)
        yield
        return
    with telemetry.tracer.start_as_current_span(
        f"{call.method} {call.upstream}",
        kind=SpanKind.CLIENT,
        attributes=_attributes(call),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        _tell_upstream(call)
        try:
            yield
        except Exception as error:
            failed(span, error)
            raise
        if call.status is not None:
            _judge(span, call.status)


def _tell_upstream(call: Call) -> None:
    if present := traceparent():
        call.headers["traceparent"] = present


def _attributes(call: Call) -> dict[str, Attribute]:
    """As OpenTelemetry's conventions for HTTP clients name it; below the base URL, the path and the
    query may hold what a client has sent."""
    base = urlsplit(call.base_url)
    attributes: dict[str, Attribute] = {
        "http.request.method": call.method,
        "server.address": base.hostname or "",
        "server.port": base.port or (443 if base.scheme == "https" else 80),
        "url.full": call.base_url,
    }
    if call.attempt > 1:
        attributes["http.request.resend_count"] = call.attempt - 1
    return attributes


def _judge(span: Span, status: int) -> None:
    """For whoever asked, 4xx is a failure, too."""
    span.set_attribute("http.response.status_code", status)
    if status >= 400:
        span.set_status(Status(StatusCode.ERROR))
        span.set_attribute("error.type", str(status))


def _resources(service: Service) -> list[TracedCalls]:
    return [TracedCalls(service.get(HttpClient))] if service.get(Tracing).on else []


pattern = Pattern(name="tracing", resources=_resources)
