"""The rows of a query as a CSV file, read from PostgreSQL only as fast as the client reads."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Coroutine
from typing import Any

from fastapi import Request
from fastapi import Response
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.database import Statement
from app.http.logs import log
from app.http.protocol import cut_off
from app.streaming.gzip import Gzip
from app.streaming.gzip import accepts_gzip
from app.streaming.metrics import BYTES
from app.streaming.metrics import ROWS
from app.streaming.session import transaction
from app.streaming.streams import Streams

_BYTES = BYTES.labels("export")
_ROWS = ROWS.labels("export")


# Rows that are fetched at once, and the characters that are sent together.
AT_ONCE = 250
PART = 32_768


class ClientGone(Exception):
    """The client has closed the connection, or takes nothing any more."""


class CsvExport(Response):
    """Answers with the rows of a statement, the names of its columns first; in gzip if accepted.

    The answer begins when the first rows are there: until then an error is an answer of its own.
    After that the connection is cut, so that no client takes half a file for a whole one.

    filename: what a browser calls the file
    values:   of the statement's parameters
    """

    media_type = "text/csv"

    def __init__(
        self,
        streams: Streams,
        request: Request,
        statement: Statement,
        filename: str,
        **values: Any,
    ) -> None:
        super().__init__()
        self._streams = streams
        self._statement = statement
        self._values = statement.arguments(values)
        self._compressed = accepts_gzip(request.scope["headers"])
        self.raw_headers = [
            (b"content-type", b"text/csv; charset=utf-8; header=present"),
            (b"content-disposition", b'attachment; filename="%b"' % filename.encode()),
            (b"vary", b"Accept-Encoding"),
            *([(b"content-encoding", b"gzip")] if self._compressed else []),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        settings = self._streams.settings
        gzip = Gzip(settings.gzip_level) if self._compressed else None
        client = _Client(send, self.raw_headers, gzip, settings.stall_s)
        try:
            async with self._streams.place("export", scope):
                await while_there(receive, self._copy(client, settings.timeout_s))
        except ClientGone:
            cut_off(scope)
        except Exception as error:
            if not client.begun:
                raise
            cut_off(scope)
            log.error("export_cut_off", statement=self._statement.name, exc_info=error)

    async def _copy(self, client: _Client, timeout_s: float) -> None:
        """Read the rows as the client takes them.

        By a cursor, and not by COPY: between two fetches the connection is at rest, so that it can
        be given back whenever the client leaves. (asyncpg cannot get out of a COPY in order.)
        """
        statement = self._statement
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        async with transaction(self._streams.database, statement.name, timeout_s) as connection:
            query = await connection.prepare(statement.sql)
            writer.writerow(column.name for column in query.get_attributes())
            cursor = await query.cursor(*self._values)
            while rows := await cursor.fetch(AT_ONCE):
                writer.writerows(rows)
                _ROWS.inc(len(rows))
                if text.tell() >= PART:
                    await client.take(_emptied(text))
        await client.take(_emptied(text))
        await client.end()


def _emptied(text: io.StringIO) -> bytes:
    """What was written, which is then forgotten."""
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data


class _Client:
    """Who gets the file. Each part is sent when the one before is on its way."""

    def __init__(
        self, send: Send, headers: list[tuple[bytes, bytes]], gzip: Gzip | None, stall_s: float
    ) -> None:
        self.begun = False
        self._send = send
        self._headers = headers
        self._gzip = gzip
        self._stall_s = stall_s

    async def take(self, data: bytes) -> None:
        """Send a part; ClientGone when the client lets it wait for too long."""
        _BYTES.inc(len(data))
        await self._pass_on(await self._gzip.part(data) if self._gzip else data, more=True)

    async def end(self) -> None:
        """Say that this was all."""
        await self._pass_on(self._gzip.end() if self._gzip else b"", more=False)

    async def _pass_on(self, data: bytes, *, more: bool) -> None:
        if more and not data:  # gzip waits for more
            return
        try:
            async with asyncio.timeout(self._stall_s):
                if not self.begun:
                    self.begun = True
                    head = {"type": "http.response.start", "status": 200}
                    await self._send({**head, "headers": self._headers})
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            log.warning("client_stalled", seconds=self._stall_s)
            raise ClientGone from None


async def while_there[T](receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; cancelled, and ClientGone raised, when the client leaves before."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait((working, leaving))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
