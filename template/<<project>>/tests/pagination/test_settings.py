"""Production signs with secrets of its own."""

import pytest

from app.pagination import Cursors
from app.pagination import PaginationSettings
from app.pagination import pattern
from app.pagination.settings import DEVELOPMENT_SECRET
from app.service import Service
from app.settings import SettingsError

GOOD = "0123456789abcdef0123456789abcdef"


def in_environment(
    patch: pytest.MonkeyPatch, environment: str, secrets: str | None = None
) -> Service:
    patch.setenv("ENVIRONMENT", environment)
    if secrets is None:
        patch.delenv("PAGINATION_SECRETS", raising=False)
    else:
        patch.setenv("PAGINATION_SECRETS", secrets)
    return Service([pattern])


@pytest.mark.parametrize(
    ("secrets", "problem"),
    [
        (None, "PAGINATION_SECRETS is not set."),
        (" , ", "PAGINATION_SECRETS is not set."),
        (GOOD[1:], "secret 1 is too short"),
        (f"{GOOD},hunter2", "secret 2 is too short"),
        (f"{GOOD},{DEVELOPMENT_SECRET}", "secret 2 is the one for development"),
    ],
)
def test_production_refuses(
    monkeypatch: pytest.MonkeyPatch, secrets: str | None, problem: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        in_environment(monkeypatch, "production", secrets)
    assert problem in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_production_accepts_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    service = in_environment(monkeypatch, "production", f"{GOOD}, {GOOD[::-1]}")
    assert service.settings(PaginationSettings).keys() == [GOOD.encode(), GOOD[::-1].encode()]
    assert GOOD not in repr(service.settings(PaginationSettings))


@pytest.mark.parametrize("environment", ["development", "test"])
def test_elsewhere_cursors_outlive_the_process(
    monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    service = in_environment(monkeypatch, environment)
    assert service.settings(PaginationSettings).keys() == [DEVELOPMENT_SECRET.encode()]


@pytest.mark.anyio
async def test_a_service_finds_its_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    service = in_environment(monkeypatch, "test")
    async with service.running():
        assert isinstance(service.get(Cursors), Cursors)
