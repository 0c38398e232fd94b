"""Backends that are away, slow or full cost nothing but what was to be sent to them."""

from __future__ import annotations

import socket
from time import monotonic

import pytest
from structlog.testing import capture_logs

from tests.http.asgi import call
from tests.tracing.conftest import ME
from tests.tracing.conftest import Open
from tests.tracing.conftest import metric
from tests.tracing.conftest import until
from tests.tracing.ingest import Ingest

pytestmark = pytest.mark.anyio


def dropped(backend: str = "otlp") -> float:
    """The spans that were dropped so far."""
    return metric("tracing_spans_dropped_total", backend=backend)


def lost() -> float:
    """The errors and transactions that Sentry did not get, so far."""
    return metric("tracing_events_dropped_total")


async def test_what_a_collector_refuses_is_counted(open_service: Open, ingest: Ingest) -> None:
    before, events = dropped(), lost()
    with capture_logs() as lines:
        async with open_service() as traced:
            ingest.status = 400
            for _ in range(3):
                assert (await call(traced.app, path="/nowhere", headers=ME)).status == 404
            await until(lambda: dropped() > before, "spans are dropped")
            await until(lambda: lost() > events, "a transaction is dropped")
            ingest.status = 200
            await call(traced.app, path="/nowhere", headers=ME)
            await until(lambda: ingest.spans, "spans are sent again")
    names = [line["event"] for line in lines if line["event"].startswith("spans_")]
    assert names == ["spans_not_sent", "spans_sent_again"]
    assert dropped() - before + len(ingest.spans) >= 4


async def test_a_full_queue_drops_and_counts(open_service: Open) -> None:
    """Of a collector that accepts a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "SENTRY_DSN": "",
            "OTEL_BSP_MAX_QUEUE_SIZE": "512",
            "SHUTDOWN_DRAIN_S": "0.3",
        }
        before, all_before = dropped(), metric("tracing_spans_total", backend="otlp")
        async with open_service(**settings) as traced:
            for _ in range(1500):
                assert (await call(traced.app, path="/nowhere", headers=ME)).status == 404
            recorded = metric("tracing_spans_total", backend="otlp") - all_before
            # one batch is under way, one queue is full
            assert recorded - 2 * 512 <= dropped() - before <= recorded - 512
            closing = monotonic()
    assert monotonic() - closing < 3


async def test_the_end_is_bounded(open_service: Open, ingest: Ingest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "SENTRY_DSN": f"http://key@127.0.0.1:{port}/1",
            "SHUTDOWN_DRAIN_S": "0.5",
        }
        with capture_logs() as lines:
            async with open_service(**settings) as traced:
                await call(traced.app, path="/nowhere", headers=ME)
                closing = monotonic()
    assert 0.4 < monotonic() - closing < 5
    assert [line["event"] for line in lines if "tracing" in line["event"]] == [
        "tracing_not_flushed"
    ]
