"""Auto-pipelining Redis: commands of concurrent requests leave together in one write."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable
from collections.abc import Sequence
from hashlib import sha1
from types import TracebackType
from typing import Any
from typing import Self

from hiredis import pack_command
from prometheus_client import Counter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import ConnectionPool
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import ReadOnlyError
from redis.maint_notifications import MaintNotificationsConfig

from app.redis.outage import Outage
from app.redis.outage import RedisUnavailable
from app.redis.outage import said
from app.redis.settings import RedisSettings
from app.redis.wire import AWAY
from app.redis.wire import Wire

COMMANDS = Counter("redis_commands", "Commands sent to Redis")
BATCHES = Counter("redis_batches", "Pipelines the commands were sent in")

MAX_BATCH = 256
# While batches are under way the next one waits for so many turns of the event loop: a busy one
# collects more commands meanwhile, in an idle one they pass at once.
TURNS = 4
PING = pack_command(("PING",))

type Argument = str | bytes | int | float
# Told of every command that a request asks for, and of the reply to come.
type Watcher = Callable[[Sequence[Argument], asyncio.Future[Any]], None]
type _Command = tuple[bytes, asyncio.Future[Any]]


class RedisClient:
    """The service's Redis.

    `execute` is for the commands of requests: those that are asked for in one turn of the event
    loop, in TURNS while pipelines are under way, or while `in_flight` of them are, go out together.
    `client` is redis-py's, with connections of its own, for everything else: transactions, blocking
    commands, pub/sub.

    watcher: told of every command of `execute`, in the task that asked, if there is one
    """

    def __init__(self, settings: RedisSettings) -> None:
        url = settings.url.get_secret_value()
        options: dict[str, Any] = {
            "socket_connect_timeout": settings.timeout_s,
            # a timeout is not tried again: it has cost the caller enough
            "retry": Retry(ExponentialWithJitterBackoff(0.1, 0.01), 1, (RedisConnectionError,)),
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        self.client = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=settings.max_connections,
                timeout=settings.timeout_s,
                socket_timeout=settings.timeout_s,
                **options,
            )
        )
        # no timeout for each reply: a pipeline has one for the whole
        pool: ConnectionPool = ConnectionPool.from_url(url, socket_timeout=None, **options)
        self._wire = Wire(pool, settings.timeout_s)
        self._kind, self._options = pool.connection_class, pool.connection_kwargs | {"protocol": 2}
        self._outage = Outage(self._probe)
        self.watcher: Watcher | None = None
        self._in_flight = settings.in_flight
        self._waiting: list[_Command] = []
        self._scheduled = False
        self._sending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Nothing is opened: the service starts, and works, without Redis."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what is under way, then close."""
        while self._waiting or self._sending:
            self._flush()
            await asyncio.wait(self._sending)
        await self._outage.close("The service is stopping.")
        await self.client.aclose()
        await self._wire.aclose()

    @property
    def available(self) -> bool:
        """Whether commands are sent at all; they fail at once while Redis is away."""
        return self._outage.reason is None

    async def until_available(self) -> None:
        """Returns when Redis is there, at once if it is."""
        await self._outage.over()

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """The reply to a command, as Redis sends it: bytes, int, list, None.

        Raises ResponseError when Redis refuses the command, and RedisUnavailable, at once during
        an outage, when it is away. A caller that is cancelled disturbs nobody; its command is
        sent all the same. Order is kept between commands that are awaited one after another.
        TypeError when an argument is none of str, bytes, int, float.
        """
        packed = pack_command(command)  # type: ignore[arg-type]
        loop = get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        if self.watcher:
            self.watcher(command, reply)
        if self._outage.reason is not None:
            reply.set_exception(RedisUnavailable(self._outage.reason))
            return reply
        self._waiting.append((packed, reply))
        if not self._scheduled and len(self._sending) < self._in_flight:
            self._scheduled = True
            loop.call_soon(self._flush_after, TURNS if self._sending else 0)
        return reply

    def script(self, source: str) -> Script:
        """A Lua script to be called often."""
        return Script(self, source)

    def connection(self) -> AbstractConnection:
        """A connection of the caller's own, not opened yet, in the plain protocol (RESP2).

        For who holds one for long and reads from it what Redis sends by itself.
        """
        return self._kind(**self._options)

    async def ping(self) -> None:
        """Raises when Redis does not answer."""
        await self.execute("PING")

    def _flush_after(self, turns: int) -> None:
        if turns:
            get_running_loop().call_soon(self._flush_after, turns - 1)
        else:
            self._flush()

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._sending) < self._in_flight:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            task = get_running_loop().create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._waiting and not self._scheduled:
            # in the next turn, so that those who were just answered can join
            self._scheduled = True
            get_running_loop().call_soon(self._flush)

    async def _send(self, batch: list[_Command]) -> None:
        COMMANDS.inc(len(batch))
        BATCHES.inc()
        try:
            replies = await self._wire.exchange([packed for packed, _ in batch])
        except AWAY as error:
            self._lost(error)
            _fail(batch, error)
        except BaseException as error:
            _fail(batch, error)
            raise
        else:
            for (_, future), reply in zip(batch, replies, strict=True):
                if isinstance(reply, Exception):
                    self._refused(future, reply)
                elif not future.done():
                    future.set_result(reply)

    def _refused(self, future: asyncio.Future[Any], error: Exception) -> None:
        if isinstance(error, ReadOnlyError):
            # the primary has become a replica: find the new one
            self._lost(error)
        if not future.done():
            future.set_exception(error)

    def _lost(self, error: BaseException) -> None:
        self._outage.begin(error)
        waiting, self._waiting = self._waiting, []
        _fail(waiting, error)

    async def _probe(self) -> None:
        await self._wire.disconnect_idle()
        (reply,) = await self._wire.exchange([PING])
        if isinstance(reply, Exception):
            raise reply


class Script:
    """A Lua script called by its digest, and sent whole when Redis does not know it (any more)."""

    def __init__(self, redis: RedisClient, source: str) -> None:
        self._redis = redis
        self._source = source
        self._digest = sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[Argument], *args: Argument) -> Any:
        """What the script returns for these KEYS and ARGV."""
        try:
            return await self._redis.execute("EVALSHA", self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return await self._redis.execute("EVAL", self._source, len(keys), *keys, *args)


def _fail(batch: list[_Command], cause: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            error = RedisUnavailable(f"Redis did not answer ({said(cause)})")
            error.__cause__ = cause
            future.set_exception(error)
