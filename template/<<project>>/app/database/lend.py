"""Connections of the asyncpg pool, lent to SQLAlchemy.

There is one pool, because the server's max_connections knows only one: SQLAlchemy has none of its
own (NullPool) and borrows. It would close what it has finished with; here closing gives back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import asyncpg

# How long a connection may take to come to rest, also when its query was cancelled.
RELEASE_S = 5

_FAILED = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class PooledConnection(asyncpg.Connection):
    """A connection that knows whether its present user may have changed the session.

    asyncpg resets a connection that returns to the pool by a query of its own. A compiled
    `Statement` leaves nothing to reset: it sets `clean`, and the round trip is spared, this once.
    """

    __slots__ = ("_outdated", "clean")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clean = False
        self._outdated = False

    def get_reset_query(self) -> str:
        """What is sent when the connection returns to the pool."""
        if self.clean:
            self.clean = False  # whoever uses it next has to say so again
            return ""
        return super().get_reset_query()

    def _drop_global_statement_cache(self) -> None:
        """Have every connection of the pool prepare its statements anew: at once, but where one is
        in use by another task, when that is done with it.

        asyncpg would close them in the middle of what that task does.
        """
        mine: Any = self
        for holder in mine._proxy._holder._pool._holders:
            connection: Any = holder._con
            if connection and holder._in_use and connection is not mine:
                connection._outdated = True
            elif connection:
                connection._drop_local_statement_cache()

    def _on_release(self, stacklevel: int = 1) -> None:
        released: Any = super()
        released._on_release(stacklevel)
        if self._outdated:
            self._outdated = False
            released._drop_local_statement_cache()


class BouncedConnection(PooledConnection):
    """A connection to PgBouncer, which would send a reset to whichever session is free."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        """Nothing is sent."""
        return ""


def has_free(pool: Any) -> bool:
    """Whether a connection can be had without waiting for somebody to give one back."""
    return bool(pool._queue.qsize())


def hand_back(proxy: Any) -> bool:
    """Give a connection back at once if it is clean and at rest; else False, and `release` it.

    The same as asyncpg's own release without what it guards against: there, a task, a shield and
    a timer for each query cost half as much as the query.
    """
    connection, holder = proxy._con, proxy._holder
    if (
        connection is None
        or not connection.clean
        or connection.is_closed()
        or connection._protocol._is_cancelling()
        or connection._protocol.is_in_transaction()
        or holder._generation != holder._pool._generation
    ):
        return False
    connection.clean = False
    connection._on_release()
    holder._timeout = None
    holder._release()
    holder._setup_inactive_callback()
    return True


async def release(pool: asyncpg.Pool, proxy: Any) -> None:
    """Give a connection back, reset; one that cannot be is cut, and the pool replaces it.

    What it was used for is done or has failed by now, so that this has no error to tell.
    """
    with suppress(*_FAILED):
        await pool.release(proxy, timeout=RELEASE_S)


class LentConnection:
    """A pooled connection as SQLAlchemy's asyncpg adapter sees it.

    The adapter is made anew for each checkout, so what it would set up per connection is kept
    with the real one: prepared statements in asyncpg's cache, JSON as asyncpg's own text codec.
    """

    __slots__ = ("_connection", "_pool", "_prepared", "_proxy")

    def __init__(self, pool: asyncpg.Pool, proxy: Any) -> None:
        self._pool = pool
        self._proxy = proxy
        self._prepared = 0
        self._connection: Any = proxy._con  # the adapter needs the real one

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def transaction(self, **options: Any) -> Any:
        """A transaction, which has done nothing yet."""
        self._prepared = 0
        return self._connection.transaction(**options)

    @property
    def at_first_statement(self) -> bool:
        """Whether the transaction has done nothing before its present statement."""
        return self._prepared == 1 and self._connection.is_in_transaction()

    async def prepare(self, query: str, *, name: str | None = None, **_: Any) -> Any:
        """Prepare through asyncpg's cache, which the public method goes past."""
        self._prepared += 1
        return await self._connection._prepare(query, name=name, use_cache=True)

    async def set_type_codec(self, *_: Any, **__: Any) -> None:
        """Do nothing: two introspection queries per checkout would set what is set already."""

    def forget_statements(self) -> None:
        """Have every connection of the pool prepare its statements anew."""
        self._connection._drop_global_statement_cache()

    async def close(self, timeout: float | None = None) -> None:
        """Give the connection back; a timeout means that SQLAlchemy does not trust it."""
        if self._returned():
            return
        if timeout is not None:
            await self._end_transaction(timeout)
        await release(self._pool, self._proxy)

    async def _end_transaction(self, timeout: float) -> None:
        """End what a cancelled task has left open, or cut the connection: a new one for each
        request that is cancelled costs the server more than the request."""
        try:
            await self._connection.execute("ROLLBACK", timeout=timeout)
            self._connection._top_xact = None  # of which asyncpg would complain
        except _FAILED:
            self._connection.terminate()

    def terminate(self) -> None:
        """Cut the connection; the pool replaces it."""
        if not self._returned():
            self._connection.terminate()

    def _returned(self) -> bool:
        # then it may be somebody else's already
        return self._proxy._con is None
