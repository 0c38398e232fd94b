"""Spans of queries, of statements and sessions alike."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractAsyncContextManager
from time import time_ns
from typing import Self

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from app.database import Database
from app.pattern import Pattern
from app.service import Service
from app.tracing.spans import failed
from app.tracing.spans import telemetry
from app.tracing.tracing import Tracing

# Of the SQL of a session so much is sent, and of what stands in it as it is, nothing.
LONGEST_SQL = 2000
# What is cut off goes on to the end, and so does a comment that has another one in it.
_TOKEN = re.compile(
    r"""
    (?P<name> "(?:[^"]|"")*(?:"|\Z) )               # "o'brien"
    | (?P<comment>
        --[^\n]*                                    # -- it's
        | /\*(?:(?!/\*|\*/).)*\*/ | /\*.*          # /* it's */
      )
    | \b[eE]'(?:[^'\\]|\\(?:.|\Z)|'')*(?:'|\Z)         # E'it\'s'
    | '(?:[^']|'')*(?:'|\Z)                         # 'it''s'
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)  # $tag$it's$tag$
    | (?<![\w$.])\d[\w.]*                          # 12.5e3
    """,
    re.DOTALL | re.VERBOSE,
)
_OPERATION = re.compile(r"\s*([A-Za-z]{1,20})")


class TracedQueries(AbstractAsyncContextManager["TracedQueries"]):
    """While it is open, each query of a request or job that is recorded has a span."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Self:
        self._database.watch(record)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._database.watch(None)


def record(name: str, sql: str | None, seconds: float, ok: bool) -> None:
    """Make a span of a query that has just ended. Values are never part of it.

    A `Statement` is known by its name, the query of a session by its SQL.
    """
    if not trace.get_current_span().is_recording():
        return
    ended = time_ns()
    attributes = {"db.system.name": "postgresql"}
    if sql is None:
        attributes["db.query.summary"] = name
    else:
        text = without_literals(sql)
        found = _OPERATION.match(text)
        name = found[1].upper() if found else "SQL"
        attributes |= {"db.operation.name": name, "db.query.text": text}
    span = telemetry.tracer.start_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, start_time=ended - int(seconds * 1e9)
    )
    error = None if ok else sys.exception()
    if error:
        failed(span, error)
    span.end(ended)


def without_literals(sql: str) -> str:
    """SQL whose strings and numbers are `?`, without comments, cut to LONGEST_SQL; parameters have
    no values in it.

    >>> without_literals("SELECT a1 FROM t WHERE b = 'x''y' AND c = $1 LIMIT 10 -- it's all")
    'SELECT a1 FROM t WHERE b = ? AND c = $1 LIMIT ?'
    """
    return _TOKEN.sub(_blanked, sql[: 2 * LONGEST_SQL]).strip()[:LONGEST_SQL]


def _blanked(token: re.Match[str]) -> str:
    if token["name"]:
        return token[0]
    return " " if token["comment"] else "?"


def _resources(service: Service) -> list[TracedQueries]:
    return [TracedQueries(service.get(Database))] if service.get(Tracing).on else []


pattern = Pattern(name="tracing", resources=_resources)
