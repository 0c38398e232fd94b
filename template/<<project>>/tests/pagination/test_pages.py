"""Pages: while rows come and go, those that stay are seen exactly once, in either direction."""

import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pagination import Cursors
from app.pagination import Key
from app.pagination import Page
from app.pagination import Position

START = datetime(2024, 1, 1, tzinfo=UTC)
listing = Cursors([b"s" * 32]).listing(
    "rows", [Key("created_at", datetime, descending=True), Key("id", int, descending=True)]
)


class Table:
    """What a table with an index on (created_at, id) does, in memory."""

    def __init__(self, ticks: list[int]) -> None:
        self.rows: dict[int, datetime] = {}
        self.made = 0
        for tick in ticks:
            self.insert(tick)

    def insert(self, tick: int) -> None:
        """A row at `tick` microseconds; few ticks make many ties."""
        self.made += 1
        self.rows[self.made] = START + timedelta(microseconds=tick)

    def delete(self, which: int) -> None:
        """One of the rows, if there is any."""
        if self.rows:
            del self.rows[sorted(self.rows)[which % len(self.rows)]]

    def beyond(self, position: Position | None) -> list[tuple[datetime, int]]:
        """What lies beyond a position, in the order of reading."""
        rows = sorted(((at, row) for row, at in self.rows.items()), reverse=True)
        if position is None:
            return rows
        values, backward, inclusive = position
        rest = [
            row
            for row in rows
            if (row > values if backward else row < values) or (inclusive and row == values)
        ]
        return rest[::-1] if backward else rest

    def page(self, limit: int, cursor: str | None = None) -> Page:
        """As an endpoint does it: `limit` + 1 rows beyond the cursor."""
        position = listing.decode(cursor) if cursor else None
        rest = [{"id": row, "created_at": at} for at, row in self.beyond(position)]
        return listing.page(rest[: limit + 1], limit, position)


def shown(page: Page) -> list[int]:
    """The ids of a page."""
    return [row["id"] for row in page.data]


changes = st.lists(st.tuples(st.sampled_from(["insert", "delete"]), st.integers(0, 5)), max_size=6)


@given(
    ticks=st.lists(st.integers(0, 5), max_size=40),
    limit=st.integers(1, 7),
    between=st.lists(changes, max_size=60),
)
def test_what_stays_is_seen_once_in_either_direction(
    ticks: list[int], limit: int, between: list[list[tuple[str, int]]]
) -> None:
    table = Table(ticks)
    cursor: str | None = None
    for onwards in (True, False, True):
        staying = {row for _, row in table.beyond(listing.decode(cursor) if cursor else None)}
        seen: list[int] = []
        while True:
            page = table.page(limit, cursor)
            assert len(page.data) <= limit
            seen = seen + shown(page) if onwards else shown(page) + seen
            following = page.next_cursor if onwards else page.prev_cursor
            if following is None:
                break
            cursor = following
            for change, number in between.pop() if between else ():
                table.insert(number) if change == "insert" else table.delete(number)
            staying &= set(table.rows)
        assert len(seen) == len(set(seen)), "a row was repeated"
        assert staying <= set(seen), "a row was lost"
        cursor = page.prev_cursor if onwards else page.next_cursor
        if cursor is None:
            break


@pytest.mark.parametrize(("rows", "more"), [(0, False), (2, False), (3, False), (4, True)])
def test_the_row_too_many_tells_that_there_is_more(rows: int, more: bool) -> None:
    page = json.loads(Table(list(range(rows))).page(3).encode())
    assert len(page["data"]) == min(rows, 3)
    assert page["pagination"]["hasMore"] is more
    assert (page["pagination"]["nextCursor"] is not None) is more
    assert page["pagination"]["prevCursor"] is None


def test_the_cursors_are_those_of_the_rows_at_the_ends() -> None:
    table = Table([5, 4, 3, 2, 1])
    page = table.page(2, table.page(2).next_cursor)
    assert shown(page) == [3, 4]
    assert page.next_cursor
    assert page.prev_cursor
    assert listing.decode(page.next_cursor) == (
        (START + timedelta(microseconds=2), 4),
        False,
        False,
    )
    assert listing.decode(page.prev_cursor) == ((START + timedelta(microseconds=3), 3), True, False)


def test_back_and_forth_shows_the_same_pages() -> None:
    table = Table([1] * 7)
    pages = [table.page(3)]
    while cursor := pages[-1].next_cursor:
        pages.append(table.page(3, cursor))
    assert [shown(page) for page in pages] == [[7, 6, 5], [4, 3, 2], [1]]
    second = table.page(3, pages[2].prev_cursor)
    first = table.page(3, second.prev_cursor)
    assert (shown(second), shown(first)) == ([4, 3, 2], [7, 6, 5])
    assert (second.prev_cursor is None, first.prev_cursor) == (False, None)
    assert [shown(table.page(3, page.next_cursor)) for page in (first, second)] == [[4, 3, 2], [1]]


def test_a_page_that_became_empty_leads_back_to_all_that_is_left() -> None:
    """To the row as well that the cursor was of: it lies on the other side of the gap."""
    table = Table([1] * 4)
    first = table.page(2)
    table.rows = {row: at for row, at in table.rows.items() if row in shown(first)}
    empty = table.page(2, first.next_cursor)
    assert (shown(empty), empty.next_cursor) == ([], None)
    assert shown(table.page(2, empty.prev_cursor)) == shown(first) == [4, 3]

    table = Table([1] * 4)
    second = table.page(2, table.page(2).next_cursor)
    table.rows = {row: at for row, at in table.rows.items() if row in shown(second)}
    empty = table.page(2, second.prev_cursor)
    assert (shown(empty), empty.prev_cursor) == ([], None)
    again = table.page(2, empty.next_cursor)
    assert shown(again) == shown(second) == [2, 1]
    assert again.prev_cursor


def test_a_view_shapes_the_rows() -> None:
    rows = [{"id": row, "created_at": START, "secret": "x"} for row in (3, 2, 1)]
    page = listing.page(rows, 2, None, view=lambda row: {"number": row["id"]})
    assert page.data == [{"number": 3}, {"number": 2}]
    assert page.next_cursor
    assert listing.decode(page.next_cursor).values == (START, 2)


def test_the_rows_of_the_caller_stay_as_they_are() -> None:
    rows: list[dict[str, Any]] = [{"id": row, "created_at": START} for row in (3, 2, 1)]
    listing.page(rows, 2, Position((START, 0), backward=True))
    assert [row["id"] for row in rows] == [3, 2, 1]
