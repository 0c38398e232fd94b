"""What is refused at the start, in a sentence."""

import pytest

from app.http_client import HttpClientSettings
from app.settings import SettingsError
from app.settings import load_settings


def load(value: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("HTTP_CLIENT_UPSTREAMS", value)
    monkeypatch.setenv("ENVIRONMENT", "test")
    settings = load_settings([HttpClientSettings])[HttpClientSettings]
    assert isinstance(settings, HttpClientSettings)
    return settings.upstreams


def test_names_and_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("", monkeypatch) == {}
    assert load("rates=https://a.example/v1/, b=http://[::1]:81", monkeypatch) == {
        "rates": "https://a.example/v1",
        "b": "http://[::1]:81",
    }


@pytest.mark.parametrize(
    "value",
    [
        "rates",
        "rates=",
        "rates=a.example",
        "rates=ftp://a.example",
        "rates=file:///etc/passwd",
        "rates=https://user:hidden@a.example",
        "rates=https://a.example?key=hidden",
        "rates=https://a.example/#hidden",
        "rates=https://a.example:hidden",
        "rates=https://:81",
        "Rates=https://a.example",
        "=https://a.example",
        "rates=https://a.example,rates=https://b.example",
    ],
)
def test_what_is_unusable_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^HTTP_CLIENT_UPSTREAMS is not usable: ") as error:
        load(value, monkeypatch)
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEADLINE_S", "0"), ("RETRY_RATIO", "2"), ("ATTEMPTS", "0"), ("CONCURRENCY", "0")],
)
def test_bounds(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HTTP_CLIENT_{name}", value)
    with pytest.raises(SettingsError, match=f"HTTP_CLIENT_{name} is not usable"):
        load("", monkeypatch)
