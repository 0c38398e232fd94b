"""Filling many keys by one load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from time import perf_counter

from app.cache.entry import is_entry
from app.cache.entry import is_lease
from app.cache.entry import value_of
from app.cache.lease import Leases
from app.cache.source import Source

type LoadMany = Callable[[list[str]], Awaitable[Mapping[str, bytes | None]]]
type Taken = dict[str, tuple[bytes | None, bytes]]


class FillMany:
    """Leases for all that is missing in one step, one load, and one step to store."""

    def __init__(self, leases: Leases, source: Source) -> None:
        self._leases = leases
        self._source = source

    async def load(
        self, names: Mapping[str, str], load: LoadMany, ttl_s: float | None, store: bool
    ) -> dict[str, bytes | None]:
        """The values of these keys, each given with its name in Redis.

        What somebody else is loading is loaded as well, instead of waiting, and not stored.
        """
        taken = await self._take(names.values()) if store else {}
        values: dict[str, bytes | None] = {}
        ours: dict[str, bytes] = {}
        for key, name in names.items():
            held, stamp = taken.get(name, (b"", b""))
            if held is None:
                ours[key] = stamp
            elif is_entry(held):
                values[key] = value_of(held)
            elif stamp and not is_lease(held):
                ours[key] = stamp
        missing = [key for key in names if key not in values]
        if missing:
            values |= await self._load_and_store(names, missing, ours, load, ttl_s)
        return values

    async def _take(self, names: Iterable[str]) -> Taken:
        """The leases. A caller who is cancelled meanwhile leaves none behind: it cannot know which
        of them Redis has given, so it is done to its end and then given back."""
        taking = asyncio.create_task(self._leases.take_many(names))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._source.spawn(self._undo(taking))
            raise

    async def _undo(self, taking: asyncio.Task[Taken]) -> None:
        for name, (held, stamp) in (await taking).items():
            if held is None:
                await self._source.quietly(self._leases.give_back(name, stamp))

    async def _load_and_store(
        self,
        names: Mapping[str, str],
        missing: list[str],
        ours: Mapping[str, bytes],
        load: LoadMany,
        ttl_s: float | None,
    ) -> dict[str, bytes | None]:
        leases, quietly = self._leases, self._source.quietly

        async def keep() -> None:
            await asyncio.gather(*(leases.keep(names[key], ours[key]) for key in ours))

        started = perf_counter()
        try:
            loaded = await self._source.load_keeping(lambda: load(missing), keep)
            took_s = perf_counter() - started
            values = {key: loaded.get(key) for key in missing}
            await asyncio.gather(
                *(
                    quietly(leases.store(names[key], stamp, values[key], ttl_s, took_s))
                    for key, stamp in ours.items()
                )
            )
        except BaseException:
            # also of a caller who is cancelled; what is stored by then has another stamp, and stays
            for key, stamp in ours.items():
                self._source.spawn(quietly(leases.give_back(names[key], stamp)))
            raise
        return values
