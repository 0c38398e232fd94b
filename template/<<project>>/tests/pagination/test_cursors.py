"""Cursors: exact, bound to their listing and key, and refused otherwise."""

import base64
import string
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from math import isnan
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from app.pagination import BadCursor
from app.pagination import Cursors
from app.pagination import Key
from app.pagination import Listing
from app.pagination.cursors import MAX_CURSOR

ALPHABET = string.ascii_letters + string.digits + "-_"
NOW = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32
ORDER = (Key("created_at", datetime, descending=True), Key("id", int, descending=True))

cursors = Cursors([NEW])
items = cursors.listing("items", ORDER)
moments = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
)
ids = st.integers(min_value=-(2**63), max_value=2**63 - 1)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: ids,
    float: st.floats(allow_nan=False),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    bytes: st.binary(max_size=300),
    Decimal: st.decimals(allow_nan=False),
    UUID: st.uuids(),
    date: st.dates(),
    time: st.times(),
    datetime: moments | st.datetimes(),
}
KEYS = st.lists(st.sampled_from([*VALUES]), min_size=1, max_size=4)
POSITIONS = KEYS.flatmap(
    lambda kinds: st.tuples(st.just(kinds), st.tuples(*map(VALUES.get, kinds)))
)


def of(*secrets: bytes) -> Listing:
    """The items, signed by the first of these."""
    return Cursors(secrets).listing("items", ORDER)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(POSITIONS, st.booleans(), st.booleans())
def test_a_cursor_holds_its_position_exactly(
    position: tuple[list[type], tuple[Any, ...]], backward: bool, inclusive: bool
) -> None:
    kinds, values = position
    listing = cursors.listing("any", [Key(str(n), kind) for n, kind in enumerate(kinds)])
    cursor = listing.encode(values, backward=backward, inclusive=inclusive)
    assert listing.decode(cursor) == (values, backward, inclusive)
    assert set(cursor) <= set(ALPHABET), "it needs no quoting"


def test_the_time_zone_that_a_moment_has_not_is_not_given_to_it() -> None:
    listing = cursors.listing("any", [Key("at", datetime)])
    for moment in (NOW, NOW.replace(tzinfo=None)):
        [found] = listing.decode(listing.encode((moment,))).values
        assert (found, found.tzinfo) == (moment, moment.tzinfo)


def test_what_postgresql_calls_infinity_is_a_position() -> None:
    for moment in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        assert items.decode(items.encode((moment, 1))).values == (moment, 1)


def test_a_number_that_is_none_is_a_position() -> None:
    listing = cursors.listing("any", [Key("price", float)])
    [found] = listing.decode(listing.encode((float("nan"),))).values
    assert isnan(found)


def test_every_other_character_in_every_place_is_refused() -> None:
    cursor = items.encode((NOW, 77))
    for place, right in enumerate(cursor):
        for wrong in {*ALPHABET, *"+/= \n\0é", right.swapcase()} - {right}:
            with pytest.raises(BadCursor):
                items.decode(cursor[:place] + wrong + cursor[place + 1 :])


def test_the_other_alphabet_is_no_second_spelling() -> None:
    spelled = next(
        cursor
        for number in range(10_000)
        if {"-", "_"} <= set((cursor := items.encode((NOW, number)))[:-20])
        and {"-", "_"} <= set(cursor[-20:])
    )
    for one, other in (("-", "+"), ("_", "/")):
        for changed in (
            spelled.replace(one, other),
            spelled[:-20].replace(one, other) + spelled[-20:],
            spelled[:-20] + spelled[-20:].replace(one, other),
        ):
            with pytest.raises(BadCursor):
                items.decode(changed)


def test_every_single_bit_counts() -> None:
    cursor = items.encode((NOW, 77))
    for start, end in ((0, len(cursor) - 20), (len(cursor) - 20, len(cursor))):
        raw = base64.urlsafe_b64decode(cursor[start:end] + "==")
        for bit in range(len(raw) * 8):
            changed = bytearray(raw)
            changed[bit // 8] ^= 1 << bit % 8
            text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
            with pytest.raises(BadCursor):
                items.decode(cursor[:start] + text + cursor[end:])


@given(st.text() | st.text(ALPHABET, min_size=20, max_size=60))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        items.decode(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "=" * 40, "é" * 40, "\ud800" * 40, "A" * 20, "A" * 41, "A" * 10_000_000, "\0" * 40],
)
def test_odd_input_is_refused(text: str) -> None:
    with pytest.raises(BadCursor) as refused:
        items.decode(text)
    assert refused.value.status_code == 400
    assert "items" not in str(refused.value.detail)


def test_a_huge_cursor_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    monkeypatch.setattr("app.pagination.cursors._signature", lambda *given: read.append(given))
    with pytest.raises(BadCursor):
        items.decode("A" * 1_000_000)
    assert read == []


def test_a_shorter_or_longer_cursor_is_refused() -> None:
    cursor = items.encode((NOW, 77))
    for text in (cursor[:-1], cursor[1:], cursor + "A", cursor + "=", cursor + "\n", " " + cursor):
        with pytest.raises(BadCursor):
            items.decode(text)


def test_a_cursor_is_as_long_as_a_url_can_bear() -> None:
    listing = cursors.listing("any", [Key("name", str)])
    fits = "x" * ((MAX_CURSOR - 20) * 3 // 4 - 6)
    assert listing.decode(listing.encode((fits,))).values == (fits,)
    with pytest.raises(ValueError, match="order by what is shorter"):
        listing.encode(("x" * MAX_CURSOR,))


def seven(name: str, *order: Key) -> Listing:
    """A listing with the filter of the test below."""
    return cursors.listing(name, order).where(owner=7)


OTHERS: dict[str, Listing] = {
    "another listing": seven("users", *ORDER),
    "a similar name": seven("items ", *ORDER),
    "another column": seven("items", Key("changed_at", datetime, True), ORDER[1]),
    "another type": seven("items", ORDER[0], Key("id", float, True)),
    "the other direction": seven("items", ORDER[0], Key("id", int)),
    "the columns swapped": seven("items", *ORDER[::-1]),
    "a column more": seven("items", *ORDER, Key("name", str)),
    "another filter": items.where(owner=8),
    "no filter": items,
    "a filter of another name": items.where(seller=7),
    "a filter that looks alike": items.where(owner="7"),
    "one filter more": items.where(owner=7, kind="hat"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_a_cursor_belongs_to_one_listing_in_one_order(other: Listing) -> None:
    mine = seven("items", *ORDER)
    cursor = mine.encode((NOW, 77))
    assert mine.decode(cursor).values == (NOW, 77)
    with pytest.raises(BadCursor):
        other.decode(cursor)


def test_filters_are_the_same_in_any_order() -> None:
    cursor = items.where(owner=7, kind="hat").encode((NOW, 77))
    assert items.where(kind="hat", owner=7).decode(cursor).values == (NOW, 77)


def test_a_cursor_outlives_the_process() -> None:
    """Whoever changes how they are made breaks those that clients hold, once."""
    assert items.decode("kwDX_-5rGGBl4Rp_TQZfP07UfLpk4QrRrFlUq4").values == (NOW, 77)


def test_a_rotated_secret_verifies_and_no_longer_signs() -> None:
    before, during, after = of(OLD), of(NEW, OLD), of(NEW)
    old, new = before.encode((NOW, 1)), during.encode((NOW, 1))
    assert during.decode(old).values == during.decode(new).values == (NOW, 1)
    assert after.decode(new).values == (NOW, 1)
    for holder, cursor in ((after, old), (before, new)):
        with pytest.raises(BadCursor):
            holder.decode(cursor)


def test_secrets_of_any_length_differ_in_every_byte() -> None:
    one, other = of(b"s" * 200), of(b"s" * 199 + b"t")
    with pytest.raises(BadCursor):
        other.decode(one.encode((NOW, 1)))
