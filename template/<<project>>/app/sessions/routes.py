"""What users may do with their sessions: see them, and end them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Path
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from pydantic import Field

from app.auth import known
from app.http.responses import JSONBytes
from app.service import Service
from app.sessions.cookie import Cookie
from app.sessions.csrf import token_of
from app.sessions.session import Session
from app.sessions.session import as_time
from app.sessions.store import Sessions

SessionId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]

# What is one's own is seen and ended whatever the session is good for.
OWN = (
    ("GET", "/session"),
    ("DELETE", "/session"),
    ("GET", "/sessions"),
    ("DELETE", "/sessions"),
    ("DELETE", "/sessions/{session_id}"),
)


class CurrentSession(BaseModel):
    """The session of the request."""

    user: str
    csrf_token: str = Field(alias="csrfToken", description="to be sent with every write")
    ends_at: datetime = Field(alias="endsAt", description="at the latest")


class SessionView(BaseModel):
    """One of a user's sessions."""

    id: str
    current: bool
    begun_at: datetime = Field(alias="begunAt")
    ends_at: datetime = Field(alias="endsAt")
    address: str
    agent: str


class SessionList(BaseModel):
    """A user's sessions, the latest first."""

    sessions: list[SessionView]


def told(session: Session) -> bytes:
    """What a page has to know of its session, as JSON."""
    return msgspec.json.encode(
        {
            "user": session.data.user,
            "csrfToken": token_of(session.secret),
            "endsAt": as_time(session.ends_at),
        }
    )


def add_routes(api: APIRouter, service: Service) -> None:
    """Add the routes. Logging in is the service's own, as only it knows its users."""
    sessions, cookie = service.get(Sessions), Cookie.of(service)

    def ended() -> Response:
        response = Response(status_code=204)
        cookie.clear(response)
        return response

    @api.get("/session", response_model=CurrentSession, tags=["sessions"])
    async def get_session(request: Request) -> Response:
        """The session of this request, with the token that its writes need."""
        return JSONBytes(told(_current(request)))

    @api.delete("/session", status_code=204, tags=["sessions"])
    async def log_out(request: Request) -> Response:
        """End the session of this request."""
        session = _current(request)
        await sessions.end(session.data.user, session.id)
        return ended()

    @api.get("/sessions", response_model=SessionList, tags=["sessions"])
    async def list_sessions(request: Request) -> Response:
        """The sessions of whoever asks."""
        found = await sessions.of(known(request).id)
        current: Session | None = request.scope.get("session")
        shown = [one.shown(current.id if current else None) for one in found]
        return JSONBytes(msgspec.json.encode({"sessions": shown}))

    @api.delete("/sessions/{session_id}", status_code=204, tags=["sessions"])
    async def end_session(request: Request, session_id: SessionId) -> Response:
        """End one of one's own sessions."""
        if not await sessions.end(known(request).id, session_id):
            raise HTTPException(404, "There is no such session.")
        return Response(status_code=204)

    @api.delete("/sessions", status_code=204, tags=["sessions"])
    async def end_sessions(request: Request) -> Response:
        """End all of one's own sessions, this one as well."""
        await sessions.end_all(known(request).id)
        return ended()


def _current(request: Request) -> Session:
    session: Session | None = request.scope.get("session")
    if session is None:
        raise HTTPException(404, "This request has no session.")
    return session
