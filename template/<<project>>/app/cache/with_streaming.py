"""An import makes many rows at once: that there was none of them must not stay cached."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable

from app.cache.cache import Cache

# Keys in one command.
MANY = 1_000


def forget_each(cache: Cache, kind: str) -> Callable[[range], Awaitable[None]]:
    """What deletes the keys `kind:id` of a range of ids, after the rows were committed."""

    async def forget(ids: range) -> None:
        for start in range(0, len(ids), MANY):
            await cache.delete(*(f"{kind}:{id}" for id in ids[start : start + MANY]))

    return forget
