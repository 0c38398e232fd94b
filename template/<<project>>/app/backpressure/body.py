"""The body of a request: it comes before the place, as its client may send it slowly."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import Message
from starlette.types import Receive

from app.backpressure.visit import Visit

# So much of a body is waited for. The server keeps as much of a connection that nobody reads.
AHEAD = 65_536


async def begin(receive: Receive) -> Message:
    """The body as one message, or the first AHEAD bytes of it.

    HTTPException where it does not come: of the edge, which bounds it, or 400 if the client leaves.
    """
    body, more = bytearray(), True  # no list: parts of 2 bytes would take 30 times their size
    while more and len(body) < AHEAD:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "The body ended early.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return {"type": "http.request", "body": bytes(body), "more_body": more}


class Body:
    """A `receive` that has its first message already.

    Whoever waits for the rest waits for the client: there is no deadline meanwhile, as the edge has
    one, and what the service takes for it is counted from the end of the body.
    """

    def __init__(self, first: Message, receive: Receive, visit: Visit) -> None:
        self._first: Message | None = first
        self._whole = not first["more_body"]
        self._receive = receive
        self._visit = visit

    async def __call__(self) -> Message:
        """The next message."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._whole:
            return await self._receive()
        self._visit.lift_deadline()
        try:
            message = await self._receive()
        finally:
            self._visit.restart()
        self._whole = not message.get("more_body")
        return message
