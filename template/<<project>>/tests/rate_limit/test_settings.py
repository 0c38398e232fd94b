"""The settings, and what is refused."""

from __future__ import annotations

import pytest

from app.about import NAME
from app.patterns import PATTERNS
from app.rate_limit import RateLimitSettings
from app.service import Service
from app.settings import SettingsError
from app.settings import load_settings
from dev.rate_limit import TESTING


def loaded(monkeypatch: pytest.MonkeyPatch, **environment: str) -> RateLimitSettings:
    """The settings from this environment."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    for name in TESTING:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = load_settings([RateLimitSettings])[RateLimitSettings]
    assert isinstance(found, RateLimitSettings)
    return found


def test_the_defaults_are_a_hundred_and_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(monkeypatch)
    assert found.tiers == {"standard": 100, "premium": 1000}
    assert (found.anonymous, found.window_s) == (100, 900)


def test_tiers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(monkeypatch, RATE_LIMIT_TIERS=" a:1 , b.c-d_e:999999999999999,")
    assert found.tiers == {"a": 1, "b.c-d_e": 999_999_999_999_999}


@pytest.mark.parametrize(
    "tiers",
    [
        *("standard", "standard:", ":5", "standard:0", "standard:-1", "standard:1.5", "standard=1"),
        *("standard:1:2", "Standard:1", 'a"b:1', "a:1,a:2", ",", "standard:1000000000000000"),
    ],
)
def test_tiers_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch, tiers: str) -> None:
    with pytest.raises(SettingsError, match=r"^RATE_LIMIT_TIERS is not usable"):
        loaded(monkeypatch, RATE_LIMIT_TIERS=tiers)


def test_the_form_of_tiers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = "^RATE_LIMIT_TIERS is not usable: it should look like standard:100,premium:1000"
    with pytest.raises(SettingsError, match=sentence):
        loaded(monkeypatch, RATE_LIMIT_TIERS="foo")


@pytest.mark.parametrize(
    ("name", "value"),
    [("WINDOW_S", "0"), ("WINDOW_S", "86401"), ("ANONYMOUS", "0"), ("REPLICAS", "0")],
)
def test_numbers_have_bounds(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^RATE_LIMIT_{name} is not usable"):
        loaded(monkeypatch, **{f"RATE_LIMIT_{name}": value})


def test_no_other_keys_begin_as_these_do(servers: dict[str, str]) -> None:
    """Whoever deletes all of its own must not take the limits along."""
    prefix = Service(PATTERNS).settings(RateLimitSettings).prefix
    assert not f"{prefix}:".startswith(f"{NAME}:")
