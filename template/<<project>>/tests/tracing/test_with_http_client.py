"""Calls to upstreams are spans of the request's trace, and the upstream is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.http_client import HttpClient
from app.http_client import NoAnswer
from tests.http.asgi import call
from tests.http_client.flaky import BUSY
from tests.http_client.flaky import Flaky
from tests.http_client.flaky import flaky
from tests.tracing.conftest import ME
from tests.tracing.conftest import Open
from tests.tracing.conftest import Traced
from tests.tracing.ingest import Ingest

pytestmark = pytest.mark.anyio

SECRET = "hunter2"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def remote(anyio_backend: str) -> AsyncIterator[Flaky]:
    """The upstream."""
    async with flaky() as one:
        yield one


def add_route(traced: Traced) -> None:
    """One that asks the upstream for what is in its path."""
    upstream = traced.service.get(HttpClient).upstream("remote")
    assert upstream

    @traced.api.get("/asks/{what}")
    async def asks(what: str) -> int | str:
        try:
            return (await upstream.request("GET", what, query={"key": SECRET})).status
        except NoAnswer as error:
            return error.outcome


def told(remote: Flaky) -> list[str | None]:
    """The traces that the upstream was told of."""
    return [one.headers.get("traceparent") for one in remote.received]


async def test_every_attempt_is_a_span(open_service: Open, ingest: Ingest, remote: Flaky) -> None:
    remote.script = [BUSY, "close"]
    base = f"{remote.url}/v1"
    async with open_service(HTTP_CLIENT_UPSTREAMS=f"remote={base}") as traced:
        add_route(traced)
        assert (await call(traced.app, path=f"/asks/{SECRET}", headers=ME)).json() == 200
    [request] = ingest.named("GET /asks/{what}")
    spans = ingest.named("GET remote")
    assert told(remote) == [f"00-{request.trace_id}-{one.span_id}-01" for one in spans]
    assert {(one.kind, one.parent_id) for one in spans} == {("CLIENT", request.span_id)}
    common = {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": remote.port,
        "url.full": base,
    }
    status, again = "http.response.status_code", "http.request.resend_count"
    assert [one.attributes for one in spans] == [
        common | {status: 503, "error.type": "503"},
        common | {again: 1, "error.type": "Unreachable"},
        common | {again: 2, status: 200},
    ]
    assert [one.failed for one in spans] == [True, True, False]
    [transaction] = ingest.transactions
    assert [one["op"] for one in transaction["spans"]].count("http.client") == 3
    assert SECRET.encode() not in ingest.raw


async def test_what_is_not_there_has_failed_for_whoever_asked(
    open_service: Open, ingest: Ingest, remote: Flaky
) -> None:
    remote.then = MISSING
    async with open_service(HTTP_CLIENT_UPSTREAMS=f"remote={remote.url}") as traced:
        add_route(traced)
        assert (await call(traced.app, path="/asks/7", headers=ME)).json() == 404
    [span], [request] = ingest.named("GET remote"), ingest.named("GET /asks/{what}")
    assert (span.failed, span.attributes["error.type"], request.failed) == (True, "404", False)


async def test_a_trace_that_is_not_sampled_is_told_as_well(
    open_service: Open, ingest: Ingest, remote: Flaky
) -> None:
    settings = {
        "HTTP_CLIENT_UPSTREAMS": f"remote={remote.url}",
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "TRACING_TRUST_CALLERS": "true",
    }
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    caller = (b"traceparent", f"00-{trace_id}-00f067aa0ba902b7-00".encode())
    async with open_service(**settings) as traced:
        add_route(traced)
        await call(traced.app, path="/asks/7", headers=[*ME, caller])
    [traceparent] = told(remote)
    assert traceparent
    assert traceparent.startswith(f"00-{trace_id}-")
    assert traceparent.endswith("-00")
    assert ingest.spans == []


async def test_outside_of_a_trace_and_with_nobody_to_tell(
    open_service: Open, remote: Flaky
) -> None:
    upstreams = {"HTTP_CLIENT_UPSTREAMS": f"remote={remote.url}"}
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "SENTRY_DSN": ""}
    async with open_service(**upstreams) as traced:
        upstream = traced.service.get(HttpClient).upstream("remote")
        assert upstream
        await upstream.request("GET")
    async with open_service(**upstreams, **nobody) as traced:
        add_route(traced)
        await call(traced.app, path="/asks/7", headers=ME)
    assert told(remote) == [None, None]
