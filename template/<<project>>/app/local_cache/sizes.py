"""How many bytes a value takes, as far as one can tell from outside."""

from __future__ import annotations

from gc import get_referents
from sys import getsizeof
from types import BuiltinFunctionType
from types import FunctionType
from types import ModuleType
from typing import Any

_PLAIN = frozenset({bytes, str, int, float, bool, type(None)})
# What values refer to and share with the rest of the process.
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)


def size_of(value: object, most: int) -> int:
    """The bytes of a value and of all that it refers to, each object counted once.

    Stops counting beyond `most`, so that the cost is bounded whatever hangs on the value.
    """
    if type(value) in _PLAIN:
        return getsizeof(value)
    seen: set[int] = set()
    waiting: list[Any] = [value]
    total = 0
    while waiting and total <= most:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _SHARED):
            continue
        seen.add(id(one))
        total += getsizeof(one)
        waiting += get_referents(one)
    return total
