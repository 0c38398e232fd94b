"""What is stored can be read again, whatever it is."""

from math import isclose
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.entry import SIZE
from app.cache.entry import STAMP
from app.cache.entry import entry
from app.cache.entry import is_due
from app.cache.entry import is_entry
from app.cache.entry import is_lease
from app.cache.entry import lease
from app.cache.entry import new_stamp
from app.cache.entry import value_of

EXPIRIES = st.floats(min_value=0, max_value=1e11)
DURATIONS = st.floats(min_value=0, max_value=1e6, width=32)


@given(st.none() | st.binary(max_size=5000), EXPIRIES, DURATIONS)
def test_an_entry_comes_back_as_it_was(value: bytes | None, expiry: float, took_s: float) -> None:
    data = entry(value, expiry, took_s)
    assert is_entry(data)
    assert not is_lease(data)
    assert value_of(data) == value


@given(st.binary(max_size=100))
def test_what_is_no_entry_is_never_mistaken_or_fatal(data: bytes) -> None:
    if is_entry(data):
        value_of(data)
        is_due(data, 1.0)
    assert isinstance(is_lease(data), bool)


def test_empty_is_not_nothing() -> None:
    assert value_of(entry(b"", 1, 1)) == b""
    assert value_of(entry(None, 1, 1)) is None


def test_every_entry_has_a_stamp_of_its_own() -> None:
    assert len({entry(b"same", 1, 1)[STAMP] for _ in range(1000)}) == 1000


def test_a_lease_is_no_entry() -> None:
    stamp = new_stamp()
    assert is_lease(lease(stamp))
    assert not is_entry(lease(stamp))
    assert lease(stamp)[STAMP] == stamp
    assert len(lease(stamp)) == SIZE


@pytest.mark.parametrize(
    ("expires_in", "took_s", "early", "share"),
    [
        (60.0, 0.01, 1.0, 0.0),  # far from its end
        (-0.1, 0.01, 1.0, 1.0),  # past it
        (1.0, 1.0, 1.0, 0.37),  # as near as loading takes: 1/e
        (1.0, 1.0, 2.0, 0.61),  # more eagerly: 1/sqrt(e)
        (30.0, 1e6, 0.0, 0.0),  # never
    ],
)
def test_refreshing_is_the_likelier_the_nearer_the_end_and_the_longer_the_load(
    expires_in: float, took_s: float, early: float, share: float
) -> None:
    data = entry(b"", time() + expires_in, took_s)
    due = sum(is_due(data, early) for _ in range(5000)) / 5000
    assert isclose(due, share, abs_tol=0.05)
