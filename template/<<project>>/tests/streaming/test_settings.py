"""Files never take all connections."""

import pytest

from app.database import pattern as database
from app.service import Service
from app.settings import SettingsError
from app.streaming import pattern
from app.streaming.settings import StreamingSettings


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


def test_the_default_leaves_most_connections_to_others() -> None:
    fresh = StreamingSettings.model_fields["concurrency"].default
    assert fresh >= 1
