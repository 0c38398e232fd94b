"""How long to wait before a request is repeated."""

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http_client.pauses import FIRST_S
from app.http_client.pauses import LONGEST_S
from app.http_client.pauses import choose_pause
from app.http_client.pauses import parse_retry_after

FAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
ZONE = "Mon, 01 Jan 2001 00:00:00 +99999999999999999999"
DATE = r"Mon, \d{1,3} Jan \d{1,20} \d{1,3}:\d\d:\d\d( [+-]\d{1,20})?"


def test_the_bound_doubles_and_all_below_it_happens() -> None:
    for attempt in range(1, 10):
        bound = min(LONGEST_S, FIRST_S * 2**attempt)
        pauses = [choose_pause(attempt, {}) for _ in range(500)]
        assert max(pauses) <= bound
        assert min(pauses) < 0.1 * bound
        assert max(pauses) > 0.9 * bound


def test_what_the_upstream_asks_for_is_the_least() -> None:
    assert 7 <= choose_pause(1, {"Retry-After": "7"}) <= 7 + 2 * FIRST_S


def test_a_date() -> None:
    now = datetime.now(UTC)
    assert 55 < parse_retry_after(format_datetime(now + timedelta(minutes=1), usegmt=True)) <= 60
    assert parse_retry_after(format_datetime(now - timedelta(minutes=1), usegmt=True)) == 0
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59") == 0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣", "nan", "inf", "1e3", FAR, ZONE])
def test_what_is_no_time_is_none(value: str) -> None:
    assert parse_retry_after(value) == 0


@given(st.from_regex(DATE, fullmatch=True))
def test_no_date_is_an_error(value: str) -> None:
    assert parse_retry_after(value) >= 0
