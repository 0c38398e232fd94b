"""Accept-Encoding: read as RFC 9110 has it, and cheap whatever is sent."""

from __future__ import annotations

from typing import Any
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compression import CompressionSettings
from app.compression import negotiation as module
from app.compression.codings import codings
from app.compression.negotiation import LONGEST
from app.compression.negotiation import MOST
from app.compression.negotiation import REMEMBERED
from app.compression.negotiation import accepted
from app.compression.negotiation import negotiation

OFFERED = codings(CompressionSettings())
NAMES = [coding.name.decode() for coding in OFFERED]
FIRST = NAMES[0]
THRESHOLD = 1000

choose = negotiation(OFFERED, THRESHOLD)


def chosen(accept_encoding: str) -> str:
    """The coding that this header gets; `identity` for none."""
    coding = choose(accept_encoding.encode()).coding
    return coding.name.decode() if coding else "identity"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("x-gzip", "gzip"),
        ("GZip;Q=0.5", "gzip"),
        ("deflate, compress, dcb", "identity"),
        ("gzip, deflate, br, zstd", FIRST),
        ("gzip;q=1.0, br;q=0.999", "gzip"),
        ("*", FIRST),
        ("*;q=0", "identity"),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000, *;q=0.001", FIRST),
        ("gzip, gzip;q=0", "identity"),
        ("x-gzip, gzip;q=0", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", "identity"),
        ("identity;q=0, deflate", "identity"),
        (" ,, gzip\t;\tq=0.3 , ", "gzip"),
        # what does not follow the grammar says nothing
        ("gzip;q=1.1", "identity"),
        ("gzip;q=0.1234", "identity"),
        ("gzip;q=-1", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;q", "identity"),
        ("gzip;level=6", "identity"),
        ("gzip;q=nan", "identity"),
        ("gzip;q=\u0660", "identity"),
        ("gz ip", "identity"),
        ("gzip\0", "identity"),
        ("gzip br", "identity"),
    ],
)
def test_one_header(header: str, coding: str) -> None:
    assert chosen(header) == coding


SAID = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "x-gzip", "identity", "*", "deflate", "gzipped"]),
        st.none() | st.integers(0, 1000) | st.sampled_from([0, 1, 1000]),
    ),
    max_size=8,
)


@st.composite
def written(draw: st.DrawFn, said: list[tuple[str, int | None]]) -> str:
    """The header that says this, in one of the spellings that there are."""
    space = st.sampled_from(["", " ", "\t", "  "])
    elements = []
    for name, weight in said:
        text = draw(st.sampled_from([name, name.upper(), name.title()]))
        if weight is not None:
            digits = f"{weight / 1000:.3f}"
            shorter = digits.rstrip("0")
            digits = draw(st.sampled_from([digits, shorter, shorter.rstrip(".")]))
            text += draw(space) + ";" + draw(space) + draw(st.sampled_from("qQ")) + "=" + digits
        elements.append(draw(space) + text + draw(space))
    return ",".join(elements)


def by_the_rfc(said: list[tuple[str, int | None]]) -> tuple[str, bool]:
    """What section 12.5.3 chooses, and whether it is because the body as it is was refused."""
    listed: dict[str, int] = {}
    for element, weight in said:
        name = "gzip" if element == "x-gzip" else element
        listed[name] = min(listed.get(name, 1000), 1000 if weight is None else weight)
    candidates: dict[str, float] = {}
    for name in [*NAMES, "identity"]:
        if name in listed:
            candidates[name] = listed[name]
        elif "*" in listed:
            candidates[name] = listed["*"]
        elif name == "identity":
            candidates[name] = 0.5  # acceptable, and less than anything that is named
    acceptable = [name for name in [*NAMES, "identity"] if candidates.get(name, 0) > 0]
    best = max(acceptable, key=lambda name: candidates[name], default="identity")
    return best, candidates["identity"] == 0 and best != "identity"


@given(st.data(), SAID)
def test_every_header_is_read_as_the_rfc_has_it(
    data: st.DataObject, said: list[tuple[str, int | None]]
) -> None:
    header = data.draw(written(said))
    best, forced = by_the_rfc(said)
    assert chosen(header) == best
    assert choose(header.encode()).least == (1 if forced else THRESHOLD)


@given(st.binary(max_size=80) | st.text("gzipbrstd*;q=,.01 \t", max_size=80).map(str.encode))
def test_anything_else_is_read_without_an_error(header: bytes) -> None:
    assert chosen(header.decode("latin-1")) in {*NAMES, "identity"}
    assert choose(header).coding in [*OFFERED, None]


def test_several_lines_are_one_list() -> None:
    lines = [(b"accept-encoding", b"gzip;q=0.5"), (b"host", b"here"), (b"accept-encoding", b"br")]
    assert accepted(lines) == b"gzip;q=0.5,br"
    assert accepted([(b"accept-encoding", b""), (b"accept-encoding", b"br")]) == b"br"


@pytest.mark.parametrize("value", [b"", b"0", b"1"])
@pytest.mark.parametrize("first", [True, False])
def test_a_client_may_opt_out(value: bytes, first: bool) -> None:
    lines = [(b"accept-encoding", b"gzip"), (b"x-no-compression", value)]
    assert accepted(lines[::-1] if first else lines) == b""


def test_a_header_that_is_too_long_is_not_read() -> None:
    longest = b"gzip" + b" " * (LONGEST - 4)
    assert accepted([(b"accept-encoding", longest)]) == longest
    assert accepted([(b"accept-encoding", longest + b" ")]) == b""
    assert accepted([(b"accept-encoding", b"gzip")] * 10_000) == b""


def test_a_header_of_too_many_elements_is_not_read() -> None:
    assert chosen("x," * (MOST - 1) + "gzip") == "gzip"
    assert chosen("x," * MOST + "gzip") == "identity"


def test_what_clients_send_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    weights = module._weights

    def counted(header: bytes) -> dict[bytes, int]:
        read.append(header)
        return weights(header)

    monkeypatch.setattr(module, "_weights", counted)
    fresh = negotiation(OFFERED, THRESHOLD)
    for _ in range(100):
        fresh(b"gzip, deflate, br, zstd")
    assert read == [b"gzip, deflate, br, zstd"]


def test_what_is_remembered_is_bounded() -> None:
    fresh = cast(Any, negotiation(OFFERED, THRESHOLD))
    for number in range(REMEMBERED * 3):
        fresh(b"gzip, x%d" % number)
    assert fresh.cache_info().currsize == REMEMBERED
