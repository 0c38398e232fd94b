"""Connecting: a server that is not up yet is awaited, one that cannot be used is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from collections.abc import Callable
from time import monotonic
from typing import Any

import asyncpg

from app.about import NAME
from app.database.lend import BouncedConnection
from app.database.lend import PooledConnection
from app.database.settings import DatabaseSettings
from app.database.settings import connections_needed
from app.http.logs import log
from app.settings import SettingsError

RETRY_S = 0.5

# The server is not up yet, is just being replaced, or has no connection left. Everything else will
# not be better in a second.
_PASSING = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)


async def open_pool(settings: DatabaseSettings) -> asyncpg.Pool:
    """The pool, with `pool_min` connections made; waits `start_timeout_s` for the server.

    Raises SettingsError when the server is away that long, refuses, or has too few connections.
    """
    return await when_up(settings, lambda: _open(settings))


async def when_up[T](settings: DatabaseSettings, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns; made again for `start_timeout_s` while the server is not up yet.

    Raises SettingsError, in one sentence, when the server is away that long or refuses.
    """
    deadline = monotonic() + settings.start_timeout_s
    while True:
        try:
            return await attempt()
        except Exception as error:
            if isinstance(error, SettingsError):
                raise
            if refusal := _refusal(error):
                raise SettingsError(refusal) from error
            if monotonic() > deadline:
                raise SettingsError(f"The database cannot be reached: {said(error)}.") from error
            log.warning("database_awaited", error=repr(error))
        await asyncio.sleep(RETRY_S)


def said(error: BaseException) -> str:
    """What an error says, its details too, in one line."""
    return " ".join(str(error).split()).removesuffix(".")


def _refusal(error: Exception) -> str | None:
    """Why another attempt would fare no better; None if it might."""
    if "startup parameter" in str(error):
        hint = "The server takes no settings; if it is PgBouncer, set DATABASE_PGBOUNCER"
        return f"{hint}: {said(error)}."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The database's certificate is refused: {error.verify_message}."
    if isinstance(error, FileNotFoundError | PermissionError):
        return f"DATABASE_URL names a file that cannot be read: {error}."
    if isinstance(error, _PASSING):
        return None
    if isinstance(error, asyncpg.PostgresError):
        return f"DATABASE_URL is refused by the server: {said(error)}."
    return f"DATABASE_URL is not usable: {type(error).__name__}."


async def _open(settings: DatabaseSettings) -> asyncpg.Pool:
    pool = await _create(settings)
    try:
        await _check_budget(pool, settings)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def _create(settings: DatabaseSettings) -> asyncpg.Pool:
    milliseconds = str(max(1, round(settings.statement_timeout_s * 1000)))
    session = {
        "application_name": NAME,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
    }
    pool = asyncpg.create_pool(
        settings.dsn,
        connect=connect,
        timeout=settings.connect_timeout_s,
        min_size=min(settings.pool_min, settings.pool_max),
        max_size=settings.pool_max,
        max_inactive_connection_lifetime=settings.pool_idle_s,
        max_queries=2**31,  # a connection is not worn out by use
        connection_class=BouncedConnection if settings.pgbouncer else PooledConnection,
        statement_cache_size=0 if settings.pgbouncer else 256,
        max_cached_statement_lifetime=0,
        server_settings={} if settings.pgbouncer else session,
        # for a server that vanished without a word; its own timeout comes first otherwise
        command_timeout=settings.statement_timeout_s + 5,
    )
    return await pool


async def connect(*args: Any, **options: Any) -> asyncpg.Connection:
    """asyncpg.connect, which says how long it has waited: `options` have the timeout."""
    try:
        return await asyncpg.connect(*args, **options)
    except TimeoutError as error:  # which from the pool would mean that it is busy
        raise ConnectionError(f"no answer in {options['timeout']:g} s") from error


async def _check_budget(pool: asyncpg.Pool, settings: DatabaseSettings) -> None:
    if settings.pgbouncer:
        return  # then PgBouncer's pool is what the server sees
    offered = int(await pool.fetchval("SELECT current_setting('max_connections')"))
    needed = connections_needed(settings.pool_max)
    if needed > offered:
        raise SettingsError(
            f"The service may need {needed} connections and the server has {offered}: lower "
            f"DATABASE_POOL_MAX ({settings.pool_max}), or raise the server's max_connections."
        )
