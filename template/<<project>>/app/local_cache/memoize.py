"""Functions that remember their results."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from functools import partial
from functools import update_wrapper
from inspect import Parameter
from inspect import isawaitable
from inspect import iscoroutine
from inspect import iscoroutinefunction
from inspect import signature
from typing import Any
from typing import cast

from app.local_cache.blocking import BlockingCache
from app.local_cache.local import LocalCache
from app.local_cache.store import Bounds


def memoize[**P, R](
    name: str,
    *,
    ttl_s: float = 60,
    jitter: float = 0.1,
    max_entries: int = 1_000,
    max_bytes: int = 1024 * 1024,
) -> Callable[[Callable[P, R]], Memoized[P, R]]:
    """Decorates a function, sync or async, whose result depends on its arguments only.

    `name` is the function's in the metrics. Arguments must be hashable (else TypeError), and a
    result must not be changed by whoever gets it. Calls with the same arguments at the same time
    are one: of an async function in its event loop, of a sync one in all threads, which wait for
    it. Not for methods: `self` would be kept. TypeError, when it is called, for a plain function
    that returns an awaitable, as an `async def` under a plain decorator does.
    """
    bounds = Bounds(ttl_s, jitter, max_entries, max_bytes)
    return lambda function: Memoized(function, name, bounds)


class Memoized[**P, R]:
    """The function, to be called as before. What it raises is not remembered."""

    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R], name: str, bounds: Bounds) -> None:
        update_wrapper(self, function)
        self._key = _Keys(function)
        is_async = iscoroutinefunction(function)
        self._results: Any = (LocalCache if is_async else BlockingCache)(name, bounds)
        self._load = function if is_async else _plain(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The remembered result for these arguments, or the function's."""
        call = partial(self._load, *args, **kwargs)
        return cast(R, self._results.get(self._key(args, kwargs), call))

    def delete(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result for these arguments; one that is being computed is not remembered."""
        self._results.delete(self._key(args, kwargs))

    def clear(self) -> None:
        """Forget all results."""
        self._results.clear()


def _plain[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """The function, which must not be an async one in disguise: its results can be awaited once."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        result = function(*args, **kwargs)
        if isawaitable(result):
            if iscoroutine(result):
                result.close()
            raise TypeError(f"{function} returns an awaitable: memoize an `async def` itself.")
        return result

    return call


class _Keys:
    """One key for every spelling of a call: `f(1)`, `f(n=1)`, and with a default left out or not.
    As arguments 1, 1.0 and True are equal and have different ones. Within another value they have
    the same, as (1,) and (True,); so have 0.0 and -0.0."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = signature(function)
        parameters = self._signature.parameters.values()
        plain = all(parameter.kind <= Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        self._complete = len(parameters) if plain else None  # so many say all

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        named: tuple[tuple[str, Any, type], ...] = ()
        if kwargs or len(args) != self._complete:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
            named = tuple((n, value, type(value)) for n, value in sorted(bound.kwargs.items()))
        return args, tuple(map(type, args)), named
