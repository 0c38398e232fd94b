"""Spans as Sentry's transactions: the first span of this process, with all that belong to it.

https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind
from opentelemetry.trace import StatusCode
from opentelemetry.trace import format_span_id
from opentelemetry.trace import format_trace_id

# What one transaction may hold, and what is held until their first spans end; of so many that were
# sent the ids are known, too.
MOST_SPANS = 1000
MOST_HELD = 10_000

_OPERATIONS = {
    SpanKind.SERVER: "http.server",
    SpanKind.PRODUCER: "queue.publish",
    SpanKind.CONSUMER: "queue.process",
}


class Transactions(SpanExporter):
    """Gathers the spans of a trace until its first one here has ended; what ends later, such as a
    task that outlives its request, is in no transaction.

    capture: sends a transaction
    common:  what the head of each says beside its trace
    """

    def __init__(
        self, capture: Callable[[dict[str, Any]], object], common: Mapping[str, str]
    ) -> None:
        self._capture = capture
        self._common = common
        self._held: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._count = 0
        self._gone: OrderedDict[int, None] = OrderedDict()  # ids of spans that are no longer held

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called by the one thread of the processor, in the order in which the spans ended."""
        for span in spans:
            if span.parent is None or span.parent.is_remote:
                self._capture(self._transaction(span))
            elif span.parent.span_id in self._gone:
                self._take(span)
            else:
                self._hold(span)
        return SpanExportResult.SUCCESS

    def _hold(self, span: ReadableSpan) -> None:
        self._held.setdefault(span.context.trace_id, []).append(span)
        self._count += 1
        while self._count > MOST_HELD:  # what waits longest: its first span was dropped, or is slow
            self._count -= len(self._held.popitem(last=False)[1])

    def _take(self, first: ReadableSpan) -> list[ReadableSpan]:
        """The spans that this one has led to, no longer held; others of the trace stay."""
        held = self._held.pop(first.context.trace_id, [])
        children: dict[int, list[ReadableSpan]] = {}
        for span in reversed(held):
            if span.parent:
                children.setdefault(span.parent.span_id, []).append(span)
        below, above = [], [first.context.span_id]
        while above:
            found = children.pop(above.pop(), [])
            below += found
            above += [span.context.span_id for span in found]
        taken = dict.fromkeys(span.context.span_id for span in below)
        if others := [span for span in held if span.context.span_id not in taken]:
            self._held[first.context.trace_id] = others
        self._count -= len(below)
        self._gone.update(taken | {first.context.span_id: None})
        while len(self._gone) > MOST_HELD:
            self._gone.popitem(last=False)
        return below

    def _transaction(self, first: ReadableSpan) -> dict[str, Any]:
        below = self._take(first)[:MOST_SPANS]
        trace = _described(first)
        trace_id = trace["trace_id"]
        times = {name: trace.pop(name) for name in ("start_timestamp", "timestamp")}
        del trace["description"]
        trace["dynamic_sampling_context"] = {**self._common, "trace_id": trace_id}
        has_route = "http.route" in (first.attributes or {})
        return {
            "type": "transaction",
            "platform": "python",
            "transaction": first.name,
            "transaction_info": {"source": "route" if has_route else "task"},
            "contexts": {"trace": trace},
            "spans": [_described(span) for span in below],
            **times,
        }


def _described(span: ReadableSpan) -> dict[str, Any]:
    """A span as Sentry wants it."""
    attributes = dict(span.attributes or {})
    return {
        "trace_id": format_trace_id(span.context.trace_id),
        "span_id": format_span_id(span.context.span_id),
        "parent_span_id": format_span_id(span.parent.span_id) if span.parent else None,
        "op": _operation(span.kind, attributes),
        "description": attributes.get("db.query.text", span.name),
        "status": "internal_error" if span.status.status_code is StatusCode.ERROR else "ok",
        "data": attributes,
        "origin": "auto.app",
        "start_timestamp": (span.start_time or 0) / 1e9,
        "timestamp": (span.end_time or 0) / 1e9,
    }


def _operation(kind: SpanKind, attributes: Mapping[str, Any]) -> str:
    if system := attributes.get("db.system.name"):
        return "db.redis" if system == "redis" else "db"
    if kind is SpanKind.CLIENT and "http.request.method" in attributes:
        return "http.client"
    return _OPERATIONS.get(kind, "function")
