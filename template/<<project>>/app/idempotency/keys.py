"""Which routes take keys, and what requests with a key were answered."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from math import inf
from time import monotonic

from sqlalchemy import BigInteger
from sqlalchemy import Integer
from sqlalchemy import bindparam
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.dialects.postgresql import insert
from starlette.routing import compile_path

from app.database import Database
from app.database import Statement
from app.http.logs import log
from app.idempotency.answer import Answer
from app.idempotency.models import TABLE
from app.idempotency.request import Asked
from app.idempotency.settings import IdempotencySettings

PRUNE_EVERY_S = 60.0
BATCH = 1000  # rows deleted by one statement

LOCK = Statement(
    "idempotency_lock",
    select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)).label("ours")),
    read=False,
)
FIND = Statement(
    "idempotency_find",
    select(TABLE.c.fingerprint, TABLE.c.status, TABLE.c.headers, TABLE.c.body).where(
        TABLE.c.id == bindparam("id"), TABLE.c.expires_at > func.now()
    ),
)
_new = insert(TABLE).values(
    **{name: bindparam(name) for name in ("id", "fingerprint", "status", "headers", "body")},
    expires_at=func.now() + bindparam("ttl", type_=INTERVAL),
)
# The row that is there, if there is one, has expired: FIND has not found it, under the lock.
STORE = Statement(
    "idempotency_store",
    _new.on_conflict_do_update(
        index_elements=[TABLE.c.id],
        set_={column.name: _new.excluded[column.name] for column in TABLE.c if column.name != "id"},
    ),
)
_expired = (
    select(TABLE.c.id)
    .where(TABLE.c.expires_at <= func.now())
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
PRUNE = Statement(
    "idempotency_prune", delete(TABLE).where(TABLE.c.id.in_(_expired)).returning(TABLE.c.status)
)


class InProgress(Exception):
    """The same key is being worked on."""


class OtherRequest(Exception):
    """The key belongs to another request."""


class IdempotencyKeys(AbstractAsyncContextManager["IdempotencyKeys"]):
    """What is stored; all of it within a transaction block of the database."""

    def __init__(self, database: Database, settings: IdempotencySettings) -> None:
        self._database = database
        self._ttl = timedelta(seconds=settings.ttl_s)
        self._covered: dict[str, re.Pattern[str]] = {}
        self._pruned_at = -inf
        self._pruning: asyncio.Task[None] | None = None

    async def __aexit__(self, *_: object) -> None:
        """End what is left to do in the background."""
        if self._pruning:
            self._pruning.cancel()
            await asyncio.wait({self._pruning})

    def cover(self, *paths: str) -> None:
        """Let POST and PATCH to these paths, written as routes have them, take keys.

        What such a route does is one transaction then, for a request with a key.
        """
        self._covered |= {path: compile_path(path)[0] for path in paths}

    @property
    def covered(self) -> tuple[str, ...]:
        """The paths that were given to `cover`."""
        return tuple(self._covered)

    def covers(self, path: str) -> bool:
        """Whether a request to this path may have a key."""
        return any(pattern.match(path) for pattern in self._covered.values())

    async def claim(self, asked: Asked) -> Answer | None:
        """The stored answer; None for the first, which then is the only one until the end of its
        transaction. Raises InProgress, OtherRequest."""
        locked = await self._database.fetch_one(LOCK, lock=asked.lock)
        # another statement: it sees what the last holder of the lock has committed
        row = await self._database.fetch_one(FIND, id=asked.id)
        if row is None:
            if locked and locked["ours"]:
                return None
            raise InProgress
        if row["fingerprint"] != asked.fingerprint:
            raise OtherRequest
        return Answer.of(row)

    async def store(self, asked: Asked, answer: Answer) -> None:
        """Store the answer with what the transaction has done."""
        await self._database.fetch(
            STORE,
            id=asked.id,
            fingerprint=asked.fingerprint,
            status=answer.status,
            headers=answer.stored_headers,
            body=answer.body,
            ttl=self._ttl,
        )

    def prune(self) -> None:
        """Delete what has expired, in the background and once in a while."""
        now = monotonic()
        if now - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = now
            self._pruning = asyncio.create_task(self._prune())

    async def _prune(self) -> None:
        try:
            while len(await self._database.fetch(PRUNE, most=BATCH)) == BATCH:
                pass
        except Exception as error:  # there is a next time
            log.warning("idempotency_prune_failed", error=type(error).__name__)
