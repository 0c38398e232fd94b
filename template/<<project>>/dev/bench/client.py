"""An HTTP/1.1 client that costs little, so that it measures the service and not itself.

Connections are kept and used again, and there are as many as are needed: no request waits for
another one's answer.
"""

from __future__ import annotations

import asyncio
import ssl
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import httptools

# One that was idle for longer may be about to be closed by a proxy; what is sent then is lost.
IDLE_S = 4.0


class NoAnswer(Exception):
    """The connection was refused, or it ended before the answer did."""


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    async def ask(self, request: bytes) -> int:
        """The status of the answer, once all of the answer is there. Raises NoAnswer."""
        assert self._transport
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Close it at once."""
        self.reusable = False
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        """Parse a piece of the answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_message_complete(self) -> None:
        """Give the status to who has asked; called by the parser."""
        status = self._parser.get_status_code()
        if status < 200:  # an interim one
            return
        self.reusable = self.reusable and bool(self._parser.should_keep_alive())
        if self._answered and not self._answered.done():
            self._answered.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Who still waits gets no answer."""
        self.reusable = False
        if self._answered and not self._answered.done():
            self._answered.set_exception(NoAnswer())


class Client:
    """Sends requests to one server."""

    def __init__(self, url: str, key: str) -> None:
        """url: scheme, host and what the paths begin with; key: the API key, or nothing."""
        parts = urlsplit(url)
        assert parts.hostname
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._prefix = parts.path.rstrip("/")
        self._head = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "make bench"}
        if key:
            self._head["Authorization"] = f"Bearer {key}"
        self._idle: list[Connection] = []

    def encode(self, method: str, path: str, headers: dict[str, str], body: str) -> bytes:
        """The bytes of a request."""
        content = body.encode()
        mine = dict(self._head)
        if content or method != "GET":
            mine["Content-Length"] = str(len(content))
        if content:
            mine["Content-Type"] = "application/json"
        given = {name.lower() for name in headers}
        kept = {name: value for name, value in mine.items() if name.lower() not in given}
        lines = [f"{name}: {value}" for name, value in (kept | headers).items()]
        first = f"{method} {self._prefix}{path} HTTP/1.1"
        return "\r\n".join([first, *lines, "", ""]).encode() + content

    async def ask(self, request: bytes) -> int:
        """The status of the answer. Raises NoAnswer, or OSError when nobody can be reached."""
        connection = self._waiting() or await self._connected()
        try:
            status = await connection.ask(request)
        except BaseException:  # a timeout, too: the answer may still come
            connection.close()
            raise
        if connection.reusable:
            connection.idle_since = perf_counter()
            self._idle.append(connection)
        else:
            connection.close()
        return status

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _waiting(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()  # the one used last; the others may grow old
            if connection.reusable and perf_counter() - connection.idle_since < IDLE_S:
                return connection
            connection.close()
        return None

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection, self._host, self._port, ssl=self._tls
        )
        return connection
