"""What is measured of requests, under label values that no client can multiply."""

import asyncio

import pytest
from fastapi import FastAPI
from fastapi import HTTPException
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import Response
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http import errors
from app.http.edge import Edge
from app.main import create_internal_app
from app.metrics import pattern
from app.metrics.http import MeasuredRequests
from app.metrics.http import watch
from app.server import listening
from app.service import Service
from app.settings import CoreSettings
from app.settings import Environment
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

NAME = "http_request_duration_seconds"


def requests_of_an_api() -> MeasuredRequests:
    api = FastAPI()
    errors.install(api)

    @api.get("/measured/{number}")
    async def measured(number: int) -> int:
        if number == 0:
            raise HTTPException(404)
        if number == 1:
            raise RuntimeError
        return number

    return MeasuredRequests(api)


def application(app: MeasuredRequests | None = None) -> Edge:
    """What tells the metrics the status."""
    return Edge(app or requests_of_an_api(), CoreSettings(environment=Environment.TEST))


def series() -> dict[tuple[str, str, str], float]:
    """How many requests were observed, by method, route and status."""
    return {
        (one.labels["method"], one.labels["route"], one.labels["status_code"]): one.value
        for family in REGISTRY.collect()
        for one in family.samples
        if one.name == f"{NAME}_count"
    }


async def test_a_request_is_observed_by_its_route() -> None:
    key = ("GET", "/measured/{number}", "200")
    before, app = series().get(key, 0), application()
    for number in (7, 8, 9):
        assert (await call(app, path=f"/measured/{number}")).status == 200
    assert series()[key] == before + 3


async def test_statuses_are_told_apart() -> None:
    app = application()
    await call(app, path="/measured/0")
    await call(app, path="/measured/x")
    await call(app, "POST", "/measured/7")
    await call(app, path="/measured/1")
    seen = {(method, status) for method, route, status in series() if route == "/measured/{number}"}
    assert {("GET", "404"), ("GET", "422"), ("GET", "500"), ("POST", "405")} <= seen


async def test_clients_cannot_multiply_the_series() -> None:
    requests = requests_of_an_api()
    app = application(requests)
    for number in range(50):
        await call(app, path=f"/nowhere/{number}")
        await call(app, f"M{number}", path=f"/measured/{number}")
        await call(app, f"M{number}", path="/measured/7")
    labels = list(series())
    assert not [key for key in labels if "nowhere" in key[1] or key[0].startswith("M")]
    assert ("GET", "unmatched", "404") in labels
    assert len(requests._series) < 10


async def test_connections_and_requests_in_progress_are_the_servers() -> None:
    started, finish, value = asyncio.Event(), asyncio.Event(), REGISTRY.get_sample_value

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await finish.wait()
        await Response()(scope, receive, send)

    async with listening(slow, "127.0.0.1", 0, keep_alive_s=5) as server:
        watch(server.server_state)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await started.wait()
        during = value("http_requests_in_progress"), value("active_connections")
        finish.set()
        await reader.readuntil(b"\r\n\r\n")
        assert during == (1, 1)
        assert (value("http_requests_in_progress"), value("active_connections")) == (0, 1)
        writer.close()


async def test_durations_fall_into_buckets() -> None:
    await call(application(), path="/measured/7")
    labels = {"method": "GET", "route": "/measured/{number}", "status_code": "200"}
    value = REGISTRY.get_sample_value
    total = value(f"{NAME}_sum", labels)
    assert total is not None
    assert 0 < total < 5
    assert value(f"{NAME}_bucket", {**labels, "le": "+Inf"}) == value(f"{NAME}_count", labels)


async def test_the_internal_port_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    await call(application(), path="/measured/7")
    answer = await call(create_internal_app(Service([pattern])), path="/metrics")
    assert answer.status == 200
    assert answer.values("content-type")[0].startswith("text/plain")
    families = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert {NAME, "http_requests_in_progress", "active_connections"} <= families
    assert "process_resident_memory_bytes" in families
