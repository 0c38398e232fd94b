"""One trace from a request to its job in another process, and no request that pays for it."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from typing import ClassVar

import pytest

from .harness.ingest import Ingest
from .harness.load import Load
from .harness.load import Request
from .harness.load import ask
from .harness.load import get
from .harness.load import send
from .harness.processes import free_port
from .harness.processes import until
from .harness.service import Service
from .harness.table import Table

READ = get("/users/1")
FAIL = get("/fails/hunter2")
# The service with a route that fails.
CODE = """
import sys

from app import commands
from app.pattern import Pattern
from app.patterns import PATTERNS


def routes(api, service):
    @api.get("/fails/{thing}")
    async def fails(thing: str) -> None:
        raise LookupError(thing)


PATTERNS.append(Pattern(name="proof", routes=routes))
sys.exit(commands.main())
"""


def environment(ingest: Any, **more: str) -> dict[str, str]:
    """Both backends, and spans are sent soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": ingest.url,
        "SENTRY_DSN": ingest.dsn,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SHUTDOWN_DRAIN_S": "1",
        **more,
    }


def change(status: str) -> Request:
    """Who becomes active is welcomed, by a job that is enqueued in the same transaction."""
    return send("PATCH", "/users/1", {"status": status})


def system(span: Any) -> str:
    """What a span is of, and where."""
    return f"{span.kind} {span.attributes.get('db.system.name', '')}".strip()


class Rates(BaseHTTPRequestHandler):
    """An upstream that keeps what it is told of traces."""

    told: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """The same to everybody."""
        self.told.append(self.headers["traceparent"])
        body = b'{"rates": {"EUR": 0.92}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_upstream_is_part_of_the_trace(service: Service, table: Table) -> None:
    """Of a caller that is trusted, sampled or not."""
    traces = {f"{number:032x}": "01" if number % 2 else "00" for number in range(1, 21)}
    make = send("POST", "/items", {"name": "Lamp", "price": 10, "description": ""})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rates)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Ingest() as ingest, server:
        settings = environment(
            ingest,
            HTTP_CLIENT_UPSTREAMS=f"rates=http://127.0.0.1:{server.server_port}",
            TRACING_TRUST_CALLERS="true",
        )
        with service.processes(1, **settings) as (api,):
            made = asyncio.run(ask(api.port, service.key, make))
            path = f"/items/{made.json['id']}/price?currency=EUR"
            for trace_id, flags in traces.items():
                caller = f"traceparent: 00-{trace_id}-00f067aa0ba902b7-{flags}"
                price = Request("GET", path, headers=(caller,))
                answer = asyncio.run(ask(api.port, service.key, price))
                assert answer.status == 200
            until(lambda: len(ingest.named("GET rates")) == 10, "the sampled are recorded", 30)
        server.shutdown()
    assert [one[3:35] for one in Rates.told] == list(traces)
    assert [one[-2:] for one in Rates.told] == list(traces.values())
    assert {one.span_id for one in ingest.named("GET rates")} == {
        one[36:52] for one in Rates.told if one.endswith("01")
    }
    table.add(
        "The trace goes on in an upstream",
        "a caller that is trusted, half of its traces sampled",
        f"{len(traces)} requests",
        f"0 of {len(traces)} without the trace's header, {len(ingest.named('GET rates'))} spans",
    )


def test_one_trace(service: Service, table: Table) -> None:
    rounds = 20
    with Ingest() as ingest:
        settings = environment(ingest, OTEL_TRACES_SAMPLER_ARG="1", QUEUE_POLL_S="0.2")
        # the worker would sample nothing of its own: it goes by what the request says
        unsampled = {**settings, "OTEL_TRACES_SAMPLER_ARG": "0"}
        with (
            service.processes(1, **settings) as (api,),
            service.processes(1, "worker", None, **unsampled) as (worker,),
        ):
            for _ in range(rounds):
                for status in ("inactive", "active"):
                    answer = asyncio.run(ask(api.port, service.key, change(status)))
                    assert answer.status == 200
            until(lambda: len(ingest.named("process welcome")) == rounds, "all are welcomed", 30)
            until(lambda: len(ingest.transactions) >= 3 * rounds, "Sentry knows", 30)
        assert worker.process.log != api.process.log
    jobs = ingest.named("process welcome")
    assert len({job.trace_id for job in jobs}) == rounds
    for job in jobs:
        spans = [span for span in ingest.spans if span.trace_id == job.trace_id]
        by_id = {span.span_id: span for span in spans}
        assert {"SERVER", "CLIENT postgresql", "CLIENT redis", "PRODUCER", "CONSUMER"} == {
            system(span) for span in spans
        }
        [request] = [span for span in spans if not span.parent_id]
        assert request.name == "PATCH /users/{user_id}"
        assert by_id[job.parent_id].name == "send welcome"
        assert by_id[by_id[job.parent_id].parent_id] == request
        [read] = [span for span in spans if span.parent_id == job.span_id]
        assert read.name == "user_by_id"
        assert (
            sum(t["contexts"]["trace"]["trace_id"] == job.trace_id for t in ingest.transactions)
            == 2
        )
    table.add(
        "One trace from the request to its job",
        "request, SQL, Redis and job in two processes, to a collector and to Sentry",
        f"{rounds} jobs, {len(ingest.spans)} spans",
        f"0 of {rounds} in another trace",
    )


def test_one_in_ten(service: Service, table: Table) -> None:
    asked = 3000

    async def run(port: int) -> Counter[str]:
        async with Load([port], service.key, lambda _: READ, clients=4, pause=0.01) as load:
            while load.tally.total < asked:
                await asyncio.sleep(0.01)
        return load.tally.outcomes

    with Ingest() as ingest:
        with service.processes(1, **environment(ingest)) as (api,):
            outcomes = asyncio.run(run(api.port))
            api.process.send(signal.SIGTERM)
            assert api.process.wait(30) == 0
        requests = ingest.named("GET /users/{user_id}")
    assert set(outcomes) == {"200"}
    total = outcomes.total()
    bound = 5 * math.sqrt(total * 0.1 * 0.9)  # beyond it once in two million runs
    assert abs(len(requests) - total * 0.1) < bound
    assert len({span.trace_id for span in requests}) == len(requests)
    assert len(ingest.transactions) == len(requests)
    table.add(
        "One request in ten is traced",
        "by default, all sent at the end",
        f"{total} requests",
        f"{len(requests)} traces at the collector and {len(ingest.transactions)} at Sentry",
    )


@pytest.fixture
def failing(work: Path) -> Path:
    """The service with a route that fails."""
    script = work / "with_failure.py"
    script.write_text(CODE)
    return script


def test_a_failure_has_its_trace(service: Service, table: Table, failing: Path) -> None:
    """Sampled or not, it is told, and the log has the same trace."""
    times = 10
    with Ingest() as ingest:
        settings = environment(ingest, OTEL_TRACES_SAMPLER_ARG="0.5")
        with service.processes(1, "api", failing, **settings) as (api,):
            for _ in range(times):
                assert asyncio.run(ask(api.port, service.key, FAIL)).status == 500
            until(lambda: len(ingest.errors) == times, "Sentry knows")
            logged = api.events("request_failed")
    told = [event["contexts"]["trace"]["trace_id"] for event in ingest.errors]
    assert sorted(told) == sorted(line["trace_id"] for line in logged)
    assert {event["transaction"] for event in ingest.errors} == {"GET /fails/{thing}"}
    assert b"hunter2" not in ingest.raw
    assert service.key.encode() not in ingest.raw
    table.add(
        "A failure is told with its trace",
        "a route that raises, half of the traces sampled",
        f"{times} times",
        f"0 of {times} without the trace that the log names, 0 with what was sent",
    )


def test_the_collector_dies(service: Service, table: Table) -> None:
    """Under load, everything sampled; when it is back it is used again."""
    port = free_port()

    async def run(api_port: int) -> Load:
        async with Load([api_port], service.key, lambda _: READ, clients=16) as load:
            with Ingest(port) as before:
                await asyncio.sleep(2)
            assert before.spans
            await asyncio.sleep(4)
            with Ingest(port) as after:
                await asyncio.to_thread(until, lambda: after.spans, "spans come again", 60)
        return load

    dead = {"url": f"http://127.0.0.1:{port}", "dsn": f"http://key@127.0.0.1:{port}/1"}
    settings = environment(type("Dead", (), dead), OTEL_TRACES_SAMPLER_ARG="1")
    with service.processes(1, **settings) as (api,):
        load = asyncio.run(run(api.port))
        dropped = api.metric("tracing_spans_dropped_total", backend="otlp")
        began = time.monotonic()
        api.process.send(signal.SIGTERM)
        assert api.process.wait(30) == 0
        took = time.monotonic() - began
    assert load.tally.failed == 0, str(load.tally)
    assert dropped > 0
    assert took < 10, "a collector that is away held up the end"
    table.add(
        "The collector dies",
        "killed under load with every request sampled, and started again",
        f"{load.tally.total} requests, {dropped:.0f} spans dropped and counted",
        f"{load.tally.failed} requests",
    )
