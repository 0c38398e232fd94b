"""The transaction of a file, which may last longer than those of other requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from app.database import Database
from app.database.errors import unavailable

# For this transaction only. The file's own limits come first; these hold if the process vanishes.
_LIMITS = (
    "SELECT set_config('statement_timeout', $1, true),"
    " set_config('idle_in_transaction_session_timeout', $1, true)"
)


@asynccontextmanager
async def transaction(
    database: Database, name: str, timeout_s: float
) -> AsyncIterator[asyncpg.Connection]:
    """A connection within a transaction: committed at the end of the block, undone if it raises.

    name: what is done, for the log. Raises Unavailable when the database is at fault.
    """
    async with database.connection() as connection:
        try:
            async with connection.transaction():
                await connection.execute(_LIMITS, f"{timeout_s:.0f}s")
                yield connection
        except Exception as error:
            lost = connection.is_closed()
            if problem := unavailable(error, name, disconnected=lost):
                raise problem from error
            raise
