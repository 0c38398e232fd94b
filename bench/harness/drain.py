"""SIGTERM under load: what becomes of the requests."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from bench.harness.servers import Request
    from bench.harness.servers import Server

SHOWN = (
    "before_ok",
    "before_lost",
    "before_bad_status",
    "after_ok",
    "after_lost",
    "after_truncated",
    "after_bad_status",
    "after_told_to_close",
    "after_refused",
)


async def drain(
    server: Server, connections: int, cursors: list[str], limit_s: float, lag: float
) -> dict[str, Any]:
    """SIGTERM under load from clients that keep their connections, as a balancer would.

    lag seconds after the signal the balancer has noticed: connections that end from then on are not
    opened again, those still open are used on.
    lost: connected and asked, and the connection ended without a byte of answer.
    truncated: it ended in mid-answer. refused: no connection within the lag.
    """
    assert server.process
    requests = [server.page(c) for c in cursors] + [server.user(i) for i in range(1, 51)]
    clients = Clients(server.port, [as_sent(request) for request in requests], lag)
    tasks = [asyncio.create_task(clients.one()) for _ in range(connections)]
    await asyncio.sleep(1.0)
    clients.termed_at = started = time.monotonic()
    server.process.popen.send_signal(signal.SIGTERM)
    while server.process.alive() and time.monotonic() - started < limit_s:
        await asyncio.sleep(0.01)
    took = time.monotonic() - started
    exited = not server.process.alive()
    clients.stop = True
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "drain_s": round(took, 3),
        "exit": server.process.popen.returncode if exited else None,
        **{what: clients.counts[what] for what in SHOWN},
    }


def as_sent(request: Request) -> bytes:
    """A request without a body as bytes."""
    method, path, headers, _ = request
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode()


class Clients:
    """Clients that ask one thing after another, and what they count before and after SIGTERM."""

    def __init__(self, port: int, requests: list[bytes], lag: float) -> None:
        self.counts: Counter[str] = Counter()
        self.termed_at: float | None = None
        self.stop = False
        self._port = port
        self._requests = requests
        self._lag = lag
        self._rng = random.Random(3)

    async def one(self) -> None:
        """A client, to the end of the measurement or until the balancer has noticed."""
        while not self.stop and not self._elsewhere():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self._note("refused")
                await asyncio.sleep(0.05)
                continue
            try:
                while not self.stop and not reader.at_eof():
                    if not await self._ask(reader, writer):
                        break
            finally:
                writer.close()

    def _elsewhere(self) -> bool:
        return self.termed_at is not None and time.monotonic() - self.termed_at > self._lag

    def _note(self, what: str) -> None:
        self.counts[("before_" if self.termed_at is None else "after_") + what] += 1

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection can be used again."""
        begun = False
        try:
            writer.write(self._rng.choice(self._requests))
            status = await reader.readline()
            begun = bool(status)
            if not begun:
                self._note("lost")
                return False
            close = await _rest(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self._note("truncated" if begun else "lost")
            return False
        self._note("ok" if status.split()[1][:1] == b"2" else "bad_status")
        if close:
            self._note("told_to_close")
        return not close


async def _rest(reader: asyncio.StreamReader) -> bool:
    """Read the head's other lines and the body; whether the connection is to be closed."""
    length, chunked, close = 0, False, False
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").lower().partition(":")
        value = value.strip()
        if name == "content-length":
            length = int(value)
        elif name == "transfer-encoding":
            chunked = value == "chunked"
        elif name == "connection":
            close = value == "close"
    if not chunked:
        await reader.readexactly(length)
        return close
    while size := int(await reader.readline() or b"x", 16):
        await reader.readexactly(size + 2)
    await reader.readline()
    return close
