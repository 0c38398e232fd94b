"""Auto-pipelining Redis: commands of concurrent requests leave together in one write."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
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
from redis.exceptions import NoPermissionError
from redis.exceptions import NoScriptError
from redis.exceptions import ReadOnlyError
from redis.maint_notifications import MaintNotificationsConfig

from app.redis.outage import Outage
from app.redis.outage import RedisUnavailable
from app.redis.outage import said
from app.redis.settings import RedisSettings
from app.redis.wire import Command
from app.redis.wire import Reply
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
        # no timeout for each reply: a batch has one for the whole
        pool: ConnectionPool = ConnectionPool.from_url(url, socket_timeout=None, **options)
        self._kind, self._options = pool.connection_class, pool.connection_kwargs
        self._connection = self._kind(**self._options)
        self._wire: Wire | None = None
        self._opening: asyncio.Task[None] | None = None
        self._outage = Outage(self._probe)
        self.watcher: Watcher | None = None
        self._timeout_s, self._in_flight = settings.timeout_s, settings.in_flight
        self._waiting: list[Command] = []
        self._scheduled = False

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
        while self._waiting or self._under_way():  # noqa: ASYNC110 (once, at the end)
            await asyncio.sleep(0.005)
        await self._outage.close("The service is stopping.")
        await self.client.aclose()
        await self._connection.disconnect(nowait=True)

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
        if not self._scheduled:
            under_way = self._under_way()
            if under_way < self._in_flight:
                self._scheduled = True
                loop.call_soon(self._flush_after, TURNS if under_way else 0)
        return reply

    def script(self, source: str) -> Script:
        """A Lua script to be called often."""
        return Script(self, source)

    def connection(self) -> AbstractConnection:
        """A connection of the caller's own, not opened yet, in the plain protocol (RESP2).

        For who holds one for long and reads from it what Redis sends by itself.
        """
        return self._kind(**self._options | {"protocol": 2})

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
        if self._wire is None or self._wire.closed:
            if self._waiting and self._opening is None:
                # the connection outlives the request that needs it first
                opening = self._open_for_waiting()
                self._opening = get_running_loop().create_task(opening, context=Context())
            return
        while self._waiting and self._wire.batches < self._in_flight:
            self._send(self._wire, get_running_loop().time() + self._timeout_s)

    def _send(self, wire: Wire, deadline: float) -> None:
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        COMMANDS.inc(len(batch))
        BATCHES.inc()
        wire.send(batch, deadline)

    def _answered(self) -> None:
        if self._waiting and not self._scheduled:
            # in the next turn, so that those who were just answered can join
            self._scheduled = True
            get_running_loop().call_soon(self._flush)

    async def _open_for_waiting(self) -> None:
        deadline = get_running_loop().time() + self._timeout_s
        try:
            self._wire = await self._open(deadline)
        except Exception as error:
            self._lost(error, [])
        else:
            if self._waiting:
                self._send(self._wire, deadline)
            self._flush()
        finally:
            self._opening = None

    async def _open(self, deadline: float) -> Wire:
        """A connection in place of the last one."""
        if self._wire:
            self._wire.close(RedisConnectionError("Another connection is opened."))
        async with asyncio.timeout_at(deadline):
            await self._connection.disconnect(nowait=True)
            await self._connection.connect()  # type: ignore[no-untyped-call]
        wire = Wire(self._connection, self._refused, self._answered, self._lost)
        if wire.closed:
            raise RedisConnectionError("Redis has closed the connection.")
        return wire

    def _under_way(self) -> int:
        return self._wire.batches if self._wire else 0

    def _refused(self, reply: Reply, error: Exception) -> None:
        if isinstance(error, ReadOnlyError):
            # the primary has become a replica: find the new one
            self._lost(error, [])
        if not reply.done():
            reply.set_exception(error)

    def _lost(self, error: BaseException, awaited: list[Reply]) -> None:
        self._outage.begin(error)
        waiting, self._waiting = self._waiting, []
        _fail([*awaited, *(reply for _, reply in waiting)], error)

    async def _probe(self) -> None:
        deadline = get_running_loop().time() + self._timeout_s
        # a new one: after a failover the name stands for another server
        wire = await self._open(deadline)
        reply = get_running_loop().create_future()
        wire.send([(PING, reply)], deadline)
        with suppress(NoPermissionError):  # that is an answer
            await reply
        self._wire = wire


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


def _fail(replies: list[Reply], cause: BaseException) -> None:
    for future in replies:
        if not future.done():
            error = RedisUnavailable(f"Redis did not answer ({said(cause)})")
            error.__cause__ = cause
            future.set_exception(error)
