"""Pages: while rows come and go, those that stay are seen exactly once."""

import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pagination import Cursors

START = datetime(2024, 1, 1, tzinfo=UTC)
cursors = Cursors([b"s" * 32])

type Position = tuple[datetime, int]


class Listing:
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

    def page(self, limit: int, cursor: str | None) -> dict[str, Any]:
        """As an endpoint does it: `limit` + 1 rows after the cursor, newest first."""
        after = cursors.decode("rows", cursor) if cursor else None
        ordered: list[Position] = sorted(((at, row) for row, at in self.rows.items()), reverse=True)
        rest = [
            {"id": row, "created_at": at} for at, row in ordered if not after or (at, row) < after
        ]
        page: dict[str, Any] = json.loads(cursors.page("rows", rest[: limit + 1], limit))
        return page


changes = st.lists(st.tuples(st.sampled_from(["insert", "delete"]), st.integers(0, 5)), max_size=6)


@given(
    ticks=st.lists(st.integers(0, 5), max_size=40),
    limit=st.integers(1, 7),
    between=st.lists(changes, max_size=60),
)
def test_what_stays_is_seen_once(
    ticks: list[int], limit: int, between: list[list[tuple[str, int]]]
) -> None:
    listing = Listing(ticks)
    staying, seen = set(listing.rows), []
    cursor, more = None, True
    while more:
        page = listing.page(limit, cursor)
        seen += [row["id"] for row in page["data"]]
        assert len(page["data"]) <= limit
        cursor, more = page["pagination"]["nextCursor"], page["pagination"]["hasMore"]
        assert (cursor is not None) == more
        for change, number in between.pop() if between else ():
            listing.insert(number) if change == "insert" else listing.delete(number)
        staying &= set(listing.rows)
    assert len(seen) == len(set(seen)), "a row was repeated"
    assert staying <= set(seen), "a row was lost"


@pytest.mark.parametrize(("rows", "more"), [(0, False), (2, False), (3, False), (4, True)])
def test_the_row_too_many_tells_that_there_is_more(rows: int, more: bool) -> None:
    listing = Listing(list(range(rows)))
    page = listing.page(3, None)
    assert len(page["data"]) == min(rows, 3)
    assert page["pagination"]["hasMore"] is more
    assert (page["pagination"]["nextCursor"] is not None) is more


def test_the_cursor_is_that_of_the_last_row_shown() -> None:
    page = Listing([5, 4, 3]).page(2, None)
    cursor = page["pagination"]["nextCursor"]
    assert cursors.decode("rows", cursor) == (START + timedelta(microseconds=4), 2)


def test_a_view_shapes_the_rows() -> None:
    rows = [{"id": row, "created_at": START, "secret": "x"} for row in (3, 2, 1)]
    page = json.loads(cursors.page("rows", rows, 2, view=lambda row: {"number": row["id"]}))
    assert page["data"] == [{"number": 3}, {"number": 2}]
    assert cursors.decode("rows", page["pagination"]["nextCursor"]) == (START, 2)


def test_the_rows_of_the_caller_stay_as_they_are() -> None:
    rows = [{"id": row, "created_at": START} for row in (3, 2, 1)]
    cursors.page("rows", rows, 2)
    assert len(rows) == 3
