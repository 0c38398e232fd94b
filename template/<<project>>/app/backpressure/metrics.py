"""What is counted."""

from __future__ import annotations

from prometheus_client import Counter
from prometheus_client import Gauge

from app.backpressure.limiter import REASONS
from app.backpressure.limiter import Limiter

IN_FLIGHT = Gauge("backpressure_in_flight_requests", "Requests that have a place")
QUEUED = Gauge("backpressure_queued_requests", "Requests that wait for a place")
LIMIT = Gauge("backpressure_limit_requests", "Requests that may have a place at once")
_DEADLINES = Counter(
    "backpressure_deadline_exceeded", "Requests not answered by their deadline", ["whose"]
)
# Whoever has chosen it: BACKPRESSURE_DEADLINE_S, or the client that waits for less.
DEADLINES = {whose: _DEADLINES.labels(whose) for whose in ("service", "client")}
_SHED = Counter("backpressure_shed_requests", "Requests that were not served", ["reason"])
SHED = {reason: _SHED.labels(reason) for reason in REASONS}


def watch(limiter: Limiter) -> None:
    """Report the limiter whenever the metrics are read."""
    IN_FLIGHT.set_function(lambda: limiter.in_flight)
    QUEUED.set_function(lambda: limiter.queued)
    LIMIT.set_function(lambda: limiter.limit)
