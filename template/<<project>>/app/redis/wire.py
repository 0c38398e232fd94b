"""One batch of commands to Redis and back over one of redis-py's connections."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import ResponseError
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

    async def exchange(self, commands: list[bytes]) -> list[Any]:
        """The replies in order; a command that was refused has its ResponseError as the reply.

        Raises one of AWAY; the connection is closed then, so that no late reply is taken for
        another command's.
        """
        async with asyncio.timeout(self._timeout_s):
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            try:
                await connection.send_packed_command(b"".join(commands), check_health=False)
                return await self._read(connection.read_response, len(commands))
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            finally:
                await self._pool.release(connection)

    async def _read(self, read: Any, count: int) -> list[Any]:
        replies: list[Any] = []
        while len(replies) < count:
            try:
                # a loop within the try: entering it once per reply is measurable
                while len(replies) < count:
                    replies.append(await read())
            except ResponseError as refusal:
                replies.append(refusal)
        return replies

    async def disconnect_idle(self) -> None:
        """Close the connections nobody uses, so that the next ones resolve the name again."""
        await self._pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
