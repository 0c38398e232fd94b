"""TLS, users and Unix sockets, all by the URL."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from redis.exceptions import NoPermissionError

from app.redis import RedisClient
from app.redis import RedisSettings
from app.redis import RedisUnavailable
from tests.redis.private import PrivateRedis
from tests.redis.private import free_port

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[RedisClient]:
    """A client of this Redis, patient enough for a TLS handshake on a busy machine."""
    async with RedisClient(RedisSettings(url=SecretStr(url), timeout_s=5)) as redis:
        yield redis


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "redis.crt", folder / "redis.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


async def test_tls_with_a_certificate_that_is_checked(
    private_with: Callable[..., PrivateRedis], tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    private_with(*files, "--tls-ca-cert-file", str(certificate), *options).start(listens_on=port)
    url = f"rediss://127.0.0.1:{port}/0"
    async with client_of(f"{url}?ssl_ca_certs={certificate}") as redis:
        assert await redis.execute("SET", "key", b"x" * 100_000) == b"OK"
        assert await redis.execute("GET", "key") == b"x" * 100_000
        assert await redis.client.get("key") == b"x" * 100_000
    async with client_of(url) as redis:
        with pytest.raises(RedisUnavailable) as refused:
            await redis.ping()
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value) or isinstance(
        refused.value.__cause__, ssl.SSLError
    )


async def test_a_user_with_a_password_and_few_rights(private: PrivateRedis) -> None:
    async with client_of(private.url) as admin:
        await admin.client.acl_setuser(
            "svc",
            enabled=True,
            passwords=["+p@ss:w/rd"],
            keys=["svc:*"],
            commands=["+get", "+set", "+ping"],
        )
    url = private.url.replace("//", "//svc:p%40ss%3Aw%2Frd@")
    async with client_of(url) as redis:
        assert await redis.execute("SET", "svc:key", "1") == b"OK"
        with pytest.raises(NoPermissionError):
            await redis.execute("GET", "other:key")
        assert await redis.execute("GET", "svc:key") == b"1"
    async with client_of(url.replace("svc:p", "svc:wrong")) as redis:
        with pytest.raises(RedisUnavailable) as refused:
            await redis.ping()
    assert "w/rd" not in str(refused.value)


async def test_an_outage_ends_for_a_user_who_may_not_ping(private: PrivateRedis) -> None:
    async with client_of(private.url) as admin:
        await admin.client.acl_setuser(
            "svc", enabled=True, passwords=["+pw"], keys=["*"], commands=["+get"]
        )
        url = SecretStr(private.url.replace("//", "//svc:pw@"))
        async with RedisClient(RedisSettings(url=url, timeout_s=0.2)) as redis:
            assert await redis.execute("GET", "key") is None
            await admin.client.client_pause(500)
            with pytest.raises(RedisUnavailable):
                await redis.execute("GET", "key")
            async with asyncio.timeout(5):
                await redis.until_available()
            assert await redis.execute("GET", "key") is None


async def test_a_unix_socket(private_with: Callable[..., PrivateRedis], tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    private_with("--unixsocket", str(path)).start()
    async with client_of(f"unix://{path}?db=2") as redis:
        await redis.ping()
