"""How long to wait before a request is repeated."""

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from email.utils import format_datetime

import pytest

from app.http_client.pauses import FIRST_S
from app.http_client.pauses import LONGEST_S
from app.http_client.pauses import pause_s
from app.http_client.pauses import retry_after_s


def test_the_bound_doubles_and_all_below_it_happens() -> None:
    for attempt in range(1, 10):
        bound = min(LONGEST_S, FIRST_S * 2**attempt)
        pauses = [pause_s(attempt, {}) for _ in range(500)]
        assert max(pauses) <= bound
        assert min(pauses) < 0.1 * bound
        assert max(pauses) > 0.9 * bound


def test_what_the_upstream_asks_for_is_the_least() -> None:
    assert 7 <= pause_s(1, {"Retry-After": "7"}) <= 7 + 2 * FIRST_S


def test_a_date() -> None:
    now = datetime.now(UTC)
    assert 55 < retry_after_s(format_datetime(now + timedelta(minutes=1), usegmt=True)) <= 60
    assert retry_after_s(format_datetime(now - timedelta(minutes=1), usegmt=True)) == 0
    assert retry_after_s("Fri, 31 Dec 1999 23:59:59") == 0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣", "nan", "inf", "1e3"])
def test_what_is_no_time_is_none(value: str) -> None:
    assert retry_after_s(value) == 0
