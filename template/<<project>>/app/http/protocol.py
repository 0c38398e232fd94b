"""uvicorn's HTTP/1.1 with two things added: one write for each answer, and bounds for the head.

uvicorn writes head and body apart, and uvloop sends each at once. Two system calls and two packets
cost more than everything else that the service does for a small answer, so what is written within
one turn of the event loop is sent together at its end.

A client may take any time over a request's head and make it any size. Here it may not.
"""

from __future__ import annotations

import asyncio
from typing import Any
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A stream that never lets the event loop turn is sent in pieces of this many bytes, so that the
# transport can tell it to wait for a slow client.
MOST_WAITING = 65_536
# The bytes and seconds for a request's line and headers.
MOST_HEAD = 65_536
HEAD_TIMEOUT_S = 30.0


class CorkedTransport:
    """A transport that collects what is written until the event loop's next turn."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with what else is written in this turn."""
        if not data:  # asyncio's writelines() would never be done with it
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MOST_WAITING:
            self._flush()

    def close(self) -> None:
        """Send what is left, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting and not self._transport.is_closing():  # the client may be gone by now
            self._transport.writelines(waiting)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection of the public or the internal port."""

    _head_size = 0
    _in_head = True
    _in_body = False
    _began = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve a connection."""
        super().connection_made(cast("asyncio.Transport", CorkedTransport(transport)))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; an unfinished head is counted and timed."""
        idle = not (self._in_head or self._in_body)
        self._began = False
        super().data_received(data)
        if idle and not self._began:
            self._in_head = True  # empty lines: they end uvicorn's timer and begin no request
        if not self._in_head:
            return
        if not self._began:  # else it has just begun, after the end of another request
            self._head_size += len(data)
        if self._head_size > MOST_HEAD:
            self.transport.close()
        elif self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = self._began = True
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there; the body is the application's to bound."""
        self._end_head()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        self._in_body = False
        super().on_message_complete()

    def _await_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
