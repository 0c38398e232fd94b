"""Records are the same wherever the parts end, and have the number of their first line."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.streaming.records import MOST_BYTES
from app.streaming.records import Records
from app.streaming.records import Unreadable

CELL = st.text(st.sampled_from("a\",\n é馬🐎;='"), max_size=8)
FILE = st.lists(st.lists(CELL, min_size=2, max_size=4), max_size=12)
CUTS = st.lists(st.integers(0, 400), max_size=8)
WILD = st.text(st.sampled_from('a",\n\r'), max_size=40)


def cut(file: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    """The records of a file that comes in parts."""
    records, places = Records(), [0, *sorted(cuts), len(file)]
    found: list[tuple[int, bytes]] = []
    for begin, end in pairwise(places):
        found += records.feed(file[begin:end])
    return [*found, *records.end()]


@given(FILE, CUTS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_was_written_is_read(
    rows: list[list[str]], cuts: list[int], line_end: str, last: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(rows)
    file = text.getvalue().encode()
    found = cut(file if last else file.removesuffix(line_end.encode()), cuts)
    assert [next(csv.reader([record.decode()])) for _, record in found] == rows
    numbers = [1]
    for row in rows[:-1]:
        numbers.append(numbers[-1] + 1 + sum(cell.count("\n") for cell in row))
    assert [number for number, _ in found] == numbers[: len(rows)]


@given(WILD, CUTS)
def test_whatever_comes_a_record_is_what_a_csv_reader_takes_for_one(
    text: str, cuts: list[int]
) -> None:
    """No quoted field is open at the end of a record: the reader never asks for more."""
    try:
        found = cut(text.encode(), cuts)
    except Unreadable:
        return
    for _, record in found:
        try:
            next(csv.reader([record.decode()], strict=True))
        except csv.Error as error:
            assert "unexpected end" not in str(error)


@pytest.mark.parametrize("file", [b'a,"b\nc', b'"', b'a\n"""'])
def test_an_open_quote_is_told(file: bytes) -> None:
    with pytest.raises(Unreadable, match="never closed") as caught:
        cut(file, [])
    assert caught.value.line == 1 + file.startswith(b"a\n")


@pytest.mark.parametrize("part", [b"x" * 1000, b'""\n' * 100, b"\n" * 1000, b'""' * 500])
def test_a_record_does_not_grow_without_end(part: bytes) -> None:
    records = Records()
    list(records.feed(b'a\nb\n"'))
    with pytest.raises(Unreadable, match=f"{MOST_BYTES} bytes") as caught:
        for _ in range(1000):
            list(records.feed(part))
    assert caught.value.line == 3


def test_a_line_without_end_is_refused_on_its_line() -> None:
    records = Records()
    assert len(list(records.feed(b"a\nb\n"))) == 2
    with pytest.raises(Unreadable) as caught:
        for _ in range(1000):
            list(records.feed(b"x" * 1000))
    assert caught.value.line == 3


def test_the_largest_record_is_taken_and_one_byte_more_is_not() -> None:
    assert cut(b"x" * MOST_BYTES + b"\ny", [])[0] == (1, b"x" * MOST_BYTES)
    with pytest.raises(Unreadable):
        cut(b"x" * (MOST_BYTES + 1) + b"\ny", [])


def test_a_quote_within_a_field_swallows_no_other_row() -> None:
    assert cut(b'5" pipe,1\n6,2\n', []) == [(1, b'5" pipe,1'), (2, b"6,2")]
