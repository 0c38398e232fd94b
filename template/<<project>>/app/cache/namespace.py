"""Keys that are forgotten together, by a version that is part of their names."""

from __future__ import annotations

from functools import partial
from os import urandom

from redis.exceptions import RedisError

from app.cache.entry import is_due
from app.cache.entry import is_entry
from app.cache.entry import value_of
from app.cache.fill import Fill
from app.cache.fill import Load
from app.cache.invalidation import Invalidation
from app.cache.reads import BYPASS
from app.cache.reads import ERROR
from app.cache.reads import HIT
from app.cache.reads import MISS
from app.cache.reads import REFRESH
from app.redis import RedisClient
from app.unit_of_work import again_when_committed

FIND_TRIES = 3


class Namespace:
    """Every read asks for the version together with the value, still in one command. So after
    `invalidate` no process finds an older value, and nobody has to be told.

    A version is random, not a number: if Redis loses it, older values can never come back.
    Those stay in Redis, out of reach, until their TTL ends.
    """

    def __init__(
        self,
        name: str,
        redis: RedisClient,
        fill: Fill,
        invalidation: Invalidation,
        early: float,
    ) -> None:
        self._name = name  # the key that holds the version
        self._version = _new_version()
        self._redis = redis
        self._fill = fill
        self._invalidation = invalidation
        self._early = early

    async def get(self, key: str, load: Load, ttl_s: float | None = None) -> bytes | None:
        """As `Cache.get`."""
        if not self._invalidation.trusted:
            BYPASS.inc()
            return await self._fill.load(self._of(key), load, ttl_s, store=False)
        try:
            name, data = await self._find(key)
        except RedisError:
            ERROR.inc()
            return await self._fill.load(self._of(key), load, ttl_s, store=False)
        if data is None or not is_entry(data):
            MISS.inc()
            return await self._fill.load(name, load, ttl_s, store=True)
        if is_due(data, self._early):
            REFRESH.inc()
            self._fill.refresh(name, load, ttl_s, data)
        else:
            HIT.inc()
        return value_of(data)

    async def delete(self, *keys: str) -> None:
        """As `Cache.delete`; with Redis away the whole namespace is forgotten."""
        if not keys:
            return
        again_when_committed(partial(self.delete, *keys))
        try:
            current = await self._redis.execute("GET", self._name)
        except RedisError:
            return await self.invalidate()
        if current is not None:
            self._version = current.decode()
        # without a version there is nothing to find, but perhaps something under way
        names = [self._of(key) for key in keys]
        self._fill.forget(names)
        await self._invalidation.delete(names)

    async def invalidate(self) -> None:
        """Forget every key of the namespace: the next reader begins a new version."""
        again_when_committed(self.invalidate)
        self._version = _new_version()
        await self._invalidation.delete([self._name])

    async def _find(self, key: str) -> tuple[str, bytes | None]:
        """The key's name in the current version, and what stands there."""
        for _ in range(FIND_TRIES):
            version, name = self._version, self._of(key)
            current, data = await self._redis.execute("MGET", self._name, name)
            if current is not None and current.decode() == version:
                return name, data
            await self._learn(current)
        # invalidated again and again: load, under a version that may be past
        return self._of(key), None

    async def _learn(self, current: bytes | None) -> None:
        if current is None:
            # the first to begin a version wins
            await self._redis.execute("SET", self._name, _new_version(), "NX")
            current = await self._redis.execute("GET", self._name)
        if current is not None:
            self._version = current.decode()

    def _of(self, key: str) -> str:
        return f"{self._name}:{self._version}:{key}"


def _new_version() -> str:
    return urandom(8).hex()
