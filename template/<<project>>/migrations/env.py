"""What Alembic runs: `python -m app migrate` lends it a connection, plain `alembic` makes one."""

import asyncio
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection

import app.patterns  # noqa: F401 - brings in every model
from app.database.base import Base
from app.database.migrate import branch_of
from app.database.migrate import branches
from app.database.migrate import database_settings
from app.database.migrate import lent_connection
from app.http.logs import log


def _belongs(_: Any, __: str | None, kind: str, reflected: bool, model: Any) -> bool:
    """A table without a model is left alone: it may be a library's, or of a pattern taken out."""
    return not (kind == "table" and reflected and model is None)


def _tell(ctx: MigrationContext, step: MigrationInfo, heads: Any, run_args: Any) -> None:
    log.info("migrated", direction="up" if step.is_upgrade else "down", to=step.up_revision_id)


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=_belongs,
        compare_server_default=True,
        on_version_apply=_tell,
        transaction_per_migration=True,
    )
    migration = context.get_context()
    stored = migration.get_current_heads
    present = branches(context.config)
    unknown = context.config.attributes.get("unknown", ())

    def of_this_version() -> tuple[str, ...]:
        return tuple(r for r in stored() if branch_of(r) in present and r not in unknown)

    # A pattern that was taken out leaves its tables and their revision, for when it comes back.
    migration.get_current_heads = of_this_version  # type: ignore[method-assign]
    with context.begin_transaction():
        context.run_migrations()


async def _with_own_connection() -> None:
    async with lent_connection(database_settings()) as connection:
        await connection.run_sync(_migrate)


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif lent := context.config.attributes.get("connection"):
    _migrate(lent)
else:
    asyncio.run(_with_own_connection())
