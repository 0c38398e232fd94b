"""The sessions, which all processes share."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from contextlib import contextmanager
from typing import Self

import msgspec
from prometheus_client import Counter
from redis.exceptions import RedisError
from starlette.types import Scope

from app.auth import Principal
from app.http.errors import Unavailable
from app.http.logs import log
from app.redis import RedisClient
from app.sessions.scripts import BEGIN
from app.sessions.scripts import END
from app.sessions.scripts import END_ALL
from app.sessions.scripts import FIND
from app.sessions.scripts import LIST
from app.sessions.session import Data
from app.sessions.session import Session
from app.sessions.session import id_of
from app.sessions.session import new_secret
from app.sessions.settings import SessionsSettings

BEGUN = Counter("sessions_begun", "Sessions begun")
ENDED = Counter("sessions_ended", "Sessions ended before their time")


class Sessions(AbstractAsyncContextManager["Sessions"]):
    """Everything raises Unavailable while Redis is away. Nothing is kept in the process, so that
    what is ended is ended everywhere at once."""

    def __init__(self, redis: RedisClient, settings: SessionsSettings, *, owned: bool) -> None:
        self.redis = redis
        self._owned = owned
        self._idle_ms = settings.idle_s * 1000
        self._max_age_ms = settings.max_age_s * 1000
        self._per_user = settings.per_user
        self._session = f"{settings.prefix}:session:"
        self._list = f"{settings.prefix}:user:"
        self._begin, self._find = redis.script(BEGIN), redis.script(FIND)
        self._of, self._end = redis.script(LIST), redis.script(END)
        self._end_all = redis.script(END_ALL)

    async def __aenter__(self) -> Self:
        """Open the Redis that is theirs alone."""
        if self._owned:
            await self.redis.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._owned:
            await self.redis.__aexit__(None, None, None)

    async def begin(self, principal: Principal, scope: Scope) -> Session:
        """A new session for somebody who has just shown who they are, with a secret of its own;
        the one that the request came with is ended. `Cookie.set` hands it to the browser."""
        secret = new_secret()
        session_id, data = id_of(secret), Data.of(principal, scope)
        encoded = msgspec.json.encode(data)
        keys = [(self._session + session_id).encode(), self._list_of(principal.id)]
        ages = (self._idle_ms, self._max_age_ms, self._per_user)
        with _answered():
            ends_ms = await self._begin(keys, session_id, encoded, *ages, self._session)
        BEGUN.inc()
        earlier: Session | None = scope.get("session")
        if earlier:
            await self.end(earlier.principal.id, earlier.id)
        return Session(session_id, data, int(ends_ms) / 1000, secret)

    async def find(self, secret: bytes) -> Session | None:
        """The session of this secret, which has been used now; None when there is none."""
        session_id = id_of(secret)
        with _answered():
            found = await self._find([self._session + session_id], session_id, self._idle_ms)
        return _read(session_id, found, secret) if found else None

    async def of(self, user: str) -> list[Session]:
        """The sessions of a principal's id, the latest first."""
        with _answered():
            found = await self._of([self._list_of(user)], self._session)
        read = (_read(one[0].decode(), one[1:]) for one in found)
        return [session for session in read if session]

    async def end(self, user: str, session_id: str) -> bool:
        """End one session of this user; whether there was such a one."""
        with _answered():
            ended = bool(await self._end([self._list_of(user)], session_id, self._session))
        ENDED.inc(ended)
        return ended

    async def end_all(self, user: str) -> int:
        """End all sessions of this user; how many there were."""
        with _answered():
            ended = int(await self._end_all([self._list_of(user)], self._session))
        ENDED.inc(ended)
        return ended

    def _list_of(self, user: str) -> bytes:
        # a token's subject is any text, also half a surrogate pair
        return (self._list + user).encode(errors="surrogatepass")


def _read(session_id: str, found: Sequence[bytes], secret: bytes = b"") -> Session | None:
    """What is stored of a session; None when it cannot be read."""
    try:
        return Session.stored(session_id, found, secret)
    except ValueError:  # of another version, say
        log.warning("session_unreadable", session=session_id)
        return None


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable("Sessions cannot be checked at the moment.") from error
