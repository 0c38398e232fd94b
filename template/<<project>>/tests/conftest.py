"""What tests share: real servers, and the service running on them.

Servers are started when the first test asks for them. Each test finds them empty.
"""

import os
from collections.abc import AsyncIterator
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest

from app.auth.keys import new_key
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from dev.servers import Corner
from dev.servers import Server
from dev.servers import ServersError
from dev.servers import Source
from dev.servers import for_testing
from dev.servers import needed

KEY, _ENTRY = new_key("tests", "standard", ["read", "write"])
SETTINGS = {
    "ENVIRONMENT": "test",
    "AUTH_API_KEYS": _ENTRY,
    "PAGINATION_SECRETS": "only-for-tests-" * 3,
}
_sources = pytest.StashKey[list[tuple[Server, Source]]]()
_corners: list[Corner] = []


def pytest_configure(config: pytest.Config) -> None:
    """Decide which servers to use."""
    config.stash[_sources] = [(server, for_testing(server, os.environ)) for server in needed()]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which servers are used."""
    return [f"{server.title}: {source.said}" for server, source in config.stash[_sources]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[dict[str, str]]:
    """The settings of a service for tests, also set in the environment; the servers run."""
    settings = SETTINGS | _of_patterns()
    with ExitStack() as stack:
        for server, source in pytestconfig.stash[_sources]:
            folder = stack.enter_context(TemporaryDirectory(prefix="test-"))
            try:
                url = stack.enter_context(source.open(Path(folder)))
                corner = stack.enter_context(server.corner(url))
            except ServersError as error:
                pytest.exit(str(error), returncode=1)
            settings[server.variable] = corner.url
            _corners.append(corner)
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in settings.items():
            environment.setenv(name, value)
        yield settings
        _corners.clear()


def _of_patterns() -> dict[str, str]:
    """The settings that patterns have for tests: TESTING in `dev/<pattern>.py`."""
    settings: dict[str, str] = {}
    for pattern in PATTERNS:
        if find_spec(f"dev.{pattern.name}"):
            settings |= getattr(import_module(f"dev.{pattern.name}"), "TESTING", {})
    return settings


@pytest.fixture(autouse=True)
def _empty_servers(request: pytest.FixtureRequest) -> None:
    if "servers" in request.fixturenames:
        request.getfixturevalue("servers")
        for corner in _corners:
            corner.clean()


@pytest.fixture
async def service(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[Service]:
    """The service with all its patterns, running."""
    service = Service(PATTERNS)
    async with service.running():
        service.started = True
        yield service


@pytest.fixture
async def anonymous(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the service that does not say who it is."""
    transport = httpx2.ASGITransport(create_app(service, create_api(service), MIDDLEWARE))
    async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the service with a key that may read and write."""
    transport = httpx2.ASGITransport(create_app(service, create_api(service), MIDDLEWARE))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://service", headers=headers
    ) as client:
        yield client
