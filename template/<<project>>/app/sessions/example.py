"""The example's users log in with email and password."""

from __future__ import annotations

from collections.abc import Mapping
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
from app.http.edge import BodyBound
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

PATH = "/session"
# Nobody is known before.
OPEN = (("POST", PATH),)
# A login of the longest email and password, each character with the 12 bytes that JSON may need.
MOST_BODY = 16_384
COMMANDS = (SET_PASSWORD,)
SCOPES = frozenset({"read", "write"})
WRONG = "The email or the password is wrong."
CHALLENGE = {"WWW-Authenticate": Refusal.MISSING.challenge}

_LOGINS = Counter("sessions_logins", "Attempts to log in", ["result"])
LOGINS = {result: _LOGINS.labels(result) for result in ("admitted", "refused", "slowed")}


class NewSession(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    email: Annotated[str, Field(min_length=1, max_length=320, pattern="^[^\\x00]*$")]
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
        user = await self._database.fetch_one(BY_EMAIL, email=asked.email)
        stored = user["password_hash"] if user else None
        right = await self._passwords.verify(stored, asked.password)
        if not (right and user and user["status"] == "active"):
            LOGINS["refused"].inc()
            raise HTTPException(401, WRONG, CHALLENGE)
        await self._throttle.succeeded(scope, asked.email)
        await self._strengthen(user, asked.password)
        LOGINS["admitted"].inc()
        return await self._sessions.begin(
            Principal(principal_id(user["id"]), user["tier"], SCOPES), scope
        )

    async def _strengthen(self, user: asyncpg.Record, password: str) -> None:
        """Hash the password anew where that takes more than it did when it was set."""
        stored: str = user["password_hash"]
        if self._passwords.is_weaker(stored):
            new = await self._passwords.hash(password)
            await self._credentials.rehash(user["id"], stored, new)


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add the route."""
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
