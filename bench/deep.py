"""Run by the generated service's own Python, in its folder: signed cursors anywhere in the listing of items,
and how long PostgreSQL takes for the page there, by keyset and by OFFSET.

Reads {"database_url", "secret", "pages": [rows before the page, ...], "timed": [...], "seconds"} as JSON; writes
{"cursors": [null or text, ...], "timed": [{"before", "keyset_ms", "keyset_calls", "offset_ms", "offset_calls"}, ...]}.
Timed are asyncpg's calls from start to rows, one after the other on one connection; medians.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable
from collections.abc import Callable
from time import perf_counter
from typing import Any

import asyncpg
from app.database import Statement
from app.items.store import NEWEST
from app.items.store import NEWEST_FIRST
from app.items.store import SHOWN
from app.pagination import Cursors
from sqlalchemy import BigInteger
from sqlalchemy import bindparam
from sqlalchemy import select

LIMIT = 20
LEAST = 5  # calls, however long they take

_OFFSET = Statement(
    "item_offset_page",
    select(*SHOWN)
    .order_by(*NEWEST_FIRST)
    .limit(bindparam("most", type_=BigInteger))
    .offset(bindparam("before", type_=BigInteger)),
)


class Connected:
    """Has of the service's Database what a Keyset calls, over one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """The rows of a statement."""
        return await self.connection.fetch(statement.sql, *statement.arguments(values))


async def timed(
    call: Callable[[], Awaitable[list[asyncpg.Record]]], seconds: float
) -> tuple[float, int, list[asyncpg.Record]]:
    """The median in milliseconds, the number of calls, and the rows; two calls before prepare it."""
    took: list[float] = []
    for _ in range(2):
        rows = await call()
    until = perf_counter() + seconds
    while len(took) < LEAST or perf_counter() < until:
        started = perf_counter()
        rows = await call()
        took.append((perf_counter() - started) * 1000)
    return statistics.median(took), len(took), rows


async def main(asked: dict[str, Any]) -> None:
    """Answer the one question."""
    connection = await asyncpg.connect(asked["database_url"])
    database, count = Connected(connection), await connection.fetchval("SELECT count(*) FROM items")
    listing = Cursors([asked["secret"].encode()]).listing("items", NEWEST.keys)

    async def cursor(before: int) -> str | None:
        """Of the page that so many rows lie before; ids go from 1 to the number of rows."""
        if not before:
            return None
        sql = "SELECT created_at, id FROM items WHERE id = $1"
        row = await connection.fetchrow(sql, count - before + 1)
        return listing.encode(tuple(row[key.name] for key in NEWEST.keys))

    found: dict[str, list[Any]] = {
        "cursors": [await cursor(n) for n in asked["pages"]],
        "timed": [],
    }
    for before in asked["timed"]:
        text = await cursor(before)
        position = None if text is None else listing.decode(text)
        keyset = await timed(lambda p=position: NEWEST.fetch(database, p, LIMIT), asked["seconds"])
        offset = await timed(
            lambda n=before: database.fetch(_OFFSET, most=LIMIT + 1, before=n), asked["seconds"]
        )
        if keyset[2] != offset[2]:
            raise SystemExit(f"keyset and OFFSET differ after {before} rows")
        one = {"before": before, "keyset_ms": keyset[0], "offset_ms": offset[0]}
        found["timed"].append({**one, "keyset_calls": keyset[1], "offset_calls": offset[1]})
    await connection.close()
    print(json.dumps(found))


asyncio.run(main(json.load(sys.stdin)))
