"""Within a service: its place among the middleware, its settings, its metrics, a real server."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest
from fastapi import FastAPI
from fastapi import Request
from fastapi import Response
from prometheus_client import REGISTRY

from app.backpressure import BackpressureSettings
from app.backpressure import pattern
from app.main import create_app
from app.pattern import Pattern
from app.patterns import MIDDLEWARE
from app.service import Service
from app.settings import SettingsError
from app.settings import load_settings
from app.shutdown import pattern as shutdown
from tests.http.wire import answer_to
from tests.http.wire import serving

pytestmark = pytest.mark.anyio

ASK = b"GET %b HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"backpressure_{name}_requests")


def limit_of(*others: Pattern) -> float | None:
    """The limit of a service with this and other patterns."""
    create_app(Service([pattern, *others]), FastAPI(), [pattern])
    return gauge("limit")


def test_the_limit_is_twice_what_the_scarcest_resource_serves() -> None:
    assert limit_of() == 40
    plenty = Pattern(name="plenty", concurrency=lambda _: 50)
    scarce = Pattern(name="scarce", concurrency=lambda _: 7)
    assert limit_of(plenty) == 100
    assert limit_of(plenty, scarce) == 14


def test_a_limit_that_is_set_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPRESSURE_LIMIT", "3")
    assert limit_of(Pattern(name="scarce", concurrency=lambda _: 7)) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LIMIT", "0"), ("LIMIT", "10001"), ("QUEUE", "-1"), ("QUEUE", "10001")),
        *(("WAIT_S", "0"), ("WAIT_S", "61"), ("DEADLINE_S", "0"), ("DEADLINE_S", "3601")),
        *(("LATENCY_S", "0"), ("LATENCY_S", "61"), ("LOW_PRIORITY", "reports")),
    ],
)
def test_what_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"BACKPRESSURE_{name}", value)
    with pytest.raises(SettingsError, match=rf"^BACKPRESSURE_{name} is not usable: [^\n]+\.$"):
        load_settings([BackpressureSettings])


@pytest.mark.parametrize(
    ("environment", "deadline_s", "fits"),
    [("production", "25", False), ("production", "24.9", True), ("test", "3600", True)],
)
def test_a_shutdown_leaves_time_for_what_is_in_time(
    monkeypatch: pytest.MonkeyPatch, environment: str, deadline_s: str, fits: bool
) -> None:
    monkeypatch.setenv("BACKPRESSURE_DEADLINE_S", deadline_s)
    monkeypatch.setenv("ENVIRONMENT", environment)
    service = Service([pattern, shutdown])
    if fits:
        create_app(service, FastAPI(), [pattern])
    else:
        with pytest.raises(SettingsError, match=r"^BACKPRESSURE_DEADLINE_S \(25\) and "):
            create_app(service, FastAPI(), [pattern])


def test_paths_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPRESSURE_LOW_PRIORITY", "/reports/, /items/bulk")
    found = load_settings([BackpressureSettings])[BackpressureSettings]
    assert isinstance(found, BackpressureSettings)
    assert found.low_priority == ["/reports/", "/items/bulk"]


def test_it_refuses_before_anybody_is_authenticated() -> None:
    names = [one.name for one in MIDDLEWARE]
    assert names.index("shutdown") < names.index("backpressure") < names.index("auth")


class Slow:
    """A service on a real port with one place, and a route that takes it for as long as asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BACKPRESSURE_LIMIT", "1")
        self.entered = 0
        self.go = asyncio.Event()
        api = FastAPI()

        @api.get("/slow")
        async def slow() -> int:
            self.entered += 1
            await self.go.wait()
            return self.entered

        self.app = create_app(Service([pattern]), api, [pattern])


async def becomes(name: str, value: int) -> None:
    """Wait until a gauge has this value."""
    deadline = monotonic() + 5
    while gauge(name) != value:
        assert monotonic() < deadline, gauge(name)
        await asyncio.sleep(0.01)


async def test_a_real_client_that_goes_away_leaves_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKPRESSURE_WAIT_S", "30")
    slow = Slow(monkeypatch)
    async with serving(slow.app) as (_, port):
        served, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK % b"/slow")
        await becomes("in_flight", 1)
        _, leaving = await asyncio.open_connection("127.0.0.1", port)
        leaving.write(ASK % b"/slow")
        await becomes("queued", 1)
        leaving.close()
        await becomes("queued", 0)
        assert gauge("in_flight") == 1
        slow.go.set()
        assert b"200 OK" in await served.readline()
        assert slow.entered == 1
        writer.close()


async def test_real_clients_that_send_or_read_slowly_take_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKPRESSURE_LIMIT", "1")
    monkeypatch.setenv("BACKPRESSURE_QUEUE", "0")
    api = FastAPI()

    @api.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @api.get("/large")
    async def large() -> Response:
        return Response(bytes(10_000_000))

    async with serving(create_app(Service([pattern]), api, [pattern])) as (_, port):
        sender, sending = await asyncio.open_connection("127.0.0.1", port)
        sending.write(b"POST /body HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\n12")
        reader, reading = await asyncio.open_connection("127.0.0.1", port)
        reading.write(ASK % b"/large")
        assert b"200 OK" in await reader.readline()
        assert b"404" in (await answer_to(port, ASK % b"/other")).partition(b"\r\n")[0]
        assert gauge("in_flight") == 0
        sending.write(b"3")
        assert b"200 OK" in await sender.readline()
        sending.close()
        reading.close()


async def test_a_shutdown_serves_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPRESSURE_WAIT_S", "30")
    slow = Slow(monkeypatch)
    async with serving(slow.app) as (_, port):
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in connections:
            writer.write(ASK % b"/slow")
        await becomes("queued", 2)
        asyncio.get_running_loop().call_later(0.2, slow.go.set)
    for reader, writer in connections:
        assert b"200 OK" in await reader.readline()
        writer.close()
    assert slow.entered == 3
