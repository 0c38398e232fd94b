"""A transaction that all which its task asks of the database is part of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import asynccontextmanager
from contextlib import suppress
from typing import Any

import asyncpg

from app.database.errors import unavailable
from app.database.lend import LentConnection
from app.unit_of_work import UnitOfWork
from app.unit_of_work import present


class Transaction(UnitOfWork):
    """A unit of work that is one transaction on one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        super().__init__()
        self.connection = connection


def joined() -> Transaction | None:
    """The transaction that this task is in."""
    current = present()
    return current if isinstance(current, Transaction) else None


@asynccontextmanager
async def transaction_on(connection: asyncpg.Connection) -> AsyncIterator[Transaction]:
    """A transaction for the block: committed at its end, undone if it raises.

    Raises Unavailable when it cannot be begun, or when nobody knows whether it is committed.
    """
    assert present() is None, "this task is in the middle of something already"
    current = Transaction(connection)
    # the level that sessions ask for, whose transactions are savepoints within this one
    transaction = connection.transaction(isolation="read_committed")
    await _answered(connection, transaction.start)
    try:
        with current.begun():
            yield current
    except BaseException:
        # where the connection is broken, the server has undone it
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await transaction.rollback()
        raise
    try:
        await _answered(connection, transaction.commit)
    except BaseException:  # cancelled, or its answer was lost
        await current.in_doubt()
        raise
    await current.committed()


async def _answered(connection: asyncpg.Connection, step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()  # which raises as it is called when it knows that the connection is closed
    except Exception as error:
        lost = connection.is_closed()
        if problem := unavailable(error, "transaction", disconnected=lost):
            raise problem from error
        raise


class JoinedConnection(LentConnection):
    """The connection of a transaction as a session borrows it: it is not the session's to close."""

    __slots__ = ()

    def __init__(self, pool: asyncpg.Pool, transaction: Transaction) -> None:
        super().__init__(pool, _Held(transaction.connection))

    async def close(self, timeout: float | None = None) -> None:
        """Leave it to the transaction."""

    def terminate(self) -> None:
        """Leave it to the transaction."""


class _Held:
    """What stands for the pool's proxy."""

    def __init__(self, connection: Any) -> None:
        self._con = connection
