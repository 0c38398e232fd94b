"""A span for each request, named by its route."""

from __future__ import annotations

from opentelemetry import context
from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.trace import SpanKind
from opentelemetry.trace import Status
from opentelemetry.trace import StatusCode
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import is_public
from app.http.methods import METHODS
from app.tracing.parents import NO_PARENT
from app.tracing.parents import context_of
from app.tracing.parents import parent_of
from app.tracing.spans import failed
from app.tracing.spans import telemetry


class TracedRequests:
    """ASGI middleware. What is public, the health of the service, is not traced.

    Of a request nothing is told but its method, its route's template and the status of the answer:
    paths, queries, headers, bodies and addresses may be personal.
    """

    def __init__(self, app: ASGIApp, *, trust_callers: bool) -> None:
        self._app = app
        self._trust_callers = trust_callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if is_public(scope):
            # what stands here is of the request before this one on the same connection
            context.attach(NO_PARENT)
            return await self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        span = self._begin(method, scope)
        # and not detached: the line of the log at the end of the request is to have the ids, too
        context.attach(trace.set_span_in_context(span, NO_PARENT))
        sending = _watched(span, send) if span.is_recording() else send
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            failed(span, error)
            telemetry.report(error, _name(method, scope))
            raise
        finally:
            if span.is_recording():
                _describe(span, method, scope)
            span.end()

    def _begin(self, method: str, scope: Scope) -> Span:
        """A span of the caller's trace, or the first one of a new trace, linked to the caller's.

        Who may choose the id of a trace decides by it, too, whether the trace is recorded.
        """
        if self._trust_callers:
            return telemetry.tracer.start_span(method, parent_of(scope["headers"]), SpanKind.SERVER)
        span = telemetry.tracer.start_span(method, NO_PARENT, SpanKind.SERVER)
        if span.is_recording() and (caller := context_of(scope["headers"])):
            span.add_link(caller)
        return span


def _watched(span: Span, send: Send) -> Send:
    async def send_watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute("error.type", str(status))
        await send(message)

    return send_watched


def _name(method: str, scope: Scope) -> str:
    """`GET /users/{user_id}`, or the method alone where no route is."""
    route = getattr(scope.get("route"), "path", None)
    name = "HTTP" if method == "_OTHER" else method
    return f"{name} {route}" if route else name


def _describe(span: Span, method: str, scope: Scope) -> None:
    """Tell what is known at the end, as OpenTelemetry's conventions for HTTP name it."""
    span.update_name(_name(method, scope))
    span.set_attribute("http.request.method", method)
    span.set_attribute("url.scheme", scope["scheme"])
    if route := getattr(scope.get("route"), "path", None):
        span.set_attribute("http.route", route)
