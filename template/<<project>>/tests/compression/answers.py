"""Answers to compress, how they are asked for, and how they are read again."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.compression import Compression
from app.compression import CompressionSettings
from app.compression.codings import codings
from tests.http.asgi import Headers

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["BODY", "DECODE", "GZIP", "JSON", "answering", "compressed", "zstd"]

BODY = json.dumps([{"number": n, "square": n * n, "even": n % 2 == 0} for n in range(200)]).encode()
JSON = (b"content-type", b"application/json")
GZIP = (b"accept-encoding", b"gzip")

# By other means than those they were made with, where there are any.
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}


def answering(
    body: bytes = BODY, *more: bytes, status: int = 200, headers: Headers = (JSON,)
) -> ASGIApp:
    """An application that sends this body, in several messages if there is more; no length."""
    parts = [body, *more]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, part in enumerate(parts, 1):
            more_body = number < len(parts)
            await send({"type": "http.response.body", "body": part, "more_body": more_body})

    return app


def compressed(app: ASGIApp, **settings: Any) -> Compression:
    """The application, compressed with these settings."""
    chosen = CompressionSettings(**settings)
    return Compression(app, codings(chosen), chosen.threshold_bytes)
