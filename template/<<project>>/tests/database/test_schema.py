"""The models and the migrated database say the same."""

from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import app.patterns  # noqa: F401 - brings in every model
from app.database.base import Base

pytestmark = pytest.mark.anyio


def _belongs(_: Any, __: str | None, kind: str, reflected: bool, model: Any) -> bool:
    return not (kind == "table" and reflected and model is None)


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_server_default": True, "include_object": _belongs}
    context = MigrationContext.configure(connection, opts=options)
    found: list[Any] = compare_metadata(context, Base.metadata)
    return found


async def test_models_and_migrated_schema_do_not_differ(servers: dict[str, str]) -> None:
    dsn = servers["DATABASE_URL"]
    engine = create_async_engine(
        "postgresql+asyncpg://", poolclass=NullPool, async_creator=lambda: asyncpg.connect(dsn)
    )
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
