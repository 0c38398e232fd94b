"""What the environment may say."""

import pytest

from app.local_cache import LocalCacheSettings
from app.settings import SettingsError
from app.settings import load_settings


def test_the_bounds_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_CACHE_TTL_S", "0.5")
    monkeypatch.setenv("LOCAL_CACHE_MAX_ENTRIES", "7")
    bounds = LocalCacheSettings().bounds
    assert (bounds.ttl_s, bounds.max_entries) == (0.5, 7)
    assert (bounds.jitter, bounds.max_bytes) == (0.1, 16 * 1024 * 1024)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TTL_S", "0"),
        ("TTL_S", "inf"),
        ("TTL_S", "86401"),
        ("JITTER", "1"),
        ("JITTER", "-0.1"),
        ("MAX_ENTRIES", "0"),
        ("MAX_BYTES", "0"),
        ("MAX_BYTES", "16MB"),
    ],
)
def test_what_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"LOCAL_CACHE_{variable}", value)
    with pytest.raises(SettingsError, match=f"LOCAL_CACHE_{variable}"):
        load_settings([LocalCacheSettings])
