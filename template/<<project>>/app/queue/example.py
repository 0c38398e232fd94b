"""The example's jobs: whoever is asked for, or becomes active, is welcomed."""

import re
from dataclasses import replace
from typing import Any
from typing import Protocol

import msgspec
from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from sqlalchemy import bindparam
from sqlalchemy import select
from starlette.types import Scope

from app.database import Database
from app.http.bodies import Body
from app.http.logs import log
from app.http.responses import JSONBytes
from app.items.stores import Stores
from app.queue.kinds import Handler
from app.queue.kinds import Job
from app.queue.kinds import Kind
from app.queue.queue import KeyTaken
from app.queue.queue import Queue
from app.service import Service
from app.users.models import User
from app.users.store import StoredUsers
from app.users.store import UserChange
from app.users.store import UserReader


class Welcome(msgspec.Struct, frozen=True):
    """Whom to welcome."""

    user_id: int


WELCOME = Kind("welcome", Welcome)


class Mail(Protocol):
    """Sends mail."""

    async def send(self, to: str, text: str, key: str) -> None:
        """Send it, once for each key."""


class LoggedMail:
    """Mail that is written to the log; put yours in its place."""

    async def send(self, to: str, text: str, key: str) -> None:
        """Log that it would be sent."""
        log.info("mail", text=text, key=key)


def welcome(users: UserReader, mail: Mail) -> Handler[Welcome]:
    """Who welcomes."""

    async def run(job: Job[Welcome]) -> None:
        found = await users.get(job.payload.user_id)
        if found is None:
            return  # gone since
        user = msgspec.json.decode(found)
        await mail.send(user["email"], f"Welcome, {user['name']}!", f"welcome-{job.id}")

    return Handler(kind=WELCOME, run=run)


def jobs(service: Service) -> list[Handler[Any]]:
    """Who does the jobs."""
    return [welcome(StoredUsers(service.get(Database)), LoggedMail())]


_STATUS = select(User.status).where(User.id == bindparam("user_id")).with_for_update()


class WelcomedUsers:
    """Users; who is made active is welcomed, by a job of the same transaction."""

    def __init__(self, inner: StoredUsers, database: Database, queue: Queue) -> None:
        self._inner = inner
        self._database = database
        self._queue = queue

    async def get(self, user_id: int) -> bytes | None:
        """The user as JSON, or None."""
        return await self._inner.get(user_id)

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Apply the change; the changed user as JSON, or None if there is none."""
        async with self._database.session() as session:
            before = await session.scalar(_STATUS, {"user_id": user_id})
            changed = await self._inner.change(session, user_id, change)
            if changed and change.status == "active" != before:
                await self._queue.enqueue(WELCOME, Welcome(user_id), session=session)
        return changed


def wrap(stores: Stores, service: Service) -> Stores:
    """Welcomed users: the first to be wrapped, as the job is made where the change is stored."""
    database = service.get(Database)
    users = WelcomedUsers(StoredUsers(database), database, service.get(Queue))
    return replace(stores, users=users)


class NewJob(BaseModel):
    """Whom to welcome."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user_id: int = Field(alias="userId", ge=1, le=2**31 - 1)


NEW_JOB = Body(NewJob)


class JobView(BaseModel):
    """The job that was enqueued."""

    id: str


# What a client sends to be able to repeat a request whose answer was lost.
_KEY = re.compile(rb"[\x21-\x7e]{1,128}")
_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
}


def _key_of(scope: Scope) -> str | None:
    """The idempotency key of a request, among those of its principal; None without one.

    Read here, because FastAPI takes 25 µs to look for a header.
    """
    for name, value in scope["headers"]:
        if name == b"idempotency-key":
            if not _KEY.fullmatch(value):
                raise HTTPException(400, "Idempotency-Key has 1 to 128 visible characters.")
            return f"{scope['principal'].id} {value.decode()}"
    return None


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add the route."""
    queue = service.get(Queue)

    @api.post(
        "/jobs",
        response_model=JobView,
        status_code=202,
        tags=["jobs"],
        openapi_extra={**NEW_JOB.documented, "parameters": [_PARAMETER]},
    )
    async def create_job(request: Request) -> Response:
        """Have a user welcomed, soon."""
        job = await NEW_JOB.of(request)
        key = _key_of(request.scope)
        try:
            made = await queue.enqueue(WELCOME, Welcome(job.user_id), key=key)
        except KeyTaken:
            raise HTTPException(422, "This key belongs to another request.") from None
        return JSONBytes(b'{"id":"%d"}' % made, 202)
