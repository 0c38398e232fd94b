"""TLS to the server: verified, or refused."""

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from app.database import Database
from app.database.migrate import upgrade
from app.settings import SettingsError
from dev.servers import ServersError
from tests.database.conftest import refusal
from tests.database.conftest import settings
from tests.database.private import MakeServer
from tests.database.private import PrivateServer
from tests.database.statements import PID

pytestmark = pytest.mark.anyio


class Authority:
    """Somebody who signs certificates; `file` is its own, to trust."""

    def __init__(self, file: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file.stem)])
        self.file = file
        file.write_bytes(_pem(self._sign(self._name, self._key.public_key(), authority=True)))

    def issue(self, certificate: Path, key: Path) -> None:
        """A certificate for 127.0.0.1."""
        own = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate.write_bytes(_pem(self._sign(name, own.public_key(), authority=False)))
        key.touch(mode=0o600)
        key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, authority: bool
    ) -> x509.Certificate:
        address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(address, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom the server's certificate is from."""
    return Authority(tmp_path / "authority.pem")


@pytest.fixture
def encrypted(private: MakeServer, authority: Authority, tmp_path: Path) -> PrivateServer:
    """A server with a certificate for 127.0.0.1."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    authority.issue(certificate, key)
    server = private("ssl=on", f"ssl_cert_file={certificate}", f"ssl_key_file={key}")
    server.own(key)
    try:
        server.start()
    except ServersError as error:
        if "SSL is not supported" in str(error):
            pytest.skip("this PostgreSQL is built without TLS, as the embedded one is")
        raise
    return server


async def test_tls_with_a_verified_certificate(
    encrypted: PrivateServer, authority: Authority
) -> None:
    url = f"{encrypted.url}?sslmode=verify-full&sslrootcert={authority.file}"
    async with Database(settings(url)) as database:
        shown = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        async with database.session() as session:
            assert (await session.execute(text(shown))).one() == (True, "TLSv1.3")
        [row] = await database.fetch(PID)
        async with database.session() as session:
            same = text("SELECT ssl FROM pg_stat_ssl WHERE pid = :pid")
            assert await session.scalar(same, {"pid": row["pid"]}) is True


async def test_tls_with_a_certificate_from_somebody_else_is_refused(
    encrypted: PrivateServer, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other.pem")
    said = await refusal(f"{encrypted.url}?sslmode=verify-full&sslrootcert={other.file}")
    assert "certificate" in said
    by_name = encrypted.url.replace("127.0.0.1", "localhost")
    said = await refusal(f"{by_name}?sslmode=verify-full&sslrootcert={authority.file}")
    assert "certificate" in said
    with pytest.raises(SettingsError, match="certificate is refused"):
        await upgrade(settings(f"{by_name}?sslmode=verify-full&sslrootcert={authority.file}"))


async def test_tls_that_the_server_does_not_have_is_not_done_without(server: PrivateServer) -> None:
    with pytest.raises(SettingsError):
        async with Database(settings(f"{server.url}?sslmode=require", start_timeout_s=0)):
            pass
    connection = await asyncpg.connect(server.url)
    await connection.close()
