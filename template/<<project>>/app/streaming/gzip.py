"""gzip as a stream: a part in, a part out, and never more in memory than one part."""

from __future__ import annotations

import re
import zlib
from asyncio import to_thread
from collections.abc import Iterable
from collections.abc import Iterator

# zlib's window of 32 KiB, with gzip's own head and checksum.
_WINDOW = 31
# What is decompressed at once, so that what a member leaves over is not copied again and again;
# and what may come out of it at once: little, as whoever reads it does so in one turn of the loop.
_PIECE = 16_384
MOST_AT_ONCE = 4_096

_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


class BadGzip(Exception):
    """The bytes are not gzip, or end early."""


class Gzip:
    """Compresses."""

    def __init__(self, level: int) -> None:
        self._compressor = zlib.compressobj(level, wbits=_WINDOW)

    async def part(self, data: bytes) -> bytes:
        """A part compressed, in a thread; empty while it is too little to send."""
        return await to_thread(self._compressor.compress, data)

    def end(self) -> bytes:
        """What is left, and the checksum by which the receiver knows that this was all."""
        return self._compressor.flush()


class Gunzip:
    """Decompresses, also several members one after the other. Its input is not trusted."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_WINDOW)

    def parts(self, data: bytes) -> Iterator[bytes]:
        """What these bytes decompress to, in parts of at most MOST_AT_ONCE; BadGzip."""
        for start in range(0, len(data), _PIECE):
            rest = data[start : start + _PIECE]
            while rest:
                if self._member.eof:
                    rest = rest.lstrip(b"\0")  # tapes and disks pad, and gzip(1) passes over it
                    if not rest:
                        break
                    self._member = zlib.decompressobj(_WINDOW)
                try:
                    plain = self._member.decompress(rest, MOST_AT_ONCE)
                except zlib.error as error:
                    raise BadGzip("The body is not gzip.") from error
                rest = self._member.unconsumed_tail or self._member.unused_data
                if plain:
                    yield plain

    def end(self) -> None:
        """BadGzip if there must be more."""
        if not self._member.eof:
            raise BadGzip("The gzip of the body ends early.")


def accepts_gzip(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a client takes gzip: RFC 9110, 12.5.3. What is not well formed asks for nothing."""
    said = b",".join(value for name, value in headers if name == b"accept-encoding")
    weights: dict[str, float] = {}
    for element in said.decode("latin-1").lower().split(","):
        name, _, parameter = (part.strip() for part in element.partition(";"))
        weight = _WEIGHT.fullmatch(parameter)
        weights[name.removeprefix("x-")] = float(weight[1]) if weight else float(not parameter)
    return weights.get("gzip", weights.get("*", 0)) > 0
