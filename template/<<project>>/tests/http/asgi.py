"""One request to an ASGI application, with its headers exactly as they are given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Scope

type Headers = Iterable[tuple[bytes, bytes]]


@dataclass
class Answer:
    """What the application sent; `scope` is what it was called with."""

    scope: Scope
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """The values of a header, in order."""
        return [value.decode() for key, value in self.headers if key == name.encode()]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    headers: Headers = (),
    body: Iterable[bytes] = (b"",),
) -> Answer:
    """Send one request, its body in these parts; exceptions of the application come through.

    path: as it is decoded, with a query if there is one
    """
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": list(headers),
        "client": ("192.0.2.1", 5000),
        "server": ("192.0.2.2", 8000),
        "state": {},
    }
    parts = list(body)
    sent: list[Message] = []

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    assert start["type"] == "http.response.start"
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(scope, start["status"], list(start["headers"]), text)
