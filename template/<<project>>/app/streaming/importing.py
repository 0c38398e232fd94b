"""A CSV file into the database, in one transaction, however large it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from contextlib import aclosing
from contextlib import asynccontextmanager

import asyncpg
from fastapi import Request
from pydantic import BaseModel

from app.streaming.metrics import ROWS
from app.streaming.records import Unreadable
from app.streaming.rows import BadRows
from app.streaming.rows import Rows
from app.streaming.session import transaction
from app.streaming.streams import Streams
from app.streaming.upload import uploaded

# Rows in one statement, or fewer of so many bytes together. Each is a savepoint, of which a
# transaction should not have many: the more, the longer others look what of it they see.
BATCH = 5_000
BATCH_BYTES = 1_048_576
# More bad rows, and the file is refused, also when they are to be skipped: it is another file than
# was meant, and each costs as much as a good one.
MOST_BAD = 100_000

_ROWS = ROWS.labels("import")

type Write[M] = Callable[[asyncpg.Connection, Sequence[M]], Awaitable[None]]
type Numbered[M] = tuple[int, M]


class BadFile(Exception):
    """Nothing was imported: the error's text says why, and `bad` which rows are bad."""

    def __init__(self, why: str, bad: BadRows) -> None:
        super().__init__(why)
        self.bad = bad


class _Spoiled(Exception):
    """There is a bad row, and none was to be skipped."""


class CsvImport[M: BaseModel]:
    """Imports the body of one request.

    name:    of what is done, for the log
    model:   what a row must be
    write:   makes some rows, in one statement
    ignored: columns that the file may have and that are not read
    """

    def __init__(
        self,
        streams: Streams,
        name: str,
        model: type[M],
        write: Write[M],
        ignored: Collection[str] = (),
    ) -> None:
        self._streams = streams
        self._name = name
        self._write = write
        self._bad = BadRows()
        self._rows = Rows(model, self._bad, ignored)
        self._imported = 0

    async def run(self, request: Request, *, skip: bool) -> tuple[int, BadRows]:
        """The number of rows that were imported, and those that were left out.

        skip: leave bad rows out; otherwise one of them undoes all, and BadFile is raised. So it is,
              in both cases, when the file cannot be read to its end
        """
        settings = self._streams.settings
        async with (
            self._streams.place("import", request.scope),
            aclosing(uploaded(request, settings)) as parts,
        ):
            try:
                await self._load(parts, settings.timeout_s, skip)
            except Unreadable as error:
                self._bad.add(error.line, error.problem)
                raise BadFile(f"Line {error.line}: {error.problem}", self._bad) from None
            except _Spoiled:
                await self._look_at(parts)
                raise BadFile(f"Bad rows: {self._bad.count} or more.", self._bad) from None
        _ROWS.inc(self._imported)
        return self._imported, self._bad

    async def _load(self, parts: AsyncIterator[bytes], timeout_s: float, skip: bool) -> None:
        """Import all parts; _Spoiled, and nothing is imported, at a bad row that is not skipped."""
        waiting: list[Numbered[M]] = []
        size = 0
        async with transaction(self._streams.database, self._name, timeout_s) as connection:
            async for part in parts:
                waiting += self._rows.feed(part)
                self._check(skip)
                size += len(part)
                if len(waiting) >= BATCH or size >= BATCH_BYTES:
                    await self._make(connection, waiting)
                    waiting, size = [], 0
                    self._check(skip)
            waiting += self._rows.end()
            self._check(skip)
            await self._make(connection, waiting)
            self._check(skip)

    def _check(self, skip: bool) -> None:
        if self._bad.count and not skip:
            raise _Spoiled
        if self._bad.count > MOST_BAD:
            raise BadFile(f"Bad rows: over {MOST_BAD}.", self._bad)

    async def _make(self, connection: asyncpg.Connection, rows: Sequence[Numbered[M]]) -> None:
        """Make these rows, without those that the database refuses: they are found by halving."""
        if not rows:
            return
        try:
            async with _savepoint(connection):
                await self._write(connection, [row for _, row in rows])
            self._imported += len(rows)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
            if len(rows) == 1:
                self._bad.add(rows[0][0], _refusal(error))
                return
            half = len(rows) // 2
            await self._make(connection, rows[:half])
            await self._make(connection, rows[half:])

    async def _look_at(self, parts: AsyncIterator[bytes]) -> None:
        """Look for more bad rows, so that one answer tells them all, or as many as are told."""
        try:
            while not self._bad.full:
                part = await anext(parts, None)
                if part is None:
                    self._rows.end()
                    return
                self._rows.feed(part)
        except Unreadable as error:
            self._bad.add(error.line, error.problem)


@asynccontextmanager
async def _savepoint(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Undo what the block did if it raises.

    asyncpg's own leaves the savepoint open then, and each of them takes a lock: too many, and
    PostgreSQL has none left.
    """
    await connection.execute("SAVEPOINT batch")
    try:
        yield
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK TO SAVEPOINT batch; RELEASE SAVEPOINT batch")
        raise
    await connection.execute("RELEASE SAVEPOINT batch")


def _refusal(error: asyncpg.PostgresError) -> str:
    """What is wrong with a row, by the name of the constraint: the error's text quotes values."""
    name = getattr(error, "constraint_name", None)
    return f"The database refuses it: {name}." if name else "The database refuses it."
