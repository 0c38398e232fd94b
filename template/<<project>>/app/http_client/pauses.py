"""How long to wait before a request is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import uniform

FIRST_S = 0.1
LONGEST_S = 2.0


def choose_pause(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds to wait after this attempt (from 1): what Retry-After says, if it does, and a random
    time besides, so that clients that failed together do not come back together.

    Full jitter: anything up to a bound that doubles (Brooker, "Exponential Backoff And Jitter", AWS
    2015).
    """
    jitter = uniform(0, min(LONGEST_S, FIRST_S * 2**attempt))  # noqa: S311
    return jitter + parse_retry_after(headers.get("Retry-After", ""))


def parse_retry_after(value: str) -> float:
    """Seconds of a Retry-After header, in both forms of RFC 9110, 10.2.3; 0 when it is neither."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or zone of many digits
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
