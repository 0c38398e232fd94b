"""One trace from a request to its job, which another process does.

That process is `python -m tests.tracing.test_with_queue worker`, the service with one job more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import text

from app.commands import main
from app.database import Database
from app.http.logs import log
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Job
from app.queue import Kind
from app.queue import Queue
from app.service import Service
from app.tracing import span
from tests.http.asgi import call
from tests.queue.processes import Started
from tests.queue.processes import processes
from tests.tracing.conftest import ME
from tests.tracing.conftest import Open
from tests.tracing.conftest import Traced
from tests.tracing.conftest import until
from tests.tracing.ingest import Ingest
from tests.tracing.ingest import Span

pytestmark = pytest.mark.anyio


class Work(msgspec.Struct, frozen=True):
    """What there is to do."""

    fails: bool = False


WORK = Kind("traced_work", Work, attempts=2, backoff_s=0)


def handlers(service: Service) -> list[Handler[Any]]:
    """Who does it."""
    database = service.get(Database)

    async def run(job: Job[Work]) -> None:
        with span("work"):
            log.info("working")
            async with database.session() as session:
                await session.execute(text("SELECT 1"))
            if job.payload.fails:
                raise LookupError("hunter" + "2")

    return [Handler(kind=WORK, run=run)]


@pytest.fixture
def worker(
    servers: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> Iterator[Started]:
    """A worker that samples nothing of its own."""
    settings = {**environment, "OTEL_TRACES_SAMPLER_ARG": "0", "QUEUE_POLL_S": "0.1"}
    with processes("tests.tracing.test_with_queue", "worker", tmp_path, **settings) as start:
        yield start()


def add_routes(traced: Traced) -> None:
    """What enqueues."""
    queue, database = traced.service.get(Queue), traced.service.get(Database)

    @traced.api.post("/alone")
    async def alone(fails: bool = False) -> None:
        await queue.enqueue(WORK, Work(fails))

    @traced.api.post("/together")
    async def together() -> None:
        async with database.session() as session:
            await queue.enqueue(WORK, Work(), session=session, key="one")


def lineage(ingest: Ingest, one: Span) -> list[str]:
    """The names from the first span of a trace to this one."""
    by_id = {span.span_id: span for span in ingest.spans}
    names = [one.name]
    while parent := by_id.get(one.parent_id):
        one = parent
        names.insert(0, one.name)
    return names


@pytest.mark.parametrize("path", ["/alone", "/together"])
async def test_the_job_is_part_of_the_trace(
    open_service: Open, ingest: Ingest, worker: Started, path: str
) -> None:
    async with open_service() as traced:
        add_routes(traced)
        await call(traced.app, "POST", path, ME)
        await until(lambda: ingest.named("process traced_work"), "the job is traced", 30)
        await until(lambda: len(ingest.transactions) == 2, "Sentry knows", 10)
    [request], [sent] = ingest.named(f"POST {path}"), ingest.named("send traced_work")
    [done], [work] = ingest.named("process traced_work"), ingest.named("work")
    assert {one.trace_id for one in (sent, done, work)} == {request.trace_id}
    [query] = [one for one in ingest.spans if one.parent_id == work.span_id]
    above = [f"POST {path}", "send traced_work", "process traced_work", "work", "SELECT"]
    assert lineage(ingest, query) == above
    assert (sent.kind, done.kind) == ("PRODUCER", "CONSUMER")
    assert done.attributes["messaging.destination.name"] == "traced_work"
    assert (done.attributes["job.outcome"], done.failed) == ("done", False)
    [here, there] = sorted(ingest.transactions, key=lambda one: one["timestamp"])
    assert (here["transaction"], there["transaction"]) == (f"POST {path}", "process traced_work")
    assert there["contexts"]["trace"]["parent_span_id"] == sent.span_id
    [line] = [
        json.loads(line) for line in worker.log.read_text().splitlines() if '"working"' in line
    ]
    assert (line["trace_id"], line["span_id"]) == (work.trace_id, work.span_id)


async def test_an_unsampled_trace_goes_on_unsampled(
    open_service: Open, ingest: Ingest, worker: Started
) -> None:
    async with open_service(OTEL_TRACES_SAMPLER_ARG="0") as traced:
        add_routes(traced)
        await call(traced.app, "POST", "/alone", ME)
        await until(lambda: '"working"' in worker.log.read_text(), "the job is done", 30)
    assert ingest.spans == []
    assert '"trace_id"' in worker.log.read_text()


async def test_only_the_last_attempt_is_an_error(
    open_service: Open, ingest: Ingest, worker: Started
) -> None:
    async with open_service() as traced:
        add_routes(traced)
        await traced.service.get(Queue).enqueue(WORK, Work(fails=True))
        await until(lambda: ingest.errors, "the job has failed", 30)
    [error] = ingest.errors
    assert error["transaction"] == "process traced_work"
    assert '"job_failed"' in worker.log.read_text()


async def test_what_is_stored_is_a_traceparent(
    open_service: Open, ingest: Ingest, servers: dict[str, str]
) -> None:
    async with open_service() as traced:
        add_routes(traced)
        await traced.service.get(Queue).enqueue(WORK, Work())
        await call(traced.app, "POST", "/alone", ME)
        connection = await asyncpg.connect(servers["DATABASE_URL"])
        rows = await connection.fetch("SELECT context FROM queue_jobs ORDER BY id")
        await connection.close()
    [sent] = ingest.named("send traced_work")
    assert [row["context"] for row in rows] == [None, f"00-{sent.trace_id}-{sent.span_id}-01"]


if __name__ == "__main__":
    PATTERNS.append(Pattern(name="traced", jobs=handlers))
    sys.exit(main())
