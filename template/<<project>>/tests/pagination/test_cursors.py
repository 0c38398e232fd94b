"""Cursors: exact, bound to their listing and key, and refused otherwise."""

import base64
import string
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pagination import BadCursor
from app.pagination import Cursors

ALPHABET = string.ascii_letters + string.digits + "-_"
NOW = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32

cursors = Cursors([NEW])
moments = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
)
ids = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@given(st.text(st.characters(codec="utf-8")), moments, ids)
def test_a_cursor_holds_its_position_to_the_microsecond(
    context: str, moment: datetime, number: int
) -> None:
    cursor = cursors.encode(context, moment, number)
    assert cursors.decode(context, cursor) == (moment, number)


@given(moments, ids)
def test_a_cursor_needs_no_quoting(moment: datetime, number: int) -> None:
    cursor = cursors.encode("items", moment, number)
    assert len(cursor) == 40
    assert set(cursor) <= set(ALPHABET)


def test_what_postgresql_calls_infinity_is_a_position() -> None:
    for moment in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        assert cursors.decode("items", cursors.encode("items", moment, 1)) == (moment, 1)


def test_a_time_without_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError):
        cursors.encode("items", datetime(2024, 1, 1), 1)


def test_every_other_character_in_every_place_is_refused() -> None:
    cursor = cursors.encode("items", NOW, 77)
    for place, right in enumerate(cursor):
        for wrong in {*ALPHABET, *"+/= \n\0é", right.swapcase()} - {right}:
            with pytest.raises(BadCursor):
                cursors.decode("items", cursor[:place] + wrong + cursor[place + 1 :])


def test_the_other_alphabet_is_no_second_spelling() -> None:
    spelled = next(
        cursor
        for number in range(1000)
        if {"-", "_"} <= set(cursor := cursors.encode("items", NOW, number))
    )
    for one, other in (("-", "+"), ("_", "/")):
        with pytest.raises(BadCursor):
            cursors.decode("items", spelled.replace(one, other))


def test_every_single_bit_counts() -> None:
    raw = base64.urlsafe_b64decode(cursors.encode("items", NOW, 77))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadCursor):
            cursors.decode("items", base64.urlsafe_b64encode(changed).decode())


@given(st.text() | st.text(ALPHABET, min_size=40, max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        cursors.decode("items", text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "=" * 40, "é" * 40, "\ud800" * 40, "A" * 39, "A" * 41, "A" * 10_000_000, "\0" * 40],
)
def test_odd_input_is_refused(text: str) -> None:
    with pytest.raises(BadCursor) as refused:
        cursors.decode("items", text)
    assert refused.value.status_code == 400
    assert "items" not in str(refused.value.detail)


def test_a_huge_cursor_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr("app.pagination.cursors.a2b_base64", read.append)
    with pytest.raises(BadCursor):
        cursors.decode("items", "A" * 1_000_000)
    assert read == []


def test_a_shorter_or_longer_cursor_is_refused() -> None:
    cursor = cursors.encode("items", NOW, 77)
    for text in (cursor[:-1], cursor[1:], cursor + "A", cursor + "=", cursor + "\n", " " + cursor):
        with pytest.raises(BadCursor):
            cursors.decode("items", text)


@pytest.mark.parametrize("context", ["users", "item", "items ", "", "items\0"])
def test_a_cursor_belongs_to_one_listing(context: str) -> None:
    cursor = cursors.encode("items", NOW, 77)
    with pytest.raises(BadCursor):
        cursors.decode(context, cursor)


def test_bytes_cannot_move_between_context_and_position() -> None:
    position = base64.urlsafe_b64decode(cursors.encode("items", NOW, 77))[:16]
    moved = cursors.encode("item", NOW, 77)
    assert base64.urlsafe_b64decode(moved)[:16] == position
    with pytest.raises(BadCursor):
        cursors.decode("items", moved)


def test_a_rotated_secret_verifies_and_no_longer_signs() -> None:
    before, during, after = Cursors([OLD]), Cursors([NEW, OLD]), Cursors([NEW])
    old, new = before.encode("items", NOW, 1), during.encode("items", NOW, 1)
    assert during.decode("items", old) == during.decode("items", new) == (NOW, 1)
    assert after.decode("items", new) == (NOW, 1)
    for holder, cursor in ((after, old), (before, new)):
        with pytest.raises(BadCursor):
            holder.decode("items", cursor)


def test_secrets_of_any_length_differ_in_every_byte() -> None:
    one, other = Cursors([b"s" * 200]), Cursors([b"s" * 199 + b"t"])
    with pytest.raises(BadCursor):
        other.decode("items", one.encode("items", NOW, 1))
