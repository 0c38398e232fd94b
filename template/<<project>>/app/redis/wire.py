"""One connection to Redis: each batch of commands is one write, replies come in the same order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from hiredis import PushNotification
from hiredis import Reader
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

# What means that Redis is away, rather than that it refused a command.
AWAY = (RedisConnectionError, RedisTimeoutError, InvalidResponse, TimeoutError, OSError)

_MORE = object()  # is needed for a whole reply
_SUBSCRIPTIONS = {
    prefix + kind + b"subscribe" for prefix in (b"", b"un") for kind in (b"", b"p", b"s")
}

type Reply = asyncio.Future[Any]
type Command = tuple[bytes, Reply]


class Wire(asyncio.Protocol):
    """A connection of redis-py's that is open.

    redis-py does what is hard: TLS, users, protocol. Its streams and a coroutine for each reply
    cost several times what is left, so from then on the transport is read and written here. A batch
    is sent at most once: when the connection breaks nobody knows what Redis has done.

    refused: called with an error that is a reply, and for whom it is
    answered: called when a batch has all its replies
    lost: called once, with the reason and those who wait for replies, if there are any
    """

    def __init__(
        self,
        connection: AbstractConnection,
        refused: Callable[[Reply, Exception], None],
        answered: Callable[[], None],
        lost: Callable[[BaseException, list[Reply]], None],
    ) -> None:
        opened: Any = connection
        self._reader = Reader(
            protocolError=InvalidResponse,
            replyError=opened._parser.parse_error,  # to the classes that redis-py has for them
            notEnoughData=_MORE,
        )
        self._refused, self._answered, self._lost = refused, answered, lost
        self._loop = asyncio.get_running_loop()
        # of each batch until when, and who waits for its replies, the last first
        self._batches: deque[tuple[float, list[Reply]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._transport = opened._writer.transport
        self._transport.set_protocol(self)
        self.closed = self._transport.is_closing()

    @property
    def batches(self) -> int:
        """How many are under way."""
        return len(self._batches)

    def send(self, commands: list[Command], deadline: float) -> None:
        """Send these at once; the connection is lost unless all replies are there by the deadline,
        a time of the event loop."""
        self._transport.write(b"".join([packed for packed, _ in commands]))
        self._batches.append((deadline, [reply for _, reply in reversed(commands)]))
        if self._timer is None:
            self._look_at(deadline)

    def close(self, reason: BaseException) -> None:
        """Close it at once; whoever waits is told this reason."""
        if self.closed:
            return
        self.closed = True
        self._transport.abort()
        if self._timer:
            self._timer.cancel()
        awaited = [reply for _, replies in self._batches for reply in replies]
        self._batches.clear()
        if awaited:
            self._lost(reason, awaited)

    def data_received(self, data: bytes) -> None:
        """Give each reply to who waits for it."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _MORE:
                self._take(reply)
        except Exception as error:
            self.close(error)

    def eof_received(self) -> None:
        """Redis sends nothing more; the transport takes another turn to tell that it is closed."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Redis has closed it, or nobody can reach it any more."""
        self.close(exc or RedisConnectionError("Redis has closed the connection."))

    def _take(self, reply: Any) -> None:
        if isinstance(reply, PushNotification):
            if reply and reply[0] in _SUBSCRIPTIONS:  # has no reply, so all others would be shifted
                raise InvalidResponse("A subscription needs a connection of its own.")
            return
        if isinstance(reply, RedisConnectionError):
            raise reply
        if not self._batches:
            raise InvalidResponse("Redis has sent what nobody asked for.")
        awaited = self._batches[0][1]
        waiting = awaited.pop()
        if isinstance(reply, Exception):
            self._refused(waiting, reply)
        elif not waiting.done():
            waiting.set_result(reply)
        if not awaited:
            self._batches.popleft()
            self._answered()

    def _look(self) -> None:
        """Whether the oldest batch is overdue. An event loop that stood still reads before this."""
        self._timer = None
        if self._batches:
            deadline = self._batches[0][0]
            if deadline <= self._loop.time():
                self.close(TimeoutError("Redis did not answer in time."))
            else:
                self._look_at(deadline)

    def _look_at(self, deadline: float) -> None:
        # in no request's context: it is about all of them
        self._timer = self._loop.call_at(deadline, self._look, context=Context())
