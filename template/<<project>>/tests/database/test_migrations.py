"""Migrations: taking turns, and databases that are older, newer, or of other patterns."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.database import DatabaseSettings
from app.database import migrate
from app.settings import SettingsError
from tests.database.private import PrivateServer

pytestmark = pytest.mark.anyio

REVISION = """
from alembic import op

revision = "{name}"
down_revision = {below}
branch_labels = {labels}
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO migrated VALUES ('{name}')")
"""


class Version:
    """A version of the service with migrations of its own, and the database they are for."""

    def __init__(self, settings: DatabaseSettings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder

    def add(self, branch: str, number: int) -> None:
        """Add a revision that notes its name in the table `migrated`."""
        below = f'"{branch}_{number - 1}"' if number > 1 else "None"
        labels = f'("{branch}",)' if number == 1 else "None"
        name = f"{branch}_{number}"
        source = REVISION.format(name=name, below=below, labels=labels)
        (self._folder / f"{name}.py").write_text(source)

    def remove(self, name: str) -> None:
        """Take a revision away again."""
        (self._folder / f"{name}.py").unlink()

    async def upgrade(self) -> None:
        """What `python -m app migrate` does."""
        await migrate.upgrade(self.settings)

    async def rows(self, query: str) -> list[str]:
        """The first column of a query's rows."""
        connection = await asyncpg.connect(self.settings.dsn)
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def done(self) -> list[str]:
        """The revisions that ran, in their order."""
        return await self.rows("SELECT name FROM migrated")


@pytest.fixture
async def version(
    servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> AsyncIterator[Version]:
    """A version without revisions, and an empty database."""
    folder = tmp_path / "migrations" / "versions"
    folder.mkdir(parents=True)
    for name in ("alembic.ini", "migrations/env.py", "migrations/script.py.mako"):
        (tmp_path / name).write_text((migrate.ROOT / name).read_text())
    monkeypatch.setattr(migrate, "ROOT", tmp_path)
    base, _, name = servers["DATABASE_URL"].rpartition("/")
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute(f'CREATE DATABASE "{name}_migrations"')
    version = Version(DatabaseSettings(url=SecretStr(f"{base}/{name}_migrations")), folder)
    try:
        await version.rows("CREATE TABLE migrated (name text)")
        yield version
    finally:
        await connection.execute(f'DROP DATABASE "{name}_migrations" WITH (FORCE)')
        await connection.close()


async def test_pgbouncer_is_refused() -> None:
    settings = DatabaseSettings(url=SecretStr("postgresql://user@nowhere/name"), pgbouncer=True)
    with pytest.raises(SettingsError, match="need a direct connection"):
        await migrate.upgrade(settings)


@pytest.mark.parametrize("message", ["", "  "])
async def test_a_revision_says_what_it_changes(message: str) -> None:
    settings = DatabaseSettings(url=SecretStr("postgresql://user@nowhere/name"))
    with pytest.raises(SettingsError, match="what the revision changes"):
        await migrate.revise(settings, message, autogenerate=True)


async def user_of(server: PrivateServer, *allowed: str, limit: int = -1) -> DatabaseSettings:
    """Settings of an ordinary user with these rights only, and as many connections."""
    connection = await asyncpg.connect(server.url)
    for statement in (
        f"CREATE ROLE limited LOGIN PASSWORD 'secret' CONNECTION LIMIT {limit}",
        "REVOKE CONNECT ON DATABASE postgres FROM public",
        *(f"GRANT {right} TO limited" for right in allowed),
    ):
        await connection.execute(statement)
    await connection.close()
    url = f"postgresql://limited:secret@127.0.0.1:{server.port}/postgres"
    return DatabaseSettings(url=SecretStr(url), start_timeout_s=0.1)


async def refused(settings: DatabaseSettings) -> str:
    """The sentence with which the command `migrate` ends."""
    with pytest.raises(SettingsError) as caught:
        await migrate.upgrade(settings)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert "secret" not in said
    return said


async def test_a_user_without_a_connection_left_is_told(server: PrivateServer) -> None:
    settings = await user_of(server, "CONNECT ON DATABASE postgres", limit=0)
    assert "cannot be reached: too many connections" in await refused(settings)


async def test_a_user_who_may_not_connect_is_told(server: PrivateServer) -> None:
    assert "is refused by the server: permission denied" in await refused(await user_of(server))


async def test_a_user_who_may_not_make_tables_is_told(server: PrivateServer) -> None:
    settings = await user_of(server, "CONNECT ON DATABASE postgres")
    assert "may not migrate: permission denied for schema public" in await refused(settings)


async def test_a_server_that_says_nothing_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://user:secret@127.0.0.1:{silent.getsockname()[1]}/name"
        settings = DatabaseSettings(url=SecretStr(url), start_timeout_s=0.1, connect_timeout_s=0.2)
        assert "cannot be reached: no answer in 0.2 s" in await refused(settings)


async def test_a_table_that_stays_locked_is_told(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(migrate, "RETRY_S", 0.1)
    monkeypatch.setattr(migrate, "ATTEMPTS", 2)
    version.add("service", 1)
    connection = await asyncpg.connect(version.settings.dsn)
    async with connection.transaction():
        await connection.execute("LOCK TABLE migrated")
        assert "locked" in await refused(version.settings)
    await connection.close()
    assert await version.done() == []


async def test_nothing_to_migrate(version: Version) -> None:
    await version.upgrade()
    assert await version.done() == []


async def test_the_patterns_come_before_the_service(version: Version) -> None:
    version.add("service", 1)
    version.add("zebra", 1)
    version.add("zebra", 2)
    await version.upgrade()
    await version.upgrade()
    assert await version.done() == ["zebra_1", "zebra_2", "service_1"]


async def test_many_at_once_take_turns(version: Version) -> None:
    version.add("service", 1)
    version.add("service", 2)
    await asyncio.gather(*(version.upgrade() for _ in range(4)))
    assert await version.done() == ["service_1", "service_2"]


async def test_a_pattern_that_was_taken_out_and_comes_back(version: Version) -> None:
    version.add("zebra", 1)
    await version.upgrade()
    version.remove("zebra_1")
    version.add("service", 1)
    await version.upgrade()
    version.add("zebra", 1)
    version.add("zebra", 2)
    await version.upgrade()
    assert await version.done() == ["zebra_1", "service_1", "zebra_2"]


async def test_an_older_version_leaves_a_newer_database(version: Version) -> None:
    version.add("service", 1)
    version.add("service", 2)
    await version.upgrade()
    version.remove("service_2")
    version.add("zebra", 1)
    await version.upgrade()
    assert await version.done() == ["service_1", "service_2", "zebra_1"]


@pytest.mark.parametrize(
    ("gone", "said"), [("service_1", ["service"]), ("zebra_1", [])], ids=["own", "of-a-pattern"]
)
async def test_an_older_version_says_that_the_database_is_newer(
    version: Version, monkeypatch: pytest.MonkeyPatch, gone: str, said: list[str]
) -> None:
    """Also one without any revision of its own; a pattern may just have been taken out."""
    skipped: list[str] = []
    monkeypatch.setattr(
        "app.database.migrate.log.warning", lambda _, **said: skipped.append(said["branch"])
    )
    version.add("service", 1)
    version.add("zebra", 1)
    await version.upgrade()
    version.remove(gone)
    await version.upgrade()
    assert skipped == said


async def test_a_locked_table_is_waited_for(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(migrate, "RETRY_S", 0.1)
    version.add("service", 1)
    connection = await asyncpg.connect(version.settings.dsn)
    async with connection.transaction():
        await connection.execute("LOCK TABLE migrated")
        upgrading = asyncio.create_task(version.upgrade())
        await asyncio.sleep(0.5)
        assert not upgrading.done()
    await upgrading
    await connection.close()
    assert await version.done() == ["service_1"]


async def test_a_migration_that_fails_leaves_nothing(version: Version) -> None:
    version.add("service", 1)
    await version.rows("ALTER TABLE migrated ADD CHECK (name <> 'service_2')")
    version.add("service", 2)
    with pytest.raises(Exception, match="violates check constraint"):
        await version.upgrade()
    assert await version.done() == ["service_1"]
    assert await version.rows("SELECT version_num FROM alembic_version") == ["service_1"]


async def test_the_turn_is_given_back_on_failure(version: Version) -> None:
    async with migrate.lent_connection(version.settings) as connection:
        held = await connection.scalar(text(f"SELECT pg_try_advisory_lock({migrate.TURN})"))
        assert held
    async with asyncio.timeout(5), migrate.lent_connection(version.settings):
        pass


async def test_a_revision_without_a_change(version: Version) -> None:
    made = await migrate.revise(version.settings, "Nothing", autogenerate=False)
    assert [path.name for path in made] == ["service_0001_nothing.py"]
    await version.upgrade()
    assert await version.rows("SELECT version_num FROM alembic_version") == ["service_0001"]


async def test_a_database_that_is_behind(version: Version) -> None:
    version.add("service", 1)
    with pytest.raises(SettingsError, match=r"not up to date.*migrate"):
        await migrate.revise(version.settings, "More", autogenerate=True)


async def test_models_and_migrations_agree(servers: dict[str, str]) -> None:
    settings = DatabaseSettings(url=SecretStr(servers["DATABASE_URL"]))
    assert await migrate.revise(settings, "Difference", autogenerate=True) == []
