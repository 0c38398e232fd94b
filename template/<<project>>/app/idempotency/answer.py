"""An answer that is kept before it is sent."""

from __future__ import annotations

from typing import Self

import msgspec
from asyncpg import Record
from starlette.types import Message
from starlette.types import Send

REPLAYED = (b"idempotent-replayed", b"true")
# Never stored: who sends the request again may not be the one it was meant for.
_PRIVATE = frozenset({b"set-cookie"})


class Answer:
    """What the application sent, called as its `send`; `status` is 0 while there is nothing."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    @classmethod
    def of(cls, row: Record) -> Self:
        """The answer as it was stored, marked as such."""
        answer = cls()
        answer.status, answer.body = row["status"], row["body"]
        stored = msgspec.json.decode(row["headers"], type=list[tuple[str, str]])
        answer.headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in stored]
        answer.headers.append(REPLAYED)
        return answer

    async def __call__(self, message: Message) -> None:
        """Keep a message."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")

    @property
    def succeeded(self) -> bool:
        """Whether the request was done: what is not, or only with an error, may be tried again."""
        return 200 <= self.status < 400

    @property
    def stored_headers(self) -> str:
        """The headers as they are stored."""
        kept = [header for header in self.headers if header[0] not in _PRIVATE]
        return msgspec.json.encode(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in kept]
        ).decode()

    async def send(self, send: Send) -> None:
        """Send it."""
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})
