"""Spans of the commands that requests send to Redis."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from typing import Self

from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.trace import SpanKind

from app.pattern import Pattern
from app.redis import Argument
from app.redis import RedisClient
from app.service import Service
from app.tracing.spans import failed
from app.tracing.spans import telemetry
from app.tracing.tracing import Tracing


class TracedCommands(AbstractAsyncContextManager["TracedCommands"]):
    """While it is open, each command of a request or job that is recorded has a span."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def __aenter__(self) -> Self:
        self._redis.watcher = record
        return self

    async def __aexit__(self, *_: object) -> None:
        self._redis.watcher = None


def record(command: Sequence[Argument], reply: Future[Any]) -> None:
    """Begin a span that ends with the reply. Keys and values may be personal; they are left out."""
    if not trace.get_current_span().is_recording():
        return
    name = str(command[0])
    attributes = {"db.system.name": "redis", "db.operation.name": name}
    span = telemetry.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
    reply.add_done_callback(partial(_end, span))


def _end(span: Span, reply: Future[Any]) -> None:
    if not reply.cancelled() and (error := reply.exception()):
        failed(span, error)
    span.end()


def _resources(service: Service) -> list[TracedCommands]:
    return [TracedCommands(service.get(RedisClient))] if service.get(Tracing).on else []


pattern = Pattern(name="tracing", resources=_resources)
