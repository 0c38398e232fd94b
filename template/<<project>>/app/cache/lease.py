"""Who may write a key. Each step is one atomic script.

Leases as in Nishtala et al.: Scaling Memcache at Facebook, NSDI 2013. Deleting a key ends the
lease on it too, so a load that began before an invalidation cannot store what it found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import uniform
from time import time

from redis.exceptions import RedisError

from app.cache.entry import STAMP
from app.cache.entry import entry
from app.cache.entry import lease
from app.cache.entry import new_stamp
from app.cache.settings import CacheSettings
from app.redis import RedisClient

# What stands at the key, or the lease now taken.
_TAKE = """
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_STORE = """
if redis.call('GETRANGE', KEYS[1], 1, 8) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_KEEP = """
if redis.call('GETRANGE', KEYS[1], 1, 8) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# Not after somebody else has refreshed it already.
_TAKE_REFRESH = """
if redis.call('GETRANGE', KEYS[1], 1, 8) ~= ARGV[1] then return false end
return redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[2])
"""
_GIVE_BACK = """
if redis.call('GETRANGE', KEYS[1], 1, 8) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class Leases:
    """Take, keep, use or give back the right to write a key. Raises RedisError."""

    def __init__(self, redis: RedisClient, settings: CacheSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._lease_ms = _milliseconds(settings.lease_s)
        self._take = redis.script(_TAKE)
        self._store = redis.script(_STORE)
        self._keep = redis.script(_KEEP)
        self._take_refresh = redis.script(_TAKE_REFRESH)
        self._give_back = redis.script(_GIVE_BACK)

    async def take(self, name: str) -> tuple[bytes | None, bytes]:
        """(None, stamp) when the key is ours to fill with that stamp, else (what stands there, _).

        What stands there in a format that is not ours may be replaced: then its stamp is given.
        """
        mine = lease(new_stamp())
        held: bytes = await self._take([name], mine, self._lease_ms)
        return (None if held == mine else held), held[STAMP]

    async def take_many(self, names: Iterable[str]) -> dict[str, tuple[bytes | None, bytes]]:
        """`take` for each of these at once; without those where it failed."""
        names = [*names]
        taken = await asyncio.gather(*map(self.take, names), return_exceptions=True)
        for result in taken:
            if isinstance(result, BaseException) and not isinstance(result, RedisError):
                raise result
        pairs = zip(names, taken, strict=True)
        return {name: result for name, result in pairs if not isinstance(result, BaseException)}

    async def store(
        self, name: str, stamp: bytes, value: bytes | None, ttl_s: float | None, took_s: float
    ) -> bool:
        """Write the value if the key still holds what bears the stamp; whether it did.

        It lives for the TTL or, by the jitter, a little less, so that what was stored at once
        does not expire at once.
        """
        settings = self._settings
        longest = settings.ttl_s if ttl_s is None else ttl_s
        if value is None:
            longest = min(longest, settings.negative_ttl_s)
        lives_s = longest * uniform(1 - settings.jitter, 1)  # noqa: S311
        data = entry(value, time() + lives_s, took_s)
        return bool(await self._store([name], stamp, data, _milliseconds(lives_s)))

    async def keep(self, name: str, stamp: bytes) -> None:
        """Have the whole time of the lease again."""
        await self._keep([name], stamp, self._lease_ms)

    async def give_back(self, name: str, stamp: bytes) -> None:
        """Let the next one load."""
        await self._give_back([name], stamp)

    async def take_refresh(self, name: str, stamp: bytes) -> bool:
        """Whether it is for us to refresh this entry; everybody goes on serving it."""
        return bool(await self._take_refresh([name, _mark(name)], stamp, self._lease_ms))

    async def keep_refresh(self, name: str) -> None:
        """Have the whole time again."""
        await self._redis.execute("PEXPIRE", _mark(name), self._lease_ms)

    async def end_refresh(self, name: str) -> None:
        """The entry may be refreshed again."""
        await self._redis.execute("UNLINK", _mark(name))


def _mark(name: str) -> str:
    return f"{name}!refresh"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
