"""What is measured of calls, under names from the settings and outcomes from the code."""

from prometheus_client import Counter
from prometheus_client import Gauge
from prometheus_client import Histogram

from app.http_client.errors import NoAnswer

CALLS = Counter(
    "http_client_calls",
    "Calls by how they ended: 2xx to 5xx, or why there was no answer",
    ["upstream", "outcome"],
)
DURATION = Histogram(
    "http_client_call_duration_seconds",
    "Duration of calls in seconds, with all attempts and pauses",
    ["upstream"],
)
ATTEMPTS = Counter("http_client_attempts", "Requests sent to an upstream", ["upstream"])
RETRIES_DENIED = Counter(
    "http_client_retries_denied", "Retries that the budget did not allow", ["upstream"]
)
IN_FLIGHT = Gauge("http_client_in_flight", "Requests under way now", ["upstream"])
BREAKER = Gauge(
    "http_client_breaker_state", "0: closed, 1: half open (one probe), 2: open", ["upstream"]
)

OUTCOMES = (
    *(f"{hundreds}xx" for hundreds in range(2, 6)),
    *(error.outcome for error in NoAnswer.__subclasses__()),
    "cancelled",
    "error",
)


def begin(upstream: str) -> None:
    """Have its counters begin at 0: Prometheus misses the step to a first value."""
    for outcome in OUTCOMES:
        CALLS.labels(upstream, outcome)
