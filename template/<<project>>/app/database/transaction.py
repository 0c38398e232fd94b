"""A transaction that all which its task asks of the database is part of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import asynccontextmanager
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import asyncpg

from app.database.errors import unavailable
from app.database.lend import LentConnection
from app.http.logs import log

_CURRENT: ContextVar[Transaction | None] = ContextVar("transaction", default=None)


class Transaction:
    """One transaction on one connection. It belongs to the task that began it: what that task has
    others do, at the same time or later, is not part of it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.task = asyncio.current_task()
        self._after: list[Callable[[], Awaitable[object] | None]] = []

    def after_commit(self, act: Callable[[], Awaitable[object] | None]) -> None:
        """Call `act`, and await what it returns, once this is committed; never if it is undone."""
        self._after.append(act)

    async def committed(self) -> None:
        """Do what was to be done after the commit; what fails of it is logged."""
        for act in self._after:
            try:
                if (done := act()) is not None:
                    await done
            except Exception as error:
                log.error("after_commit_failed", exc_info=error)


def present() -> Transaction | None:
    """The transaction that this task is in."""
    current = _CURRENT.get()
    return current if current and current.task is asyncio.current_task() else None


@asynccontextmanager
async def transaction_on(connection: asyncpg.Connection) -> AsyncIterator[Transaction]:
    """A transaction for the block: committed at its end, undone if it raises.

    Raises Unavailable when it cannot be begun, or when nobody knows whether it is committed.
    """
    assert present() is None, "there is a transaction already"
    current = Transaction(connection)
    # the level that sessions ask for, whose transactions are savepoints within this one
    transaction = connection.transaction(isolation="read_committed")
    await _answered(connection, transaction.start())
    token = _CURRENT.set(current)
    try:
        yield current
    except BaseException:
        # where the connection is broken, the server has undone it
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await transaction.rollback()
        raise
    else:
        await _answered(connection, transaction.commit())
    finally:
        _CURRENT.reset(token)
    await current.committed()


async def _answered(connection: asyncpg.Connection, step: Awaitable[None]) -> None:
    try:
        await step
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
