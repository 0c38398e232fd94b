"""What is counted of the pool and of the queries, and the log of slow ones."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import asyncpg
from prometheus_client import Counter
from prometheus_client import Gauge
from sqlalchemy import Engine
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from app.http.logs import log
from app.metrics.loop import LoopHistogram
from app.metrics.loop import Observations

CONNECTIONS = Gauge("database_pool_connections", "Connections of the pool", ["state"])
WAITING = Gauge("database_pool_waiting", "Requests that wait for a connection of the pool")
TIMEOUTS = Counter("database_pool_timeouts", "Requests that got no connection in time")
RETRIES = Counter("database_read_retries", "Reads repeated because their connection broke")
DURATION = LoopHistogram(
    "database_query_duration_seconds", "Duration of database queries in seconds", ["statement"]
)


# Told of every query that has ended: its label in the metrics, the SQL if the label says nothing of
# it, the seconds it took, whether it succeeded. `sys.exception()` is why it did not.
type Watcher = Callable[[str, str | None, float, bool], None]


def watch(pool: asyncpg.Pool) -> None:
    """Report the pool's connections whenever the metrics are read."""
    CONNECTIONS.labels("idle").set_function(pool.get_idle_size)
    CONNECTIONS.labels("open").set_function(pool.get_size)
    CONNECTIONS.labels("max").set_function(pool.get_max_size)


class Clock:
    """Times queries: counted by name, logged when slow, and the last answer remembered.

    answered: when a query last succeeded, as `perf_counter` tells time
    watcher:  told of every query, if there is one
    """

    __slots__ = ("_slow_s", "answered", "watcher")

    def __init__(self, slow_s: float) -> None:
        self._slow_s = slow_s
        self.answered = 0.0
        self.watcher: Watcher | None = None

    def stop(
        self, duration: Observations, name: str, started: float, ok: bool, sql: str | None = None
    ) -> None:
        """A query that began at `started` has ended. Neither `name` nor `sql` holds values."""
        now = perf_counter()
        seconds = now - started
        duration.observe(seconds)
        if ok:
            self.answered = now
        if seconds > self._slow_s:
            log.warning("slow_query", statement=(sql or name)[:500], seconds=round(seconds, 3))
        if self.watcher:
            self.watcher(name, sql, seconds, ok)

    def attach(self, engine: Engine) -> None:
        """Time every query of SQLAlchemy, all under one name."""
        duration = DURATION.labels("session")

        @event.listens_for(engine, "before_cursor_execute", named=True)
        def begin(*, context: Any, **_: Any) -> None:
            context.started = perf_counter()

        @event.listens_for(engine, "after_cursor_execute", named=True)
        def end(*, statement: str, context: Any, **_: Any) -> None:
            self.stop(duration, "session", context.started, ok=True, sql=statement)

        @event.listens_for(engine, "handle_error")
        def failed(error: ExceptionContext) -> None:
            if started := getattr(error.execution_context, "started", None):
                self.stop(duration, "session", started, ok=False, sql=error.statement)
