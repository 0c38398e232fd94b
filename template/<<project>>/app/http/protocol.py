"""uvicorn's HTTP/1.1 for clients that nobody trusts: what they send is bounded, in size and time.

Left to itself, uvicorn lets a client

- take any time over a head and make it any size: here it is counted and timed;
- do the same with the extensions and trailers of a chunked body: they are counted as well;
- never finish a body whose request has been answered: the rest of it is timed;
- send requests without reading answers, each kept in memory: here none is parsed while others
  are queued, and no more is read;
- never read an answer that is too large to be on its way at once: here it is cut off;
- hide a request in the body of another: its parser takes what follows `Upgrade` for another
  protocol, and it then reads the body as the next request. Here such a request is parsed again
  without its offer to upgrade, which a server may ignore (RFC 9110, 7.8): `curl --http2` works.

Bodies that somebody reads are bounded by `app/http/edge.py`. An answer that cannot be completed is
ended by `cut_off`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.corked import CorkedTransport

# The bytes and seconds for a request's line and headers. The bytes hold, too, for what a chunked
# body has beside its data.
MOST_HEAD = 65_536
HEAD_TIMEOUT_S = 30.0
# The seconds for the rest of a body after its request has been answered.
REST_TIMEOUT_S = 20.0
# The seconds for a client to take what waits for it, at most a few 100 KB.
TAKE_TIMEOUT_S = 30.0
# The bytes parsed at once, which bounds how many requests can be queued: the smallest has 18 bytes.
PIECE = 4_096


# in the state of a scope
_CUT = "cut_off"
_COMPLETE = "request_is_complete"


def is_complete(scope: Scope) -> bool:
    """Whether the whole request has been received; False as well if that is not known."""
    return _COMPLETE in scope.get("state", ())


def cut_off(scope: Scope) -> None:
    """Cut the connection of a request whose answer has begun and cannot be completed.

    At once: what is sent already does not wait for a client that does not read.
    """
    if cut := scope.get("state", {}).get(_CUT):  # there is none in tests that have no connection
        cut()


class PipelineFlow(FlowControl):
    """Flow control that reads no more while requests are queued behind the one in work."""

    def __init__(self, transport: asyncio.Transport, queued: Sized) -> None:
        super().__init__(transport)
        self._queued = queued

    def resume_reading(self) -> None:
        """Read on, unless requests are queued."""
        if not self._queued:
            super().resume_reading()


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection of the public or the internal port."""

    _in_head = True
    _in_body = False
    _excess = 0  # bytes that are no body: of a head, or of a body's extensions and trailers
    _unparsed = b""  # came together with requests that are queued
    _timer: asyncio.TimerHandle | None = None  # for a head, or for the rest of a body
    _taking: asyncio.TimerHandle | None = None  # for what waits to be taken by the client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve a connection."""
        super().connection_made(cast("asyncio.Transport", CorkedTransport(transport)))
        self.flow = PipelineFlow(self.transport, self.pipeline)
        self._await_client(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_wait()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came until a request must be queued; keep the rest until none is."""
        for start in range(0, len(data), PIECE):
            if self.pipeline:
                self._unparsed += data[start:]
                return
            if not self._parse(data[start : start + PIECE]):
                return
        if self._in_head and self._timer is None and not self.pipeline:
            self._await_client(HEAD_TIMEOUT_S)

    def _parse(self, data: bytes) -> bool:
        """Whether the connection goes on."""
        self._excess += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._parse(self._without_upgrade() + data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
            return False
        if self._excess > MOST_HEAD:
            self.transport.close()
            return False
        return True

    def _without_upgrade(self) -> bytes:
        """The head that was parsed last, without its offer to upgrade, for a new parser."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, version.encode())]
        lines += [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        return b"".join(lines) + b"\r\n"

    def pause_writing(self) -> None:
        """More waits for the client than should: it has some time to take it."""
        super().pause_writing()
        # not `close`, which would wait until the client has taken everything
        self._taking = self.loop.call_later(TAKE_TIMEOUT_S, self._cut_off)

    def resume_writing(self) -> None:
        """The client has taken most of it, or is gone."""
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def on_message_begin(self) -> None:
        """A request begins. Only this ends the time of an idle connection: empty lines do not."""
        self._in_head, self._excess = True, 0
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there; a body that is read is the application's to bound."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")  # the parser's error, answered with 400
            return  # it comes again, see `_parse`
        self._end_wait()
        self._in_head, self._in_body, self._excess = False, True, 0
        super().on_headers_complete()
        self.scope["state"][_CUT] = self._cut_off
        self.headers = []  # takes the trailers: they may not pass for headers

    def on_body(self, body: bytes) -> None:
        """A part of a body. It makes up for some excess, as in Go's net/http/internal/chunked.go:
        each chunk may have 16 bytes and twice its size beside its data."""
        excess = self._excess - 3 * len(body) - 16
        self._excess = excess if excess > 0 else 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        if self._in_head:  # the head of an upgrade, see `on_headers_complete`
            return
        self._in_body = False
        self.scope["state"][_COMPLETE] = True
        super().on_message_complete()
        if self.cycle.response_complete:
            self._end_wait()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Go on with what waited for an answer, and wait for a body that nobody reads."""
        super().on_response_complete()
        if not (self._in_body or self.flow.read_paused) or self.transport.is_closing():
            return
        if self._in_body and self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self._await_client(REST_TIMEOUT_S)
        elif not self.pipeline:
            unparsed, self._unparsed = self._unparsed, b""
            self.data_received(unparsed)
            self.flow.resume_reading()

    def _cut_off(self) -> None:
        self.transport.abort()

    def _await_client(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self.transport.close)

    def _end_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
