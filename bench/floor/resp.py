"""A hand-made Redis client: one connection, every caller pipelined, hiredis parsing.

All commands issued in one turn of the event loop leave in one write. Without timeouts, reconnecting, TLS
or authentication: it shows what is possible, and is nothing to run.
"""

import asyncio
from collections import deque

import hiredis


class Resp(asyncio.Protocol):
    def __init__(self) -> None:
        self.reader = hiredis.Reader()
        self.waiting: deque[asyncio.Future] = deque()
        self.out: list[bytes] = []
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        reply = self.reader.gets()
        while reply is not False:
            future = self.waiting.popleft()
            if not future.done():
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
            reply = self.reader.gets()

    def connection_lost(self, exc) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(exc or ConnectionError("redis connection closed"))
        self.waiting.clear()

    def flush(self) -> None:
        out, self.out = self.out, []
        self.transport.write(b"".join(out))

    def call(self, *args: bytes) -> asyncio.Future:
        if not self.out:
            self.loop.call_soon(self.flush)
        self.out.append(hiredis.pack_command(args))
        future = self.loop.create_future()
        self.waiting.append(future)
        return future

    def close(self) -> None:
        if self.transport:
            self.transport.close()


async def connect(host: str, port: int) -> Resp:
    _, protocol = await asyncio.get_running_loop().create_connection(Resp, host, port)
    return protocol
