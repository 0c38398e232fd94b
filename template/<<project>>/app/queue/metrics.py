"""What is counted of jobs. Labels are bounded: kinds that the service has, `other` for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter
from prometheus_client import Gauge
from prometheus_client import Histogram
from sqlalchemy import Integer
from sqlalchemy import bindparam
from sqlalchemy import extract
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import select
from sqlalchemy import union_all

from app.database import Statement
from app.queue.models import TABLE

JOBS = Gauge("queue_jobs", "Jobs, counted up to 10,000 a state", ["state", "kind"])
OLDEST = Gauge("queue_oldest_ready_seconds", "How long the oldest ready job has been ready")
RUNNING = Gauge("queue_running", "Jobs that this worker runs now")
ENQUEUED = Counter("queue_enqueued", "Jobs that this process asked for", ["kind"])
DURATION = Histogram(
    "queue_job_duration_seconds",
    "Duration of attempts in seconds, by how they ended: done, error, timeout, handed_back, lost",
    ["kind", "outcome"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
)
RETRIES = Counter("queue_retries", "Attempts that failed and are followed by another", ["kind"])
CRASHES = Counter("queue_crashes", "Attempts whose worker died", ["kind"])
DEAD = Counter("queue_dead_letters", "Jobs that failed for good", ["kind"])

STATES = ("ready", "delayed", "running", "failed")
MOST = 10_000

# Each state by itself and no further than :most, so that a large backlog costs no more to look at.
_some = union_all(
    *(
        select(TABLE.c.state, TABLE.c.kind)
        .where(TABLE.c.state == literal_column(f"'{state}'"))
        .limit(bindparam("most", type_=Integer))
        for state in STATES
    )
).subquery()
COUNT = Statement(
    "job_count",
    select(_some.c.state, _some.c.kind, func.count().label("jobs")).group_by(
        _some.c.state, _some.c.kind
    ),
)
AGE = Statement(
    "job_age",
    select(extract("epoch", func.clock_timestamp() - func.min(TABLE.c.due_at)).label("age")).where(
        TABLE.c.state == literal_column("'ready'")
    ),
)


def begin(kinds: Iterable[str]) -> None:
    """Have the counters of these kinds begin at 0: Prometheus misses the step to a first value."""
    for kind in (*kinds, "other"):
        for counter in (RETRIES, CRASHES, DEAD):
            counter.labels(kind)


def show(counted: Iterable[Any], oldest_s: float | None, kinds: Iterable[str]) -> None:
    """Set the gauges to what COUNT and AGE have given."""
    known = set(kinds)
    depth = {(state, kind): 0 for state in STATES for kind in (*known, "other")}
    for row in counted:
        depth[row["state"], row["kind"] if row["kind"] in known else "other"] += row["jobs"]
    for (state, kind), jobs in depth.items():
        JOBS.labels(state, kind).set(jobs)
    OLDEST.set(oldest_s or 0)
