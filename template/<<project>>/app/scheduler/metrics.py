"""What is counted of schedules. Labels are bounded: the schedules that the service has."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter
from prometheus_client import Gauge
from prometheus_client import Histogram

TICKS = Counter(
    "scheduler_ticks",
    "Ticks by what became of them: run, or overlapped, that is skipped for the job before",
    ["schedule", "outcome"],
)
MISSED = Counter("scheduler_missed", "Times that ticks were found missed", ["schedule"])
FAILURES = Counter("scheduler_failures", "Ticks that failed and are tried again", ["schedule"])
LATENESS = Histogram(
    "scheduler_lateness_seconds",
    "How long after its tick a job was enqueued",
    buckets=(0.05, 0.1, 0.5, 1, 2, 5, 10, 60, 600, 3600),
)
NEXT = Gauge("scheduler_next_tick_seconds", "The next tick, as a Unix time", ["schedule"])
LAST = Gauge("scheduler_last_tick_seconds", "The last tick that made a job", ["schedule"])


def begin(schedules: Iterable[str]) -> None:
    """Have the counters begin at 0: Prometheus misses the step to a first value."""
    for schedule in schedules:
        MISSED.labels(schedule)
        FAILURES.labels(schedule)
        for outcome in ("run", "overlapped"):
            TICKS.labels(schedule, outcome)
