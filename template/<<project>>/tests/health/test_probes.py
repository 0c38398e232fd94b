"""Probes: readiness names what fails and tells nothing more; liveness asks nobody."""

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

import app.health as module
from app.auth import pattern as auth
from app.health import pattern as health
from app.main import create_api
from app.main import create_app
from app.main import create_internal_app
from app.pattern import Check
from app.pattern import Pattern
from app.service import Service
from tests.http.asgi import Answer
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

SECRET = "postgresql://user:hunter2@db/x"


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[None]:
    """As the server does: resources first, then the port."""
    async with service.running():
        service.started = True
        yield


async def answers() -> None:
    """A dependency that is there."""


async def away() -> None:
    """A dependency that is not."""
    raise ConnectionError(SECRET)


async def hangs() -> None:
    """A dependency that does not answer."""
    await asyncio.sleep(60)


def dependency(name: str, ping: Callable[[], Awaitable[None]], *, required: bool = True) -> Pattern:
    return Pattern(name=name, ready=lambda _: Check(ping=ping, required=required))


@pytest.fixture
def service_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Service]:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setattr(module, "CHECK_TIMEOUT_S", 0.05)

    def make(*dependencies: Pattern) -> Service:
        return Service([health, auth, *dependencies])

    return make


async def probe(service: Service, path: str) -> Answer:
    return await call(create_internal_app(service), path=path)


@pytest.mark.parametrize(
    ("dependencies", "status", "said", "checks"),
    [
        ([], 200, "healthy", {}),
        ([dependency("one", answers)], 200, "healthy", {"one": "ok"}),
        ([dependency("one", away)], 503, "unhealthy", {"one": "failing"}),
        ([dependency("one", hangs)], 503, "unhealthy", {"one": "failing"}),
        (
            [dependency("one", answers), dependency("two", away, required=False)],
            200,
            "degraded",
            {"one": "ok", "two": "failing"},
        ),
        (
            [dependency("one", away), dependency("two", away, required=False)],
            503,
            "unhealthy",
            {"one": "failing", "two": "failing"},
        ),
    ],
)
async def test_readiness_names_what_fails(
    service_with: Callable[..., Service],
    dependencies: Sequence[Pattern],
    status: int,
    said: str,
    checks: dict[str, str],
) -> None:
    service = service_with(*dependencies)
    async with serving(service):
        with capture_logs() as logs:
            answer = await probe(service, "/readyz")
    assert answer.status == status
    document = answer.json()
    assert document["uptimeSeconds"] >= 0
    assert (document["status"], document["checks"]) == (said, checks)
    assert b"hunter2" not in answer.body
    failing = {name for name, state in checks.items() if state == "failing"}
    assert {line["check"] for line in logs} == failing


async def test_the_checks_run_side_by_side(service_with: Callable[..., Service]) -> None:
    service = service_with(*(dependency(str(number), hangs) for number in range(200)))
    async with serving(service):
        async with asyncio.timeout(5):
            assert (await probe(service, "/readyz")).status == 503


async def test_the_life_of_a_service(service_with: Callable[..., Service]) -> None:
    service = service_with(dependency("one", away))

    async def statuses() -> list[int]:
        return [(await probe(service, path)).status for path in ("/livez", "/startupz", "/readyz")]

    assert await statuses() == [200, 503, 503]
    assert (await probe(service, "/readyz")).json() == {"status": "starting"}
    async with serving(service):
        assert await statuses() == [200, 200, 503], "alive, though a dependency is away"
        service.draining = True
        assert await statuses() == [200, 200, 503]
        assert (await probe(service, "/readyz")).json() == {"status": "draining"}


async def test_a_draining_service_asks_nobody(service_with: Callable[..., Service]) -> None:
    service = service_with(dependency("one", hangs))
    async with serving(service):
        service.draining = True
        with capture_logs() as logs:
            await probe(service, "/readyz")
    assert logs == []


class Counted:
    """A dependency that counts its pings, and answers one when told to."""

    def __init__(self) -> None:
        self.pings = 0
        self.answer = asyncio.Event()

    async def ping(self) -> None:
        self.pings += 1
        await self.answer.wait()


async def test_all_who_ask_at_once_share_a_check(service_with: Callable[..., Service]) -> None:
    counted = Counted()
    service = service_with(dependency("one", counted.ping))
    public = create_app(service, create_api(service), [auth])
    internal = create_internal_app(service)
    async with serving(service):
        asking = [
            asyncio.create_task(call(app, path=path))
            for app, path in ((public, "/health"), (internal, "/readyz")) * 50
        ]
        await asyncio.sleep(0)
        for gone in asking[:10]:  # also the one that began to ask
            gone.cancel()
        counted.answer.set()
        answers = await asyncio.gather(*asking[10:])
    assert {answer.status for answer in answers} == {200}
    assert counted.pings == 1


async def test_the_public_reuses_a_result_and_a_probe_does_not(
    service_with: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    counted.answer.set()
    service = service_with(dependency("one", counted.ping))
    public = create_app(service, create_api(service), [auth])
    async with serving(service):
        for expected in (1, 1, 1):
            assert (await call(public, path="/health")).json()["checks"] == {"one": "ok"}
            assert counted.pings == expected
        for expected in (2, 3):
            await probe(service, "/readyz")
            assert counted.pings == expected
        monkeypatch.setattr(module, "PUBLIC_REUSE_S", 0)
        await call(public, path="/health")
        assert counted.pings == 4
        service.draining = True
        assert (await call(public, path="/health")).json() == {"status": "draining"}


async def test_a_check_that_was_broken_off_is_begun_anew(
    service_with: Callable[..., Service],
) -> None:
    pings = 0

    async def broken_off_once() -> None:
        nonlocal pings
        pings += 1
        if pings == 1:
            raise asyncio.CancelledError

    service = service_with(dependency("one", broken_off_once))
    async with serving(service):
        with pytest.raises(asyncio.CancelledError):
            await probe(service, "/readyz")
        assert (await probe(service, "/readyz")).status == 200


async def test_health_is_public_and_the_probes_are_not(
    service_with: Callable[..., Service],
) -> None:
    service = service_with(dependency("one", answers))
    async with serving(service):
        public = create_app(service, create_api(service), [auth])
        answer = await call(public, path="/health")
        assert (answer.status, answer.json()["status"]) == (200, "healthy")
        for path in ("/livez", "/readyz", "/startupz"):
            assert (await call(public, path=path)).status == 401
