"""Whose fault an error is: the database's, so that it may be tried again, or the question's."""

from __future__ import annotations

import asyncpg

from app.http.errors import Unavailable
from app.http.logs import log

# The connection broke, or the server is starting or stopping; the statement itself is not at fault.
_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # the server's last word came when none was expected
)
# DATABASE_STATEMENT_TIMEOUT_S is over, by the server's clock or by ours. (A TimeoutError is an
# OSError, but to ask again what took so long would only make it worse.)
_SLOW = (TimeoutError, asyncpg.QueryCanceledError)
# Another transaction was in the way: the server gave this one up, and keeps nothing of it.
_CONFLICT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
# A migration changed what a prepared statement gives.
_STALE = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


class Away(Unavailable):
    """The connection is broken, or there is none: on another one the same may succeed."""

    def __init__(self) -> None:
        super().__init__("The database does not answer.")


class Migrated(Unavailable):
    """A migration came in between: another attempt sees the schema as it is now."""

    def __init__(self) -> None:
        super().__init__("The database has just been migrated.")


def is_stale(error: BaseException | None) -> bool:
    """Whether prepared statements must be prepared anew."""
    return isinstance(error, _STALE)


def unavailable(
    error: BaseException | None, statement: str, *, disconnected: bool
) -> Unavailable | None:
    """What `error` is for the client when the database is at fault, and a line in the log.

    None when it is the statement's or its values' fault.
    """
    found: Unavailable | None = None
    if isinstance(error, _SLOW):
        found = Unavailable("The database took too long.")
    elif isinstance(error, _CONFLICT):
        found = Unavailable("Another transaction was in the way.")
    elif is_stale(error):
        found = Migrated()
    elif disconnected or isinstance(error, _AWAY):
        found = Away()
    if found:  # by its type: the text may quote values
        log.warning("database_unavailable", statement=statement, error=type(error).__name__)
    return found
