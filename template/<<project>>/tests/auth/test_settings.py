"""What a service may start with."""

from hashlib import sha256

import pytest

from app.auth import AuthSettings
from app.auth import Principal
from app.auth import pattern
from app.auth.keyset import KeySet
from app.service import Service
from app.settings import SettingsError

HASH = sha256(b"pk_x").hexdigest()
ENTRY = f"acme:standard:read:{HASH}"
JWT = {
    "AUTH_JWT_ISSUER": "https://issuer.example",
    "AUTH_JWT_AUDIENCE": "orders",
    "AUTH_JWKS_URL": "https://issuer.example/jwks.json",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTH_API_KEYS", "AUTH_PUBLIC_READS", *JWT):
        monkeypatch.delenv(name, raising=False)


def service(
    patch: pytest.MonkeyPatch, environment: str = "production", **variables: str
) -> Service:
    for name, value in {"ENVIRONMENT": environment, **variables}.items():
        patch.setenv(name, value)
    return Service([pattern])


def test_production_needs_somebody_who_may_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="AUTH_API_KEYS or AUTH_JWT_ISSUER must be set"):
        service(monkeypatch)


def test_public_reads_alone_are_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="AUTH_API_KEYS or AUTH_JWT_ISSUER must be set"):
        service(monkeypatch, AUTH_PUBLIC_READS="true")


def test_keys_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = service(monkeypatch, AUTH_API_KEYS=ENTRY).settings(AuthSettings)
    expected = Principal("key:acme", "standard", frozenset({"read"}))
    assert settings.principals() == {bytes.fromhex(HASH): expected}
    assert settings.issuer() is None
    assert HASH not in repr(settings)


def test_an_issuer_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    started = service(monkeypatch, **JWT)
    assert isinstance(started.get(KeySet), KeySet)


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = service(
        monkeypatch, AUTH_API_KEYS=ENTRY, AUTH_PUBLIC_READS="", **dict.fromkeys(JWT, "")
    ).settings(AuthSettings)
    assert settings.issuer() is None
    assert settings.public_reads is False


@pytest.mark.parametrize("environment", ["production", "development", "test"])
@pytest.mark.parametrize("absent", JWT)
def test_half_an_issuer_is_refused_everywhere(
    monkeypatch: pytest.MonkeyPatch, absent: str, environment: str
) -> None:
    given = {name: value for name, value in JWT.items() if name != absent}
    with pytest.raises(SettingsError, match=f"^{absent} must be set as well"):
        service(monkeypatch, environment, AUTH_API_KEYS=ENTRY, **given)


def test_keys_come_by_https_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {**JWT, "AUTH_JWKS_URL": "http://issuer.example/jwks.json"}
    service(monkeypatch, "development", **plain)
    with pytest.raises(SettingsError, match="AUTH_JWKS_URL must begin with https://"):
        service(monkeypatch, "production", **plain)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "data:,{}", "https://", "x"])
def test_keys_come_from_nowhere_else(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(SettingsError, match="AUTH_JWKS_URL is not usable"):
        service(monkeypatch, "development", **{**JWT, "AUTH_JWKS_URL": url})


@pytest.mark.parametrize("environment", ["production", "development", "test"])
def test_a_bad_entry_is_one_sentence(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    with pytest.raises(SettingsError) as refused:
        service(monkeypatch, environment, AUTH_API_KEYS=f"{ENTRY},evil:standard:read:{HASH[2:]}")
    sentence = "the hash of 'evil' is not 64 hexadecimal digits in lower case."
    assert str(refused.value) == f"AUTH_API_KEYS is not usable: {sentence}"
