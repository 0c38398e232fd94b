"""A server on a real port, and what it sends to a client that writes bytes as it likes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.server import Server
from app.server import listening

LAST = b"GET /last HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without a look at the body."""
    await Response("hello")(scope, receive, send)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what the request is, when all of it is there."""
    request = Request(scope, receive)
    said = b"[%b %b %b]" % (request.method.encode(), scope["raw_path"], await request.body())
    await Response(said)(scope, receive, send)


def echoed(answer: bytes) -> list[bytes]:
    """The requests to which `echo` gave these answers."""
    return re.findall(rb"\[(.*?)\]", answer, re.DOTALL)


@asynccontextmanager
async def serving(app: ASGIApp, keep_alive_s: int = 60) -> AsyncIterator[tuple[Server, int]]:
    """The server of this application, and its port."""
    async with listening(app, "127.0.0.1", 0, keep_alive_s=keep_alive_s) as server:
        yield server, server.servers[0].sockets[0].getsockname()[1]


async def answer_to(port: int, *parts: bytes) -> bytes:
    """All that the server sends until it closes the connection, which it must do in 5 seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
