"""What the environment must say, and what it must not."""

import pytest

from app.pattern import Check
from app.redis import RedisSettings
from app.redis import pattern
from app.service import Service
from app.settings import SettingsError


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing of Redis."""
    for name in ("REDIS_URL", "REDIS_REQUIRED", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def service() -> Service:
    """A service with nothing but Redis."""
    return Service([pattern])


def test_the_url_must_be_set(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL is not set"):
        service()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://user:hunter2@redis",
        "redis://user:hunter2@redis?no_such_option=1",
        "redis://user:hunter2@redis:port",
        "redis://user:hunter2@redis?decode_responses=true",
    ],
)
def test_an_unusable_url_is_refused_without_its_secret(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("REDIS_URL", url)
    with pytest.raises(SettingsError, match="REDIS_URL is not usable") as refused:
        service()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis",
        "redis://user:p%40ss@redis:6380/3",
        "rediss://redis?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "redis://redis?client_name=embedded-shop",
        "redis://user:client_name=embedded@redis",
    ],
)
def test_what_redis_py_understands_is_usable(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("REDIS_URL", url)
    service()


def test_the_embedded_redis_is_refused_in_production(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URL", "redis://127.0.0.1:1/0?client_name=embedded")
    with pytest.raises(SettingsError, match="embedded"):
        service()
    environment.setenv("ENVIRONMENT", "development")
    service()


def test_the_password_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URL", "redis://user:hunter2@redis")
    assert "hunter2" not in repr(service().settings(RedisSettings))


@pytest.mark.parametrize("required", [True, False])
def test_readiness_needs_redis_only_if_told_so(
    environment: pytest.MonkeyPatch, required: bool
) -> None:
    environment.setenv("REDIS_URL", "redis://redis")
    environment.setenv("REDIS_REQUIRED", str(required))
    check = service().checks()["redis"]
    assert isinstance(check, Check)
    assert check.required is required
