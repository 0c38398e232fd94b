"""One write for each answer.

uvicorn writes head and body apart, and uvloop sends each at once. Two system calls and two packets
cost more than everything else that the service does for a small answer, so what is written within
one turn of the event loop is sent together at its end.
"""

from __future__ import annotations

import asyncio
from typing import Any
from typing import cast

# A stream that never lets the event loop turn is sent in pieces of this many bytes, so that the
# transport can tell it to wait for a slow client.
MOST_WAITING = 65_536


class CorkedTransport:
    """A transport that collects what is written until the event loop's next turn."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with what else is written in this turn."""
        if not data:  # asyncio's writelines() would never be done with it
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MOST_WAITING:
            self._flush()

    def close(self) -> None:
        """Send what is left, then close."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is sent. Asked at each answer, so it does without `__getattr__`."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting and not self._transport.is_closing():  # the client may be gone by now
            self._transport.writelines(waiting)
