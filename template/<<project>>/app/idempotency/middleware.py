"""The middleware: what a request with a key does, and what it is answered, is one transaction.

The header is that of draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.database import Database
from app.http.errors import Unavailable
from app.http.errors import send_problem
from app.http.errors import send_refusal
from app.http.errors import send_unavailable
from app.idempotency.answer import Answer
from app.idempotency.keys import IdempotencyKeys
from app.idempotency.keys import InProgress
from app.idempotency.keys import OtherRequest
from app.idempotency.request import HEADER
from app.idempotency.request import SYNTAX
from app.idempotency.request import Asked
from app.idempotency.request import parse_key

METHODS = frozenset({"POST", "PATCH"})
MISSING = "This needs an Idempotency-Key."
BUSY = "A request with this Idempotency-Key is being worked on."
TAKEN = "This Idempotency-Key belongs to another request."
UNUSED = "This takes no Idempotency-Key: sent again, it would be done again."

REQUESTS = Counter("idempotency_requests", "Requests with an idempotency key", ["result"])
FIRST, UNDONE, REPLAYED, IN_PROGRESS, OTHER = (
    REQUESTS.labels(result)
    for result in ("first", "undone", "replayed", "in_progress", "other_request")
)


class _Undone(Exception):
    """The application did not succeed, so that nothing of what it did is kept."""


class Idempotency:
    """ASGI middleware, innermost: it stores answers as the application gives them.

    Only POST and PATCH to covered routes, by somebody who is known, take keys; to others a key is
    refused, as nobody would keep to it. The application does not see the key: it is dealt with.
    """

    def __init__(
        self, app: ASGIApp, database: Database, keys: IdempotencyKeys, *, required: bool
    ) -> None:
        self._app = app
        self._database = database
        self._keys = keys
        self._required = required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in METHODS:
            return await self._app(scope, receive, send)
        given = [value for name, value in scope["headers"] if name == HEADER]
        principal = scope.get("principal")
        if not (given or self._required) or principal is None:
            return await self._app(scope, receive, send)
        if not self._keys.covers(scope["path"]):
            if given:
                return await send_problem(send, 400, UNUSED)
            return await self._app(scope, receive, send)
        key = parse_key(given)
        if key is None:
            return await send_problem(send, 400, SYNTAX if given else MISSING)
        try:
            body = await _whole(receive)
        except HTTPException as error:
            return await send_refusal(send, error)
        if body is not None:
            asked = Asked.by(principal.id, key, scope, body)
            scope["headers"] = [header for header in scope["headers"] if header[0] != HEADER]
            await self._answer(asked, scope, _again(body, receive), send)

    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer()
        try:
            answer = await self._once(asked, answer, scope, receive)
        except InProgress:
            IN_PROGRESS.inc()
            return await send_problem(send, 409, BUSY, [(b"retry-after", b"1")])
        except OtherRequest:
            OTHER.inc()
            return await send_problem(send, 422, TAKEN)
        except Unavailable as error:  # nobody knows whether it is done, until it is asked again
            return await send_unavailable(send, error)
        except _Undone:
            UNDONE.inc()
        except Exception:
            if answer.status >= 500:  # the application's own answer to it; raised to be logged
                await answer.send(send)
            raise  # any other answer tells of what is undone
        await answer.send(send)

    async def _once(self, asked: Asked, answer: Answer, scope: Scope, receive: Receive) -> Answer:
        """The answer, when what was done is committed. Raises _Undone, or what hindered it."""
        async with self._database.transaction() as transaction:
            stored = await self._keys.claim(asked)
            if stored:
                REPLAYED.inc()
                return stored
            await self._app(scope, receive, answer)
            if not answer.succeeded:
                raise _Undone
            await self._keys.store(asked, answer)
            transaction.after_commit(FIRST.inc)
            transaction.after_commit(self._keys.prune)
        return answer


async def _whole(receive: Receive) -> bytes | None:
    """The body of a request; None when its client has gone. It is bounded further out."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` for an application that has yet to read the body."""
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
