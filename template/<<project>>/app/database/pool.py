"""The database as the service uses it: one bounded pool, compiled statements, and sessions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from contextlib import asynccontextmanager
from time import perf_counter
from types import TracebackType
from typing import Any
from typing import Self

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.database import metrics
from app.database.errors import Away
from app.database.errors import Migrated
from app.database.errors import is_stale
from app.database.errors import unavailable
from app.database.lend import LentConnection
from app.database.lend import PooledConnection
from app.database.lend import hand_back
from app.database.lend import has_free
from app.database.lend import release
from app.database.open import open_pool
from app.database.settings import DatabaseSettings
from app.database.statement import Statement
from app.database.transaction import JoinedConnection
from app.database.transaction import Transaction
from app.database.transaction import joined
from app.database.transaction import transaction_on
from app.http.errors import Unavailable
from app.http.logs import log

READ_ATTEMPTS = 3
RETRY_DELAY_S = 0.05
# How long the pool waits for those who still use it, when the service ends.
CLOSE_S = 5
# A pool that is all in use has no connection for a ping; an answer this recent does instead.
RECENT_S = 5


class Database:
    """PostgreSQL. `fetch` for what is hot, `session` for everything else; both use one pool.

    Raises Unavailable when no connection is free within DATABASE_POOL_ACQUIRE_S, or the server is
    away.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._clock = metrics.Clock(settings.slow_query_s)
        self._pool: asyncpg.Pool
        self._engine = self._make_engine()
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def __aenter__(self) -> Self:
        self._pool = await open_pool(self._settings)
        metrics.watch(self._pool)
        try:
            async with self._engine.connect():
                pass  # SQLAlchemy looks at the server once, and the first request does not wait
        except BaseException:
            self._pool.terminate()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_S)
        except TimeoutError:
            log.warning("database_pool_terminated", reason="connections still in use")
            self._pool.terminate()

    async def fetch(self, statement: Statement, /, **values: Any) -> list[asyncpg.Record]:
        """The rows of one statement, which is committed by itself when this returns.

        A read whose connection breaks is tried again on another one. Within a `session` block
        this would need a second connection, and would not see what the session has written. Within
        a `transaction` block it is part of that.
        """
        arguments = statement.arguments(values)
        if transaction := joined():
            return await self._ask(transaction.connection, statement, arguments)
        attempt = 1
        while True:
            try:
                return await self._run(statement, arguments)
            except (Away, Migrated):
                if not statement.read or attempt == READ_ATTEMPTS:
                    raise
            metrics.RETRIES.inc()
            # the server that ended one connection is likely to end its neighbours in this moment
            await asyncio.sleep(RETRY_DELAY_S * attempt * (1 + random.random()))  # noqa: S311
            attempt += 1

    async def fetch_one(self, statement: Statement, /, **values: Any) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction with SQLAlchemy: committed at the end of the block, undone if it raises.
        Within a `transaction` block it is a savepoint of that."""
        return self._sessions.begin()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """One transaction for every `fetch` and `session` of this task within the block, for what
        wraps code that knows nothing of it: committed at the end, undone if it raises."""
        async with self.connection() as connection, transaction_on(connection) as transaction:
            yield transaction

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """One connection of the pool for the block, for what needs a session to itself."""
        proxy = await self._acquire()
        try:
            yield proxy._con
        finally:
            await release(self._pool, proxy)

    def watch(self, watcher: metrics.Watcher | None) -> None:
        """Have this told of every query of `fetch` and of sessions, in the task that asked it."""
        self._clock.watcher = watcher

    @property
    def shares_sessions(self) -> bool:
        """Whether PgBouncer lends a session for one transaction only: there is no LISTEN then."""
        return self._settings.pgbouncer

    async def ping(self) -> None:
        """Return when the server answers, or has just answered and is busy."""
        pool = self._pool
        exhausted = pool.get_idle_size() == 0 and pool.get_size() == pool.get_max_size()
        if exhausted and perf_counter() - self._clock.answered < RECENT_S:
            return
        proxy = await self._acquire()
        try:
            proxy._con.clean = True
            await proxy.execute("SELECT 1")
        finally:
            await release(self._pool, proxy)

    async def _run(self, statement: Statement, arguments: list[Any]) -> list[asyncpg.Record]:
        proxy = await self._acquire()
        connection: PooledConnection = proxy._con
        connection.clean = True
        ok = False
        try:
            rows = await self._ask(connection, statement, arguments)
            ok = True
        finally:
            if not (ok and hand_back(proxy)):
                await release(self._pool, proxy)
        return rows

    async def _ask(
        self, connection: asyncpg.Connection, statement: Statement, arguments: list[Any]
    ) -> list[asyncpg.Record]:
        ok, started = False, perf_counter()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement.sql, *arguments)
            ok = True
        except Exception as error:
            lost = connection.is_closed()
            if problem := unavailable(error, statement.name, disconnected=lost):
                raise problem from error
            raise
        finally:
            self._clock.stop(statement.duration, statement.name, started, ok)
        return rows

    async def _acquire(self) -> Any:
        try:
            if has_free(self._pool):  # who need not wait needs no timer
                return await self._pool.acquire()
            with metrics.WAITING.track_inprogress():
                return await self._pool.acquire(timeout=self._settings.pool_acquire_s)
        except TimeoutError as error:
            metrics.TIMEOUTS.inc()
            raise Unavailable("The service is busy.") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("database_unavailable", error=repr(error))
            raise Away from error

    async def _lend(self) -> LentConnection:
        if transaction := joined():
            return JoinedConnection(self._pool, transaction)
        return LentConnection(self._pool, await self._acquire())

    def _make_engine(self) -> AsyncEngine:
        def connect() -> Any:
            # as async_creator does, but without SQLAlchemy's own cache of prepared statements
            api = engine.sync_engine.dialect.loaded_dbapi
            return api.connect(async_creator_fn=self._lend, prepared_statement_cache_size=0)

        engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, creator=connect)
        # asyncpg gives JSON as text unless each new connection is told otherwise, by two queries
        engine.sync_engine.dialect.supports_native_json_deserialization = False
        self._clock.attach(engine.sync_engine)
        event.listen(engine.sync_engine, "do_execute", _execute)
        event.listen(engine.sync_engine, "handle_error", _on_error)
        return engine


def _execute(cursor: DBAPICursor, sql: str, parameters: Any, context: ExecutionContext) -> bool:
    """Run a session's statement; once more when a migration came in between and nothing is lost by
    beginning the transaction again."""
    connection = context.root_connection.connection
    lent = connection.driver_connection
    assert isinstance(lent, LentConnection)
    try:
        cursor.execute(sql, parameters)
    except Exception as error:
        if not (is_stale(error.__cause__) and lent.at_first_statement):
            raise
        lent.forget_statements()
        connection.rollback()
        cursor.execute(sql, parameters)
    return True  # SQLAlchemy has nothing left to do


def _on_error(error: ExceptionContext) -> BaseException | None:
    """What a session raises instead of this error."""
    cause = error.original_exception.__cause__ or error.original_exception
    if is_stale(cause) and error.connection:
        lent = error.connection.connection.driver_connection
        assert isinstance(lent, LentConnection)
        lent.forget_statements()
    lost = error.is_disconnect and isinstance(cause, Exception)  # not cancelled, that is
    return unavailable(cause, "session", disconnected=lost)
