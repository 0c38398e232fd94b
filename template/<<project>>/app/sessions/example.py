"""The example's users log in with email and password."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated

import asyncpg
from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Request
from fastapi import Response
from prometheus_client import Counter
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from starlette.types import Scope

from app.auth import Principal
from app.auth.refusal import Refusal
from app.database import Database
from app.http.bodies import Body
from app.http.direct import ChosenRoute
from app.http.edge import BodyBound
from app.http.errors import Unavailable
from app.http.responses import JSONBytes
from app.items.stores import Stores
from app.service import Service
from app.sessions.cookie import Cookie
from app.sessions.csrf import FOREIGN
from app.sessions.csrf import Csrf
from app.sessions.passwords import LONGEST_PASSWORD
from app.sessions.passwords import Passwords
from app.sessions.routes import CurrentSession
from app.sessions.routes import told
from app.sessions.session import Session
from app.sessions.settings import SessionsSettings
from app.sessions.store import Sessions
from app.sessions.throttle import Throttle
from app.sessions.with_database import Credentials
from app.sessions.with_example import BY_EMAIL
from app.sessions.with_example import SET_PASSWORD
from app.sessions.with_example import principal_id
from app.unit_of_work import again_when_committed
from app.users.store import UserChange
from app.users.store import UserStore

PATH = "/session"
# Nobody is known before.
OPEN = (("POST", PATH),)
# A login of the longest email and password, each character with the 12 bytes that JSON may need.
MOST_BODY = 16_384
COMMANDS = (SET_PASSWORD,)
SCOPES = frozenset({"read", "write"})
WRONG = "The email or the password is wrong."
OTHERS = "With a session only one's own user is changed."
CHALLENGE = {"WWW-Authenticate": Refusal.MISSING.challenge}

_LOGINS = Counter("sessions_logins", "Attempts to log in", ["result"])
LOGINS = {result: _LOGINS.labels(result) for result in ("admitted", "refused", "slowed")}


class NewSession(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]


NEW_SESSION = Body(NewSession)


def bodies(service: Service) -> Mapping[str, BodyBound]:
    """A login is small."""
    return {PATH: BodyBound(MOST_BODY, service.core.body_timeout_s)}


class Login:
    """Lets users in. What is told of a wrong email and of a wrong password is the same, and takes
    the same time."""

    def __init__(self, service: Service) -> None:
        self._database = service.get(Database)
        self._credentials = Credentials(self._database)
        self._passwords = service.get(Passwords)
        self._sessions = service.get(Sessions)
        prefix = service.settings(SessionsSettings).prefix
        self._throttle = Throttle(self._sessions.redis, prefix)

    async def __call__(self, scope: Scope, asked: NewSession) -> Session:
        """The new session; HTTPException 401 or 429, or Unavailable."""
        if wait_s := await self._throttle.attempt(scope, asked.email):
            LOGINS["slowed"].inc()
            wait = {"Retry-After": str(wait_s)}
            raise HTTPException(429, f"Too many attempts; the next in {wait_s} seconds.", wait)
        try:
            user = await self._verified(asked)
        except Unavailable:  # nobody could tell: no guess. Who does not wait for it has made one
            with suppress(Unavailable):
                await self._throttle.undone(scope, asked.email)
            raise
        if user is None:
            LOGINS["refused"].inc()
            raise HTTPException(401, WRONG, CHALLENGE)
        await self._throttle.succeeded(scope, asked.email)
        await self._strengthen(user, asked.password)
        LOGINS["admitted"].inc()
        return await self._sessions.begin(
            Principal(principal_id(user["id"]), user["tier"], SCOPES), scope
        )

    async def _verified(self, asked: NewSession) -> asyncpg.Record | None:
        """The user whose email and password these are, if active."""
        user = await self._database.fetch_one(BY_EMAIL, email=asked.email)
        stored = user["password_hash"] if user else None
        right = await self._passwords.verify(stored, asked.password)
        return user if right and user and user["status"] == "active" else None

    async def _strengthen(self, user: asyncpg.Record, password: str) -> None:
        """Hash the password anew where that takes more than it did when it was set."""
        stored: str = user["password_hash"]
        if self._passwords.is_weaker(stored):
            new = await self._passwords.hash(password)
            await self._credentials.rehash(user["id"], stored, new)


class SessionUsers:
    """Users; who is made inactive has no session any more."""

    def __init__(self, inner: UserStore, sessions: Sessions) -> None:
        self._inner = inner
        self._sessions = sessions
        self.get = inner.get

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Apply the change; the changed user as JSON, or None if there is none. Unavailable when
        sessions may go on: it is to be asked again."""
        try:
            return await self._inner.update(user_id, change)
        finally:
            # also when it raised: it may have been committed before the connection broke
            if change.status == "inactive":
                await self._end_all(user_id)

    async def _end_all(self, user_id: int) -> None:
        again_when_committed(partial(self._end_all, user_id))
        await self._sessions.end_all(principal_id(user_id))


def wrap(stores: Stores, service: Service) -> Stores:
    """The users, with their sessions."""
    return replace(stores, users=SessionUsers(stores.users, service.get(Sessions)))


class OthersRoute(ChosenRoute):
    """A route for what somebody with a session asks of another user."""

    def takes(self, scope: Scope, in_path: Mapping[str, str]) -> bool:
        """Whether the request has a session of another user than its path."""
        session: Session | None = scope.get("session")
        return session is not None and session.data.user != principal_id(in_path["user_id"])


def _refuse_others(api: APIRouter) -> None:
    """Refuse what a session does not allow, ahead of the route that does it."""

    async def refuse() -> None:
        raise HTTPException(403, OTHERS)

    api.add_api_route(
        "/users/{user_id}",
        refuse,
        methods=["PATCH"],
        include_in_schema=False,
        route_class_override=OthersRoute,
    )
    api.routes.insert(0, api.routes.pop())


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add the routes."""
    _refuse_others(api)
    login, cookie, csrf = Login(service), Cookie.of(service), Csrf.of(service)

    @api.post(
        PATH,
        response_model=CurrentSession,
        status_code=201,
        tags=["sessions"],
        openapi_extra=NEW_SESSION.documented,
    )
    async def log_in(request: Request) -> Response:
        """Log in: a session begins, and the one that there was ends."""
        if csrf.is_foreign(request.scope):  # else another site could log somebody in as another
            raise HTTPException(403, FOREIGN)
        session = await login(request.scope, await NEW_SESSION.of(request))
        response = JSONBytes(told(session), 201)
        cookie.set(response, session)
        return response
