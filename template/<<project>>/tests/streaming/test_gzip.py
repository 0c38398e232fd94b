"""gzip in parts: nothing lost, nothing more in memory than a part, nothing trusted."""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.streaming.gzip import MOST_AT_ONCE
from app.streaming.gzip import BadGzip
from app.streaming.gzip import Gunzip
from app.streaming.gzip import Gzip
from app.streaming.gzip import accepts_gzip


def plain(*parts: bytes) -> bytes:
    """What these parts decompress to."""
    gunzip = Gunzip()
    found = [piece for part in parts for piece in gunzip.parts(part)]
    gunzip.end()
    assert max(map(len, found), default=0) <= MOST_AT_ONCE
    return b"".join(found)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.integers(1, 40))
def test_several_members_in_any_parts(bodies: list[bytes], size: int) -> None:
    file = b"".join(map(gzip.compress, bodies))
    parts = [file[at : at + size] for at in range(0, len(file), size)]
    assert plain(*parts) == b"".join(bodies)


def test_much_comes_out_in_small_parts() -> None:
    body = bytes(5_000_000) + os.urandom(300_000)
    assert plain(gzip.compress(body)) == body


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_padding_is_passed_over(size: int) -> None:
    """As gzip(1) does."""
    file = gzip.compress(b"some") + bytes(20_000) + gzip.compress(b" words") + bytes(500)
    assert plain(*(file[at : at + size] for at in range(0, len(file), size))) == b"some words"
    with pytest.raises(BadGzip):
        plain(bytes(10) + file)


@pytest.mark.parametrize("kept", [0, 1, 10, 30, -9, -8, -1])
def test_what_ends_early_is_refused(kept: int) -> None:
    file = gzip.compress(b"words " * 1000)
    with pytest.raises(BadGzip, match="ends early"):
        plain(file[:kept])


@pytest.mark.parametrize("file", [b"name,price\n", gzip.compress(b"x") + b"junk" * 9])
def test_what_is_no_gzip_is_refused(file: bytes) -> None:
    with pytest.raises(BadGzip):
        plain(file)


def test_a_wrong_checksum_is_refused() -> None:
    file = bytearray(gzip.compress(b"words " * 1000))
    file[-6] ^= 1
    with pytest.raises(BadGzip):
        plain(bytes(file))


@pytest.mark.anyio
async def test_what_is_compressed_in_parts_is_one_file() -> None:
    packer, parts = Gzip(3), [os.urandom(1000) * 50, b"", b"x" * 100_000]
    packed = [await packer.part(part) for part in parts] + [packer.end()]
    assert gzip.decompress(b"".join(packed)) == b"".join(parts)


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.1", True),
        ("x-gzip", True),
        ("*", True),
        ("br;q=1, *;q=0.5", True),
        ("gzip; q=1.000", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=x", False),
        ("é", False),
    ],
)
def test_a_client_gets_gzip_when_it_takes_it(accepted: str, takes: bool) -> None:
    assert accepts_gzip([(b"accept-encoding", accepted.encode())]) is takes


def test_a_client_that_says_nothing_gets_none() -> None:
    assert accepts_gzip([(b"accept", b"gzip")]) is False
    assert accepts_gzip([(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")]) is True
