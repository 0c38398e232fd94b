"""Ticks on clocks that change."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from app.scheduler.cron import Cron
from app.settings import SettingsError
from tests.scheduler.brute import MINUTE
from tests.scheduler.brute import Expression
from tests.scheduler.brute import Field

# Clocks that change by an hour, at midnight, by half an hour, by a day, and one that never does.
CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    "America/New_York": ["2026-03-08T07:00Z", "2026-11-01T06:00Z"],
    "America/Havana": ["2026-03-08T05:00Z", "2026-11-01T05:00Z"],
    "Africa/Cairo": ["2026-04-23T22:00Z", "2026-10-29T21:00Z"],
    "Australia/Lord_Howe": ["2026-04-04T15:00Z", "2026-10-03T15:30Z"],
    "Pacific/Apia": ["2011-12-30T10:00Z"],
    "Asia/Kathmandu": ["2026-03-29T01:00Z"],
}
PLACES = [(zone, change) for zone, changes in CHANGES.items() for change in changes]


def at(text: str) -> datetime:
    """A moment."""
    return datetime.fromisoformat(text)


def field(low: int, high: int) -> st.SearchStrategy[Field]:
    """A field of these values, written in one of the usual ways."""
    value = st.integers(low, high)
    every = st.just(Field("*", frozenset(range(low, high + 1))))
    steps = st.integers(1, 20).map(lambda n: Field(f"*/{n}", frozenset(range(low, high + 1, n))))
    lists = st.sets(value, min_size=1, max_size=4).map(
        lambda some: Field(",".join(map(str, some)), frozenset(some))
    )
    ranges = st.tuples(value, value).map(sorted).map(lambda ends: _range(*ends))
    return st.one_of(every, steps, lists, ranges)


def _range(low: int, high: int) -> Field:
    return Field(f"{low}-{high}", frozenset(range(low, high + 1)))


EXPRESSIONS = st.builds(Expression, field(0, 59), field(0, 23), field(1, 31), field(0, 6))


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS, st.sampled_from(PLACES), st.integers(0, 36 * 60))
def test_ticks_are_those_that_brute_force_finds(
    expression: Expression, place: tuple[str, str], minutes: int
) -> None:
    cron, change = Cron(expression.text, place[0]), at(place[1])
    begin, end = change - minutes * MINUTE, change + timedelta(hours=36)
    expected = list(expression.ticks(begin, end, cron.zone))
    assert [tick.astimezone(UTC) for tick in cron.between(begin + MINUTE, end)] == expected
    # wherever one begins, also within the hour that is shown twice
    after = change + (minutes - 90) * MINUTE + timedelta(seconds=30.5)
    first = next((tick for tick in expected if tick > after), None)
    if first:
        assert cron.next(max(after, begin)).astimezone(UTC) == first


@settings(deadline=None, max_examples=50)
@given(EXPRESSIONS, st.sampled_from(PLACES), st.integers(1, 5), st.integers(0, 2000), st.booleans())
def test_the_latest_are_the_last_of_all(
    expression: Expression, place: tuple[str, str], count: int, minutes: int, later: bool
) -> None:
    cron = Cron(expression.text, place[0])
    end = at(place[1]) + (timedelta(hours=3) if later else timedelta())
    begin = end - minutes * MINUTE
    assert cron.latest(count, begin, end) == list(cron.between(begin, end))[-count:]


def shown(expression: str, zone: str, begin: str, count: int) -> list[str]:
    """The next ticks, as the clock shows them."""
    cron, tick, ticks = Cron(expression, zone), at(begin), []
    for _ in range(count):
        tick = cron.next(tick)
        ticks.append(f"{tick:%d %H:%M%z}")
    return ticks


def test_a_time_that_is_left_out_is_when_the_clock_goes_on() -> None:
    spring = "2026-03-28T00:00+01:00"
    daily = shown("30 2 * * *", "Europe/Berlin", spring, 3)
    assert daily == ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]
    twice = shown("0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00+01:00", 2)
    assert twice == ["29 03:00+0200", "30 02:00+0200"]


def test_a_time_that_comes_twice_is_the_first() -> None:
    autumn = "2026-10-24T12:00+02:00"
    daily = shown("30 2 * * *", "Europe/Berlin", autumn, 2)
    assert daily == ["25 02:30+0200", "26 02:30+0100"]
    second = shown("30 2 * * *", "Europe/Berlin", "2026-10-25T02:15+01:00", 1)
    assert second == ["26 02:30+0100"]


def test_what_follows_the_clock_follows_it() -> None:
    hourly = shown("0 * * * *", "Europe/Berlin", "2026-03-29T00:30+01:00", 3)
    assert hourly == ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]
    again = shown("0 * * * *", "Europe/Berlin", "2026-10-25T01:30+02:00", 3)
    assert again == ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]
    half = shown("*/10 3 * * *", "Australia/Lord_Howe", "2026-10-03T15:40Z", 2)
    assert half == ["04 03:00+1100", "04 03:10+1100"]
    none = shown("*/30 0 * * *", "Africa/Cairo", "2026-04-23T20:00Z", 1)
    assert none == ["25 00:00+0300"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", ["2026-01-01T00:00:01", "2026-01-01T00:00:02"]),
        ("*/20 30 5 * * *", ["2026-01-01T05:30:00", "2026-01-01T05:30:20"]),
        ("0 0 L * *", ["2026-01-31T00:00:00", "2026-02-28T00:00:00"]),
        ("0 12 * * mon#1", ["2026-01-05T12:00:00", "2026-02-02T12:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        (" 0  0 13 * fri ", ["2026-01-02T00:00:00", "2026-01-09T00:00:00"]),
    ],
)
def test_what_expressions_may_say(expression: str, expected: list[str]) -> None:
    cron = Cron(expression, "UTC")
    first = cron.next(datetime(2026, 1, 1, tzinfo=UTC))
    assert [first, cron.next(first)] == [at(text).replace(tzinfo=UTC) for text in expected]


def test_ticks_are_shown_in_their_zone() -> None:
    tick = Cron("0 6 * * *", "Asia/Kathmandu").next(at("2026-01-01T00:00Z"))
    assert tick.isoformat() == "2026-01-01T06:00:00+05:45"
    assert tick.tzinfo == ZoneInfo("Asia/Kathmandu")


def test_what_comes_again_is_not_put_off_until_next_year() -> None:
    """Then the clock is as far off as it is now; but between it was not."""
    again = shown("*/10 2 25 10 *", "Europe/Berlin", "2026-10-25T02:55+02:00", 1)
    assert again == ["25 02:00+0100"]


def test_where_it_is_asked_from_is_no_matter() -> None:
    """Python subtracts on the clock of the zone, if it is asked with one."""
    cron = Cron("0 2 * * *", "Europe/Berlin")
    [begin, end] = (datetime(2026, 10, 25, hour, tzinfo=cron.zone, fold=1) for hour in (2, 4))
    assert list(cron.between(begin, end)) == []
    assert cron.latest(1, begin, end) == []
    hourly = Cron("0 * * * *", "Europe/Berlin")
    assert [f"{tick:%H%z}" for tick in hourly.between(begin, end)] == [
        "02+0100",
        "03+0100",
        "04+0100",
    ]
    assert [f"{tick:%H%z}" for tick in hourly.latest(9, begin, end)] == [
        "02+0100",
        "03+0100",
        "04+0100",
    ]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "wrong number of fields"),
        ("* * * *", "wrong number of fields"),
        ("0 0 0 0 0 0 0", "wrong number of fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("*/0 * * * *", "bad minute"),
        ("5-1 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 * * 8", "bad day-of-week"),
        ("0 0 */30,31 2 mon#5", "that day never comes"),
        ("@daily", "wrong number of fields"),
        ("every day at six, or so", "bad second"),
    ],
)
def test_what_is_no_expression_is_said(expression: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"is no cron expression: {said}."):
        Cron(expression, "UTC")


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "Europe", "../etc/passwd", "/etc/passwd", "\0", "é"]
)
def test_what_is_no_zone_is_said(zone: str) -> None:
    with pytest.raises(SettingsError, match="is no time zone"):
        Cron("* * * * *", zone)
