"""The content codings: a body in, a smaller one out, counted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import brotli  # type: ignore[import-untyped]
from prometheus_client import Counter
from zlib_ng import zlib_ng

from app.compression.settings import CompressionSettings

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BEFORE = Counter("compression_before_bytes", "Bytes of the bodies that were compressed", ["coding"])
AFTER = Counter("compression_after_bytes", "Bytes that were left of them", ["coding"])

# From this many bytes on a thread compresses, and the event loop serves others meanwhile.
LARGE = 65_536

# zlib's window of 32 KiB, with the head and the checksum of gzip instead of zlib's own.
_GZIP_WINDOW = 31


class Coding:
    """One way to compress; `name` is how HTTP calls it."""

    def __init__(self, name: str, compress: Callable[[bytes], bytes]) -> None:
        self.name = name.encode()
        self._compress = compress
        self._before = BEFORE.labels(name)
        self._after = AFTER.labels(name)

    def encode(self, body: bytes) -> bytes:
        """The body compressed. May run in any thread, and lets others run meanwhile."""
        encoded = self._compress(body)
        self._before.inc(len(body))
        self._after.inc(len(encoded))
        return encoded


def codings(settings: CompressionSettings) -> list[Coding]:
    """What the service offers, first what it prefers: least CPU for about the same bytes."""
    offered: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
        "zstd": (settings.zstd_level, _zstd(settings.zstd_level)),
        "br": (settings.brotli_level, partial(brotli.compress, quality=settings.brotli_level)),
        "gzip": (settings.gzip_level, _gzip(settings.gzip_level)),
    }
    return [Coding(name, compress) for name, (level, compress) in offered.items() if level]


def _gzip(level: int) -> Callable[[bytes], bytes]:
    return lambda body: zlib_ng.compress(body, level, _GZIP_WINDOW)


def _zstd(level: int) -> Callable[[bytes], bytes]:
    # its memory is used again, which saves a third of the time; that of a large body is given back
    small = zstd.ZstdCompressor(level)

    def compress(body: bytes) -> bytes:
        if len(body) < LARGE:
            return small.compress(body, small.FLUSH_FRAME)
        return zstd.compress(body, level)

    return compress
