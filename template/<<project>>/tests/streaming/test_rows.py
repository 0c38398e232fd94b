"""Rows: the header is checked, good rows come with their lines, and bad ones are told."""

from __future__ import annotations

import csv
import io
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.streaming.cells import unprotected
from app.streaming.records import Unreadable
from app.streaming.rows import MOST_BLANK
from app.streaming.rows import MOST_TOLD
from app.streaming.rows import BadRows
from app.streaming.rows import Rows
from tests.streaming.conftest import Thing


def read(*parts: bytes) -> tuple[list[tuple[int, str, float]], list[tuple[int, str]]]:
    """The good rows and the bad ones of a file in these parts."""
    bad = BadRows()
    rows = Rows(Thing, bad)
    good = [row for part in parts for row in rows.feed(part)] + rows.end()
    told = [(int(one["line"]), str(one["problem"])) for one in bad.told]
    return [(line, thing.name, thing.price) for line, thing in good], told


@pytest.mark.parametrize(
    "file",
    [
        b"name,price\nhat,1.5\n",
        b"name,price\nhat,1.5",
        b"price,name\r\n1.5,hat\r\n",
        b"\xef\xbb\xbfname,price\r\nhat,1.5",
        b'\xef\xbb\xbf"name"," price "\n"hat","1.5"\n',
    ],
)
def test_what_is_the_same_is_read_as_the_same(file: bytes) -> None:
    for parts in ([file], [file[at : at + 1] for at in range(len(file))]):
        assert read(*parts) == ([(2, "hat", 1.5)], [])


def test_blank_lines_count_as_lines_and_not_as_rows() -> None:
    file = b"\n\r\nname,price\n\nhat,1\n\r\nbag,2\n\n"
    assert read(file) == ([(5, "hat", 1), (7, "bag", 2)], [])


def test_a_row_of_several_lines_has_the_number_of_its_first() -> None:
    file = '\nname,price\n"a\n\nb",1\nžluť🐎,x\n"c\nd",y\n'.encode()
    good, bad = read(*(file[at : at + 1] for at in range(len(file))))
    assert good == [(3, "a\n\nb", 1)]
    assert [line for line, _ in bad] == [6, 7]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"hat", "It has 1 cells, not 2."),
        (b"hat,1,2", "It has 3 cells, not 2."),
        (b"hat;1", "It has 1 cells, not 2."),
        (b"hat,", "price: Input should be a valid number"),
        (b"hat,-1", "price: Input should be greater than or equal to 0"),
        (b"hat,nan", "price: Input should be a finite number"),
        (b",x", "name: String should have at least 1 character; price: Input should be a valid"),
        (b"h\x00t,1", "It has the character NUL."),
        (b"h\xfft,1", "It is not UTF-8."),
        (b'"hat"x,1', "It is not CSV: ',' expected after '\"'."),
        (b"h\rt,1", "It is not CSV: new-line character seen in unquoted field"),
    ],
)
def test_a_bad_row_is_told_and_does_not_harm_others(row: bytes, problem: str) -> None:
    good, bad = read(b"name,price\nbag,1\n" + row + b"\nbox,2\n")
    assert good == [(2, "bag", 1), (4, "box", 2)]
    ((line, said),) = bad
    assert line == 3
    assert said.startswith(problem)


def test_what_a_row_says_is_not_repeated() -> None:
    _, bad = read(b"name,price\n" + b"hunter2" * 20 + b",hunter2\n")
    assert len(bad) == 1
    assert "hunter2" not in str(bad)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"name,price,colour", "Unknown columns: colour. Known are name, price."),
        (b"name", "Missing columns: price."),
        (b"name,price,name", "Repeated columns: name."),
        (b"name;price", "Unknown columns: name;price."),
        (b"Name,price", "Unknown columns: Name."),
        (b"name,,price", "Unknown columns: ."),
        ("name,price".encode("utf-16"), "The names of the columns cannot be read."),
        (b'"name"x,price', "The names of the columns cannot be read."),
        (b"", "The first row must name the columns."),
        (b"\xef\xbb\xbf", "The first row must name the columns."),
        (b"c" * 10_000, f"Unknown columns: {'c' * 64}. Known"),
    ],
)
def test_the_header_is_checked(head: bytes, problem: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(head + b"\n" if head else head)
    assert caught.value.line == 1
    assert caught.value.problem.startswith(problem)


def test_a_column_with_a_default_may_be_left_out() -> None:
    class Coloured(BaseModel):
        name: str
        colour: str = "red"

    rows = Rows(Coloured, BadRows())
    assert rows.feed(b"name\nhat\n") == [(2, Coloured(name="hat", colour="red"))]


def test_columns_that_are_ignored_may_be_there_and_are_not_read() -> None:
    rows = Rows(Thing, BadRows(), ("id", "made"))
    assert rows.feed(b"id,name,price\n7,hat,1\n,bag,2\n") == [
        (2, Thing(name="hat", price=1)),
        (3, Thing(name="bag", price=2)),
    ]
    with pytest.raises(Unreadable, match="Repeated columns: id"):
        Rows(Thing, BadRows(), ("id",)).feed(b"id,name,id,price\n")


def test_a_header_of_many_names_is_refused_at_once() -> None:
    head = b",".join(b"%d" % n for n in range(11_000)) + b"\n"
    begun = process_time()
    with pytest.raises(Unreadable, match="Unknown columns: 0, 1"):
        Rows(Thing, BadRows()).feed(head)
    assert process_time() - begun < 1  # 5 ms; each name compared with each other one takes 2 s


@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_lines_without_anything_have_an_end(line: bytes) -> None:
    rows = Rows(Thing, BadRows())
    rows.feed(b"name,price\n" + line * MOST_BLANK)
    with pytest.raises(Unreadable, match="lines are blank") as caught:
        rows.feed(line)
    assert caught.value.line == MOST_BLANK + 2


def test_all_bad_rows_are_counted_and_some_are_told() -> None:
    bad = BadRows()
    rows = Rows(Thing, bad)
    rows.feed(b"name,price\n" + b"hat,x\n" * (MOST_TOLD + 50))
    assert (bad.count, len(bad.told), bad.full) == (MOST_TOLD + 50, MOST_TOLD, True)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=100), st.floats(0, 1e9)), max_size=20))
def test_what_python_writes_is_read(things: list[tuple[str, float]]) -> None:
    things = [(n, p) for n, p in things if "\x00" not in n and n == unprotected(n)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("name", "price"), *things])
    good, bad = read(text.getvalue().encode("utf-8", "replace"))
    assert bad == []
    expected = [(n.encode("utf-8", "replace").decode(), p) for n, p in things]
    assert [(name, price) for _, name, price in good] == expected
