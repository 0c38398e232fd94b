"""The servers and the service, once for all proofs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .harness.image import build
from .harness.image import find_lab
from .harness.image import podman
from .harness.postgres import MAX_CONNECTIONS
from .harness.postgres import Postgres
from .harness.postgres import private as private_postgres
from .harness.postgres import wait_for
from .harness.redis import Redis
from .harness.redis import private as private_redis
from .harness.service import Service
from .harness.service import render
from .harness.service import sync

USERS, ITEMS = 5_000, 2_000
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker for all proofs: they share servers, and would be in each other's way."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("proofs"))


def pytest_configure() -> None:
    """End in order when somebody ends us."""
    # so that fixtures are torn down, and with them the servers and processes
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder that the user `postgres` may enter; pytest keeps its own for itself."""
    with TemporaryDirectory(prefix="perfgen-proofs-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def generated(work: Path) -> Path:
    """A service with every pattern and an environment of its own.

    PERFGEN_PROOFS_SERVICE names one that is already there.
    """
    if given := os.environ.get("PERFGEN_PROOFS_SERVICE"):
        return Path(given)
    folder = render(work / "service", max_connections=MAX_CONNECTIONS)
    sync(folder)
    return folder


@pytest.fixture(scope="session")
def redis(work: Path) -> Iterator[Redis]:
    """A private Redis."""
    with private_redis(work / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def postgres(work: Path) -> Iterator[Postgres]:
    """A private PostgreSQL."""
    with private_postgres(work / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def migrated(generated: Path, work: Path, postgres: Postgres, redis: Redis) -> Service:
    """The service, with its tables and some data."""
    service = Service(generated, work, postgres.url, redis.url)
    service.run("migrate")
    postgres.seed(USERS, ITEMS)
    return service


@pytest.fixture
def service(migrated: Service, postgres: Postgres, redis: Redis) -> Service:
    """The service, with both servers up and nothing cached."""
    wait_for(postgres)
    redis.call("FLUSHALL")
    return migrated


@pytest.fixture(scope="session")
def lab() -> Path:
    """Where images can be built."""
    found = find_lab()
    if found is None or not shutil.which("podman"):
        pytest.skip("no container lab here: name its command in PERFGEN_LAB")
    return found


@pytest.fixture(scope="session")
def image(lab: Path, generated: Path) -> Iterator[str]:
    """The image of the generated service."""
    name = build(lab, generated, f"localhost/perfgen-proofs-{os.getpid()}")
    yield name
    podman(lab, "rmi", "--force", name)
