"""Files never take all connections."""

from contextlib import AsyncExitStack

import pytest

from app.database import pattern as database
from app.http.errors import Unavailable
from app.service import Service
from app.settings import SettingsError
from app.streaming import pattern
from app.streaming.streams import Streams

pytestmark = pytest.mark.anyio


@pytest.fixture
def pool(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A pool of four."""
    monkeypatch.setenv("DATABASE_POOL_MAX", "4")
    return monkeypatch


@pytest.mark.parametrize("concurrency", ["4", "5"])
def test_as_many_files_as_connections_are_refused(
    pool: pytest.MonkeyPatch, concurrency: str
) -> None:
    pool.setenv("STREAMING_CONCURRENCY", concurrency)
    said = f"STREAMING_CONCURRENCY .{concurrency}. must be less than DATABASE_POOL_MAX .4."
    with pytest.raises(SettingsError, match=said):
        Service([database, pattern])


def test_one_less_is_taken(pool: pytest.MonkeyPatch) -> None:
    pool.setenv("STREAMING_CONCURRENCY", "3")
    assert len(Service([database, pattern]).at_stop) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("CONCURRENCY", "0"), ("TIMEOUT_S", "0"), ("STALL_S", "-1"), ("GZIP_LEVEL", "10")],
)
def test_what_is_no_bound_is_refused(pool: pytest.MonkeyPatch, name: str, value: str) -> None:
    pool.setenv(f"STREAMING_{name}", value)
    with pytest.raises(SettingsError, match=f"STREAMING_{name} is not usable"):
        Service([database, pattern])


@pytest.mark.parametrize(("connections", "places"), [("2", 1), ("4", 1), ("8", 2)])
async def test_by_default_most_connections_are_left_to_others(
    pool: pytest.MonkeyPatch, anyio_backend: str, connections: str, places: int
) -> None:
    pool.setenv("DATABASE_POOL_MAX", connections)
    async with AsyncExitStack() as stack:
        service = Service([database, pattern])
        async with service.running():
            for _ in range(places):
                await stack.enter_async_context(service.get(Streams).place("export", {}))
            with pytest.raises(Unavailable):
                await stack.enter_async_context(service.get(Streams).place("export", {}))


def test_a_pool_of_one_has_no_place_for_files(pool: pytest.MonkeyPatch) -> None:
    pool.setenv("DATABASE_POOL_MAX", "1")
    with pytest.raises(SettingsError, match=r"less than DATABASE_POOL_MAX .1."):
        Service([database, pattern])
