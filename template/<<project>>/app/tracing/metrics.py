"""What becomes of spans, and of what Sentry gets of them."""

from prometheus_client import Counter

SPANS = Counter("tracing_spans", "Spans recorded for a backend, otlp or sentry", ["backend"])
SPANS_DROPPED = Counter("tracing_spans_dropped", "Those of them that were not sent", ["backend"])
EVENTS = Counter("tracing_events", "Errors and transactions for Sentry", ["kind"])
EVENTS_DROPPED = Counter("tracing_events_dropped", "Those of them that Sentry did not get")
