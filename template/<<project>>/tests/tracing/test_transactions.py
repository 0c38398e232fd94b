"""Which spans are part of a transaction, and that none is held for good."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NonRecordingSpan
from opentelemetry.trace import Span
from opentelemetry.trace import SpanContext
from opentelemetry.trace import TraceFlags
from opentelemetry.trace import Tracer

from app.tracing import transactions
from app.tracing.transactions import Transactions

CALLER = NonRecordingSpan(SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(1)))


class Sent:
    """What was sent of the spans that its tracer made."""

    def __init__(self) -> None:
        self.transactions: list[dict[str, Any]] = []
        self.exporter = Transactions(self.transactions.append, {})
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._tracer: Tracer = provider.get_tracer("test")

    def span(self, name: str, parent: Span = CALLER) -> Span:
        """Begin one."""
        return self._tracer.start_span(name, trace.set_span_in_context(parent))

    def names(self) -> list[list[str]]:
        """The spans of each transaction, its first one in front."""
        return [
            [one["transaction"], *(span["description"] for span in one["spans"])]
            for one in self.transactions
        ]


@pytest.fixture
def sent() -> Sent:
    """Nothing yet."""
    return Sent()


def end(*spans: Span) -> None:
    """End them in this order."""
    for span in spans:
        span.end()


def test_two_transactions_of_one_trace(sent: Sent) -> None:
    one, other = sent.span("one"), sent.span("other")
    in_one, in_other = sent.span("in one", one), sent.span("in other", other)
    deeper = sent.span("deeper", in_other)
    end(in_one, deeper, in_other, one, other)
    assert sent.names() == [["one", "in one"], ["other", "in other", "deeper"]]
    assert not sent.exporter._held


def test_what_outlives_its_parent_is_part_of_it(sent: Sent) -> None:
    first = sent.span("first")
    parent = sent.span("parent", first)
    child = sent.span("child", parent)
    end(parent, child, first)
    assert sent.names() == [["first", "parent", "child"]]
    assert (sent.exporter._held, sent.exporter._count) == ({}, 0)


def test_what_outlives_its_transaction_is_not_held(sent: Sent) -> None:
    first = sent.span("first")
    early = sent.span("early", first)
    late = sent.span("late", first)
    within, after = sent.span("within", late), sent.span("after", early)
    end(early, first, within, late, after)
    assert sent.names() == [["first", "early"]]
    assert (sent.exporter._held, sent.exporter._count) == ({}, 0)


def test_what_is_known_of_the_past_is_bounded(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MOST_HELD", 10)
    for _ in range(50):
        sent.span("first").end()
    assert len(sent.exporter._gone) == 10
