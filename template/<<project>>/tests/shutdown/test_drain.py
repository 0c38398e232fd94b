"""While a service drains, clients are asked to come back elsewhere."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http.edge import Edge
from app.service import Service
from app.settings import SettingsError
from app.shutdown import ShutdownSettings
from app.shutdown import pattern
from app.shutdown.drain import Drain
from tests.http.asgi import call

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("ENVIRONMENT", "test")
    return Service([pattern])


def application(app: ASGIApp, service: Service) -> Edge:
    """The application within the layers concerned."""
    return Edge(Drain(app, service), service.core)


async def test_before_the_drain_connections_stay(service: Service) -> None:
    answer = await call(application(PlainTextResponse("hello"), service))
    assert (answer.status, answer.values("connection")) == (200, [])


async def test_draining_answers_and_asks_to_close(service: Service) -> None:
    app = application(PlainTextResponse("hello", 201, {"x-one": "1"}), service)
    service.draining = True
    answer = await call(app)
    assert (answer.status, answer.body) == (201, b"hello")
    assert answer.values("connection") == ["close"]
    assert answer.values("x-one") == ["1"]


async def test_a_drain_during_the_request_is_in_time(service: Service) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        service.draining = True
        await PlainTextResponse("hello")(scope, receive, send)

    answer = await call(application(slow, service))
    assert answer.values("connection") == ["close"]


async def test_other_scopes_pass(service: Service) -> None:
    service.draining = True
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    await Drain(inner, service)({"type": "lifespan"}, receive, send)
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize("name", ["SHUTDOWN_DRAIN_S", "SHUTDOWN_FORCE_S"])
@pytest.mark.parametrize("value", ["-1", "soon"])
def test_times_are_checked(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} is not usable"):
        Service([pattern])


def test_five_seconds_to_leave_and_thirty_in_all(
    monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    settings = service.settings(ShutdownSettings)
    assert (settings.drain_s, settings.force_s) == (5, 30)
