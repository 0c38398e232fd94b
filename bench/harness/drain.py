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
    from bench.harness.servers import Server


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
    counts: Counter[str] = Counter()
    state: dict[str, Any] = {"termed": False, "stop": False, "at": 0.0}
    rng = random.Random(3)
    requests = [server.page(c) for c in cursors] + [server.user(i) for i in range(1, 51)]
    wire = []
    for method, path, headers, _ in requests:
        head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        wire.append(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())

    def note(what: str) -> None:
        counts[("after_" if state["termed"] else "before_") + what] += 1

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection can be used again."""
        got = False
        try:
            writer.write(rng.choice(wire))
            status_line = await reader.readline()
            if not status_line:
                note("lost")
                return False
            got = True
            length, chunked, close = 0, False, False
            while (line := await reader.readline()) not in (b"\r\n", b""):
                key, _, value = line.decode("latin-1").partition(":")
                key, value = key.lower(), value.strip().lower()
                if key == "content-length":
                    length = int(value)
                elif key == "transfer-encoding":
                    chunked = value == "chunked"
                elif key == "connection":
                    close = value == "close"
            if chunked:
                while size := int(await reader.readline() or b"x", 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                await reader.readexactly(length)
            note("ok" if status_line.split()[1][:1] == b"2" else "bad_status")
            if close:
                note("told_to_close")
            return not close
        except (OSError, asyncio.IncompleteReadError, ValueError):
            note("truncated" if got else "lost")
            return False

    def elsewhere() -> bool:
        return bool(state["termed"]) and time.monotonic() - state["at"] > lag

    async def client() -> None:
        while not state["stop"] and not elsewhere():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            except OSError:
                note("refused")
                await asyncio.sleep(0.05)
                continue
            try:
                while not state["stop"] and not reader.at_eof():
                    if not await one(reader, writer):
                        break
            finally:
                writer.close()

    tasks = [asyncio.create_task(client()) for _ in range(connections)]
    await asyncio.sleep(1.0)
    state["termed"] = True
    state["at"] = started = time.monotonic()
    server.process.popen.send_signal(signal.SIGTERM)
    while server.process.alive() and time.monotonic() - started < limit_s:
        await asyncio.sleep(0.01)
    took = time.monotonic() - started
    exited = not server.process.alive()
    state["stop"] = True
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "drain_s": round(took, 3),
        "exit": server.process.popen.returncode if exited else None,
        **{
            key: counts[key]
            for key in (
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
        },
    }
