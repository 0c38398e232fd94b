"""One batch of commands to Redis and back over one of redis-py's connections."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

# What means that Redis is away, rather than that it refused a command.
AWAY = (RedisConnectionError, RedisTimeoutError, InvalidResponse, TimeoutError, OSError)


class Wire:
    """Writes packed commands at once and reads their replies.

    redis-py does what is hard (TLS, users, protocol, reconnecting); its own Pipeline is not used
    because it costs twice as much a command (README). A batch is sent at most once: when the
    connection breaks nobody knows what Redis has done, so nothing is sent again.
    """

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        # not given back to the pool, since that and taking it again cost as much as five commands
        self._idle: list[AbstractConnection] = []

    async def exchange(self, commands: list[bytes]) -> list[Any]:
        """The replies in order; a command that was refused has its ResponseError as the reply.

        Raises one of AWAY; the connection is closed then, so that no late reply is taken for
        another command's.
        """
        async with asyncio.timeout(self._timeout_s):
            connection = await self._take()
            try:
                await connection.send_packed_command(b"".join(commands), check_health=False)
                # the connection's own read_response doubles what a reply costs
                parser: Any = connection._parser
                replies = [await parser.read_response() for _ in commands]
            except BaseException:
                await self._drop(connection)
                raise
        self._idle.append(connection)
        return replies

    async def _take(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            # what can be read is that Redis has closed it
            if connection.is_connected and not await connection.can_read():
                return connection
            await self._drop(connection)
        return await self._pool.get_connection()  # type: ignore[no-untyped-call, no-any-return]

    async def _drop(self, connection: AbstractConnection) -> None:
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self._pool.release(connection)

    async def disconnect_idle(self) -> None:
        """Close the connections nobody uses, so that the next ones resolve the name again."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._drop(connection)
        await self._pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
