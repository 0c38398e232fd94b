"""What stands at a key of the cache: a header of fixed size, then the value's own bytes.

A key holds a value, the knowledge that there is none, or the lease of the one who is loading it.
The stamp tells whether what stands there is still what one saw: whoever writes compares it first.
"""

from math import log
from os import urandom
from random import random
from struct import Struct
from time import time

VALUE, NOTHING, LEASE = 0xA1, 0xA2, 0xA3  # another format takes other numbers

_HEADER = Struct(">B8sdf")  # kind, stamp, expiry (Unix time), seconds that loading took
_unpack = _HEADER.unpack_from
SIZE = _HEADER.size
STAMP = slice(1, 9)


def new_stamp() -> bytes:
    """An identity for what is about to be written."""
    return urandom(8)


def lease(stamp: bytes) -> bytes:
    """What marks a key as being loaded."""
    return _HEADER.pack(LEASE, stamp, 0.0, 0.0)


def entry(value: bytes | None, expiry: float, took_s: float) -> bytes:
    """A value, or None, as it is stored."""
    kind = NOTHING if value is None else VALUE
    return _HEADER.pack(kind, new_stamp(), expiry, took_s) + (value or b"")


def is_entry(data: bytes | None) -> bool:
    """Whether this is a value or None, rather than a lease, something unknown or nothing."""
    return data is not None and len(data) >= SIZE and (data[0] == VALUE or data[0] == NOTHING)


def is_lease(data: bytes) -> bool:
    """Whether somebody is loading the value."""
    return len(data) == SIZE and data[0] == LEASE


def value_of(data: bytes) -> bytes | None:
    """The value of an entry."""
    return data[SIZE:] if data[0] == VALUE else None


def is_due(data: bytes, early: float) -> bool:
    """Whether to refresh an entry now, before it expires: the likelier the nearer its end is and
    the longer loading takes, so that of many readers about one does so.

    XFetch: Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention,
    VLDB 2015.
    """
    _, _, expiry, took_s = _unpack(data)
    due: bool = time() - took_s * early * log(1.0 - random()) >= expiry  # noqa: S311
    return due
