"""The connection that a worker keeps for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any

import asyncpg

from app.database import Database
from app.database import Statement
from app.database.errors import unavailable
from app.queue.enqueue import CHANNEL


class OwnConnection:
    """One connection of the pool, kept: jobs that use all the others cannot delay a heartbeat.

    It runs one statement at a time and hears when jobs are enqueued. When it breaks, the statement
    fails and the next one gets another connection.
    """

    def __init__(self, database: Database, heard: Callable[[], None], timeout_s: float) -> None:
        self._database = database
        self._heard = heard
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._held = AsyncExitStack()
        self._connection: asyncpg.Connection | None = None

    async def fetch(self, statement: Statement, /, **values: Any) -> list[asyncpg.Record]:
        """The rows of a statement; Unavailable when the database is away."""
        arguments = statement.arguments(values)
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    connection = self._connection or await self._open()
                    started = perf_counter()
                    try:
                        return await connection.fetch(statement.sql, *arguments)
                    finally:
                        statement.duration.observe(perf_counter() - started)
            except BaseException as error:
                lost = self._connection is not None and self._connection.is_closed()
                await self.close()
                if problem := unavailable(error, statement.name, disconnected=lost):
                    raise problem from error
                raise

    async def close(self) -> None:
        """Cut the connection; the pool replaces it."""
        if self._connection:
            self._connection.terminate()
            self._connection = None
        await self._held.aclose()

    async def _open(self) -> asyncpg.Connection:
        connection = await self._held.enter_async_context(self._database.connection())
        self._connection = connection
        if not self._database.shares_sessions:
            await connection.add_listener(CHANNEL, lambda *_: self._heard())
        self._heard()  # for what was said meanwhile
        return connection
