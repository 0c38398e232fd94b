"""The CSV that a client sends: bounded in size and time, and never more in memory than a part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from collections.abc import AsyncIterator
from collections.abc import Iterator

from fastapi import HTTPException
from fastapi import Request

from app.http.edge import TOO_SLOW
from app.streaming.gzip import MOST_AT_ONCE
from app.streaming.gzip import BadGzip
from app.streaming.gzip import Gunzip
from app.streaming.metrics import BYTES
from app.streaming.settings import StreamingSettings

_BYTES = BYTES.labels("import")
_CODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}


async def uploaded(request: Request, settings: StreamingSettings) -> AsyncGenerator[bytes, None]:
    """The CSV of a request's body in parts, without its gzip.

    Answered with 415 when it is something else, 400 when it ends early or is not gzip, 408 when it
    stalls, and 413 when it is too large, compressed or not. Nothing is read before it is asked
    for, so that the client waits for whoever uses this.
    """
    gunzip = Gunzip() if _is_compressed(request) else None
    size = 0
    try:
        async for data in _received(request, settings.stall_s):
            for part in gunzip.parts(data) if gunzip else _pieces(data):
                size += len(part)
                if size > settings.import_bytes:
                    raise _refused(413, f"At most {settings.import_bytes} bytes are imported.")
                _BYTES.inc(len(part))
                yield part
                await asyncio.sleep(0)  # others have their turn
        if gunzip:
            gunzip.end()
    except BadGzip as error:
        raise _refused(400, str(error)) from None


def _is_compressed(request: Request) -> bool:
    """Whether the body has to be decompressed."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if kind.strip() != "text/csv" or charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise _refused(415, "Send the body as text/csv, in UTF-8.")
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise _refused(415, "Send the body as it is, or in gzip.", {"Accept-Encoding": "gzip"})
    return _CODINGS[coding]


async def _received(request: Request, stall_s: float) -> AsyncIterator[bytes]:
    more = True
    while more:
        try:
            async with asyncio.timeout(stall_s):
                message = await request.receive()
        except TimeoutError:
            raise _refused(408, TOO_SLOW) from None
        if message["type"] == "http.disconnect":
            raise _refused(400, "The body ended early.")
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), MOST_AT_ONCE):
        yield data[start : start + MOST_AT_ONCE]


def _refused(status: int, detail: str, headers: dict[str, str] | None = None) -> HTTPException:
    # the rest of the body is not read, so the connection cannot be used again
    return HTTPException(status, detail, {"Connection": "close", **(headers or {})})
