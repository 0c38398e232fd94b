"""Cache-aside over Redis: get or load, delete, and never an error because Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError

from app.cache.entry import is_due
from app.cache.entry import is_entry
from app.cache.entry import value_of
from app.cache.fill import Fill
from app.cache.fill import Load
from app.cache.invalidation import Invalidation
from app.cache.lease import Leases
from app.cache.many import FillMany
from app.cache.many import LoadMany
from app.cache.namespace import Namespace
from app.cache.reads import BYPASS
from app.cache.reads import ERROR
from app.cache.reads import HIT
from app.cache.reads import MISS
from app.cache.reads import REFRESH
from app.cache.settings import CacheSettings
from app.cache.source import Source
from app.redis import RedisClient
from app.unit_of_work import again_when_committed


class Cache:
    """Values are bytes: what is stored is what is sent, so a hit is neither parsed nor encoded.

    What was changed without `delete` is served for at most its TTL. `seconds_left` tells, at the
    end of the process, how long that may take.
    """

    def __init__(
        self, redis: RedisClient, settings: CacheSettings, seconds_left: Callable[[], float]
    ) -> None:
        self._redis = redis
        self._early = settings.early
        self._prefix = f"{settings.prefix}:"
        self._source = Source(settings.lease_s)
        leases = Leases(redis, settings)
        self._fill = Fill(leases, self._source, settings.lease_s)
        self._fill_many = FillMany(leases, self._source)
        self._invalidation = Invalidation(redis, f"{escape(self._prefix)}*", seconds_left)

    async def __aenter__(self) -> Self:
        """Nothing is opened."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what loads in the background, send the deletions that are left."""
        await self._fill.close()
        await self._source.close()
        await self._invalidation.close()

    async def get(self, key: str, load: Load, ttl_s: float | None = None) -> bytes | None:
        """The value of a key; `load` is awaited when the cache does not have it.

        Whatever it returns is cached, None as well (for CACHE_NEGATIVE_TTL_S at most); what it
        raises is not. It may outlive the caller, so it must not use what belongs to one request.
        """
        name = self._prefix + key
        if not self._invalidation.trusted:
            BYPASS.inc()
            return await self._fill.load(name, load, ttl_s, store=False)
        try:
            data = await self._redis.execute("GET", name)
        except RedisError:
            ERROR.inc()
            return await self._fill.load(name, load, ttl_s, store=False)
        if not is_entry(data):
            MISS.inc()
            return await self._fill.load(name, load, ttl_s, store=True)
        if is_due(data, self._early):
            REFRESH.inc()
            self._fill.refresh(name, load, ttl_s, data)
        else:
            HIT.inc()
        return value_of(data)

    async def peek(self, key: str) -> tuple[bool, bytes | None]:
        """Whether Redis has a value of the key that is not to be renewed yet, and the value.

        Loads nothing; False as well when Redis is away or may hold what is deleted. Whoever gets
        False asks `get`, which counts that read.
        """
        if not self._invalidation.trusted:
            return False, None
        try:
            data = await self._redis.execute("GET", self._prefix + key)
        except RedisError:
            return False, None
        if not is_entry(data) or is_due(data, self._early):
            return False, None
        HIT.inc()
        return True, value_of(data)

    async def get_many(
        self, keys: Sequence[str], load: LoadMany, ttl_s: float | None = None
    ) -> list[bytes | None]:
        """The values of these keys in their order, by one command and at most one `load`.

        `load` gets the keys that are missing and returns their values; one it leaves out is None.
        """
        names = {key: self._prefix + key for key in keys}
        if not names:
            return []
        values: dict[str, bytes | None] = {}
        readable = self._invalidation.trusted
        if readable:
            try:
                found = await self._redis.execute("MGET", *names.values())
            except RedisError:
                readable = False
            else:
                pairs = zip(names, found, strict=True)
                values = {key: value_of(data) for key, data in pairs if is_entry(data)}
        missing = {key: name for key, name in names.items() if key not in values}
        HIT.inc(len(values))
        (MISS if readable else BYPASS).inc(len(missing))
        if missing:
            values |= await self._fill_many.load(missing, load, ttl_s, store=readable)
        return [values[key] for key in keys]

    async def delete(self, *keys: str) -> None:
        """Forget these keys, after the source was changed and that was committed.

        A load that is under way does not store what it found. With Redis away, this process
        reads from the source until the deletion is sent.
        """
        if keys:
            again_when_committed(partial(self.delete, *keys))
            names = [self._prefix + key for key in keys]
            self._fill.forget(names)
            await self._invalidation.delete(names)

    async def delete_pattern(self, pattern: str) -> None:
        """Forget every key that matches a Redis glob, as `user:*`.

        Walks through all keys of the Redis database; a namespace does the same in one step.
        """
        again_when_committed(partial(self.delete_pattern, pattern))
        self._fill.forget_all()
        await self._invalidation.delete_pattern(escape(self._prefix) + pattern)

    def namespace(self, name: str) -> Namespace:
        """Keys that can be forgotten together, at once, however many they are."""
        return Namespace(
            f"{self._prefix}@{name}", self._redis, self._fill, self._invalidation, self._early
        )


def escape(text: str) -> str:
    """A Redis glob that matches exactly this text."""
    return "".join(f"\\{char}" if char in "*?[]^-\\" else char for char in text)
