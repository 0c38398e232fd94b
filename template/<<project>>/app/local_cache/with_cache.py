"""The cache with copies in the process of what is asked for most; Redis says what to forget.

It names every key of the cache that changes or goes, for whatever reason: deletion, expiry,
eviction (CLIENT TRACKING, in broadcasting mode). So nobody has to announce anything, and a
deletion that had to wait until Redis was back is heard of as any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from functools import partial
from math import inf
from random import uniform
from time import monotonic
from types import TracebackType
from typing import Any
from typing import Self

from prometheus_client import Gauge

from app.cache import Cache
from app.cache import CacheSettings
from app.http.logs import log
from app.local_cache.local import Load
from app.local_cache.local import LocalCache
from app.local_cache.settings import LocalCacheSettings
from app.local_cache.store import Bounds
from app.pattern import Pattern
from app.pattern import Resource
from app.redis import RedisClient
from app.service import Service

TRACKING = Gauge("local_cache_tracking", "1 while Redis tells this process what to forget, else 0")

PING_S = 0.25
TRUST_S = 1.0  # from the sending of a PING that was answered: for so long copies are served
LOST_S = 2.0  # a connection whose PING is not answered for so long is given up
RETRY_S = 1.0


class NearCache(LocalCache[str, bytes | None]):
    """In front of what reads through `Cache`, under the same keys.

    Only what stands in Redis is kept, while Redis tells of changes: so it will tell of whatever
    becomes of that entry. Without this connection nothing is kept and nothing served from here.
    """

    def __init__(self, bounds: Bounds, cache: Cache, redis: RedisClient, prefix: str) -> None:
        super().__init__("near", bounds)
        self._cache = cache
        self._tracking = Tracking(redis, f"{prefix}:", self)

    async def __aenter__(self) -> Self:
        """Nothing is opened: the first read opens the connection, so who never reads has none."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection, stop what still loads."""
        await self._tracking.close()
        await self.close()

    def get(self, key: str, load: Load[bytes | None]) -> Coroutine[Any, Any, bytes | None]:
        """The value of a key, from here, from Redis, or from `load`, which reads by `Cache.get`."""
        if monotonic() < self._tracking.trusted_until:
            return super().get(key, partial(self._read, key, load))
        self._tracking.start()
        self._store.pass_by()
        return load()

    async def _read(self, key: str, load: Load[bytes | None]) -> bytes | None:
        stands, value = await self._cache.peek(key)
        if not stands:
            value = await load()
            # perhaps it is not in Redis even now, and nobody would tell that it has changed
            self.delete(key)
        return value


class Tracking:
    """Hears from Redis which keys with the prefix have changed, and forgets their copies."""

    def __init__(self, redis: RedisClient, prefix: str, local: NearCache) -> None:
        self.trusted_until = -inf  # on the clock of `monotonic`
        self._redis = redis
        self._prefix = prefix.encode()
        self._local = local
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, unless that was begun."""
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._keep_listening(), context=Context())

    async def close(self) -> None:
        """Listen no more."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep_listening(self) -> None:
        told = ""
        while True:
            await self._redis.until_available()
            try:
                await self._listen()
            except Exception as error:
                # whatever it is: the service works without copies
                why = f"{type(error).__name__}: {error}"
                if why != told:
                    told = why
                    log.warning("local_cache_not_tracking", error=why)
            await asyncio.sleep(RETRY_S * uniform(0.5, 1))  # noqa: S311

    async def _listen(self) -> None:
        """Until the connection breaks, or is as good as broken; then there are no copies."""
        connection = self._redis.connection()
        try:
            async with asyncio.timeout(LOST_S):
                await self._subscribe(connection)
            TRACKING.set(1)
            log.info("local_cache_tracking")
            await self._follow(connection)
        finally:
            self.trusted_until = -inf
            self._local.clear("disconnected")
            TRACKING.set(0)
            await connection.disconnect(nowait=True)

    async def _subscribe(self, connection: Any) -> None:
        """Have messages on this connection of every key with the prefix."""
        await connection.connect()
        send = partial(connection.send_command, check_health=False)
        await send("CLIENT", "ID")
        me = await connection.read_response()
        broadcast = ("BCAST", "PREFIX", self._prefix)
        await send("CLIENT", "TRACKING", "ON", "REDIRECT", me, *broadcast)
        await connection.read_response()
        await send("SUBSCRIBE", "__redis__:invalidate")
        await connection.read_response()

    async def _follow(self, connection: Any) -> None:
        """Messages and answers come in order: when a PING is answered, all that changed before it
        was sent is known. A silent network is noticed by that, not by an error."""
        pinged, answered = -inf, True
        while True:
            now = monotonic()
            if answered and now >= pinged + PING_S:
                pinged, answered = now, False
                await connection.send_command("PING", check_health=False)
            message = await connection.read_response(timeout=PING_S)
            if message is None:
                if monotonic() > pinged + LOST_S:
                    raise TimeoutError("Redis is silent.")
            elif message[0] == b"pong":
                answered = True
                self.trusted_until = pinged + TRUST_S
            else:
                self._forget(message[2])

    def _forget(self, names: list[bytes] | None) -> None:
        if names is None:  # everything is gone: FLUSHALL
            self._local.clear()
            return
        start = len(self._prefix)
        self._local.delete(*(name[start:].decode(errors="replace") for name in names))


def _resources(service: Service) -> list[Resource]:
    bounds = service.settings(LocalCacheSettings).bounds
    prefix = service.settings(CacheSettings).prefix
    return [NearCache(bounds, service.get(Cache), service.get(RedisClient), prefix)]


pattern = Pattern(name="local_cache_with_cache", resources=_resources)
