"""An upstream that misbehaves as it is told, and keeps count of what reaches it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
PART = b"x" * 65_536
BOMB = gzip.compress(b"\0" * 100_000_000, 9)


@dataclass
class Received:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class Flaky:
    """Answers each request by the next of `script`, and when that has ended by `then`.

    Bytes are sent as they are; the words are: hang, drip (a byte every 50 ms), reset, close (no
    answer), half (of an answer), endless (a body without end), bomb (gzip), deaf (reads no body).
    """

    port: int = 0
    then: bytes | str = OK
    script: list[bytes | str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    delay_s: float = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def arrived(self, number: int) -> None:
        """Returns when so many requests have come."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.received) >= number)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
        self.received.append(Received(method, target, headers))
        async with self._more:
            self._more.notify_all()
        act = self.script.pop(0) if self.script else self.then
        if act != "deaf":
            await reader.readexactly(int(headers.get("content-length", 0)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay_s)
            return await self._act(act, writer)
        finally:
            self.at_once -= 1

    async def _act(self, act: bytes | str, writer: asyncio.StreamWriter) -> bool:
        if isinstance(act, bytes):
            writer.write(act)
            await writer.drain()
            return True
        await getattr(self, f"_{act}")(writer)
        return False

    async def _hang(self, _: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    _deaf = _hang

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def _reset(self, writer: asyncio.StreamWriter) -> None:
        one = writer.get_extra_info("socket")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _close(self, _: asyncio.StreamWriter) -> None:
        pass

    async def _half(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    async def _endless(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(PART)
            await writer.drain()

    async def _bomb(self, writer: asyncio.StreamWriter) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        writer.write((head % len(BOMB)).encode() + BOMB)
        await writer.drain()


@asynccontextmanager
async def flaky() -> AsyncIterator[Flaky]:
    """One that listens; what it was about to do is given up at the end."""
    upstream, serving = Flaky(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        await upstream.serve(reader, writer)
        serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
