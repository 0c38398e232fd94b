"""Users in PostgreSQL, and the protocols by which the routes know them."""

from typing import Annotated
from typing import Literal
from typing import Protocol

import msgspec
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from sqlalchemy import bindparam
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.database import Statement
from app.http.bodies import WITHOUT_NUL
from app.users.models import User

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=WITHOUT_NUL)]


class UserChange(BaseModel):
    """What may be changed of a user; what is left out, or null, stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name | None = None
    status: Literal["active", "inactive"] | None = None


class UserReader(Protocol):
    """Reads users as the JSON documents that are sent."""

    async def get(self, user_id: int) -> bytes | None:
        """The user as JSON, or None."""


class UserStore(UserReader, Protocol):
    """Reads and changes users."""

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Apply the change; the changed user as JSON, or None if there is none."""


SHOWN = (User.id, User.name, User.email, User.status, User.created_at)
_BY_ID = Statement("user_by_id", select(*SHOWN).where(User.id == bindparam("user_id")))


class StoredUsers:
    """The users in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: int) -> bytes | None:
        """The user as JSON, or None."""
        row = await self._database.fetch_one(_BY_ID, user_id=user_id)
        return msgspec.json.encode(dict(row)) if row else None

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Apply the change; the changed user as JSON, or None if there is none."""
        async with self._database.session() as session:
            return await self.change(session, user_id, change)

    async def change(self, session: AsyncSession, user_id: int, change: UserChange) -> bytes | None:
        """The same within a transaction that does more."""
        user = await session.get(User, user_id, with_for_update=True)
        if user is None:
            return None
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(user, name, value)
        return msgspec.json.encode({c.key: getattr(user, c.key) for c in SHOWN})
