"""Alembic: one branch a pattern, and `service` for the service's own revisions.

A revision is named `<branch>_<anything>` and lies in `migrations/versions/<branch>/`.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy import inspect
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.about import NAME
from app.database.open import connect
from app.database.open import said
from app.database.open import when_up
from app.database.settings import DatabaseSettings
from app.http.logs import log
from app.settings import SettingsError
from app.settings import load_settings

OWN_BRANCH = "service"
ROOT = Path(__file__).parents[2]

# Any fixed number: those who migrate this database take turns by it.
TURN = 7_226_843_921
TURN_TIMEOUT_S = 300
# A migration that waits for a table makes everybody wait who comes after it. So it gives up soon,
# and tries again later.
LOCK_TIMEOUT_S = 5
LOCKED = "55P03"
LOCKED_FOR_LONG = "A table stays locked by others, and the migration needs it: try again later."
DENIED = "42501"
ATTEMPTS, RETRY_S = 12, 5


def branch_of(revision: str) -> str:
    """The branch that a revision is named after."""
    return revision.rpartition("_")[0]


def branches(config: Config) -> list[str]:
    """The branches of this version: those of the patterns, then the service's own."""
    revisions = ScriptDirectory.from_config(config).walk_revisions()
    found = {branch_of(revision.revision) for revision in revisions}
    return sorted(found, key=lambda branch: (branch == OWN_BRANCH, branch))


@asynccontextmanager
async def lent_connection(settings: DatabaseSettings) -> AsyncIterator[AsyncConnection]:
    """A connection to migrate with; others who migrate wait until the block ends."""
    if settings.pgbouncer:  # it shares sessions, and taking turns needs one of its own
        raise SettingsError(
            "Migrations need a direct connection: set DATABASE_URL to PostgreSQL itself and "
            "DATABASE_PGBOUNCER=false for the migration."
        )
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        async_creator=lambda: when_up(settings, lambda: _connect(settings)),
    )
    async with engine.connect() as connection:
        await _take_turn(connection)
        try:
            yield connection
        except DBAPIError as error:
            if _sqlstate(error) != DENIED:
                raise
            why = said(error.orig or error)
            raise SettingsError(f"The user of DATABASE_URL may not migrate: {why}.") from error


async def upgrade(settings: DatabaseSettings) -> None:
    """Bring every branch to its head.

    Raises SettingsError when the database cannot be reached, or does not let the user migrate.
    """
    async with lent_connection(settings) as connection:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await connection.run_sync(_upgrade)
                return
            except DBAPIError as error:
                await connection.rollback()
                if _sqlstate(error) != LOCKED:
                    raise
                if attempt == ATTEMPTS:
                    raise SettingsError(LOCKED_FOR_LONG) from error
            log.warning("migration_postponed", reason="a table is locked", retry_s=RETRY_S)
            await asyncio.sleep(RETRY_S)


def database_settings() -> DatabaseSettings:
    """The database's part of the environment, or SettingsError."""
    settings = load_settings([DatabaseSettings])[DatabaseSettings]
    assert isinstance(settings, DatabaseSettings)
    return settings


def _config(connection: Connection | None = None) -> Config:
    quiet = Namespace(quiet=True)
    return Config(ROOT / "alembic.ini", attributes={"connection": connection}, cmd_opts=quiet)


def _upgrade(connection: Connection) -> None:
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in scripts.walk_revisions()}
    stored = _stored(connection)
    config.attributes["unknown"] = stored - known
    newer = {branch_of(revision) for revision in stored - known}
    # a pattern may have been taken out, the service's own branch not: if it is gone, it is newer
    for branch in dict.fromkeys([*branches(config), *newer & {OWN_BRANCH}]):
        if branch in newer:  # an older version was rolled out again; what is there stays as it is
            log.warning("migration_skipped", reason="the database is newer", branch=branch)
            continue
        connection.rollback()
        command.upgrade(config, f"{branch}@head")
    if _stored(connection) == stored:
        log.info("nothing_to_migrate")


def _stored(connection: Connection) -> set[str]:
    """The revisions that the database is at."""
    connection.rollback()  # Alembic leaves a transaction open when there was nothing to do
    with connection.begin():
        if not inspect(connection).has_table("alembic_version"):
            return set()
        return set(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _connect(settings: DatabaseSettings) -> Awaitable[asyncpg.Connection]:
    return connect(
        settings.dsn,
        timeout=settings.connect_timeout_s,
        server_settings={
            "application_name": f"{NAME} migrate",
            "lock_timeout": str(LOCK_TIMEOUT_S * 1000),
        },
    )


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


async def _take_turn(connection: AsyncConnection) -> None:
    """Wait for the advisory lock by asking again and again: who waits within a statement holds up
    a CREATE INDEX CONCURRENTLY of the one who migrates, and then both are stuck."""
    deadline = monotonic() + TURN_TIMEOUT_S
    while True:
        async with connection.begin():
            if await connection.scalar(text(f"SELECT pg_try_advisory_lock({TURN})")):
                return
        if monotonic() > deadline:
            raise SettingsError(f"Somebody else has been migrating for {TURN_TIMEOUT_S} seconds.")
        await asyncio.sleep(0.2)


async def revise(settings: DatabaseSettings, message: str, autogenerate: bool) -> list[Path]:
    """Write a revision of the service's own branch; the files made.

    With `autogenerate` it holds what the models have and the database has not; none if that is
    nothing.
    """
    if not message.strip():
        raise SettingsError("Say in a few words what the revision changes: -m 'add teams'.")
    async with lent_connection(settings) as connection:
        try:
            return await connection.run_sync(_revise, message, autogenerate)
        except CommandError as error:
            raise SettingsError(f"{error} Has `make migrate` been run?") from error


def _drop_empty(_: Any, __: Any, directives: list[Any]) -> None:
    if directives[0].upgrade_ops.is_empty():
        directives.clear()


def _revise(connection: Connection, message: str, autogenerate: bool) -> list[Path]:
    config = _config(connection)
    own = [
        revision.revision
        for revision in ScriptDirectory.from_config(config).walk_revisions()
        if branch_of(revision.revision) == OWN_BRANCH
    ]
    start: dict[str, Any] = {"head": "base", "branch_label": OWN_BRANCH}
    made = command.revision(
        config,
        message,
        autogenerate=autogenerate,
        process_revision_directives=_drop_empty if autogenerate else None,
        rev_id=f"{OWN_BRANCH}_{len(own) + 1:04d}",
        **({"head": f"{OWN_BRANCH}@head"} if own else start),
    )
    scripts = made if isinstance(made, list) else [made]
    return [Path(script.path) for script in scripts if script]
