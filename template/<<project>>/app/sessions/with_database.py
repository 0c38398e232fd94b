"""Passwords of users in PostgreSQL, by the users' ids: the login of the service looks there."""

from datetime import datetime
from typing import cast

from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from app.database import Database
from app.database import Statement
from app.database.base import Base


class Credential(Base):
    """A user's password. No foreign key: whose users they are, this pattern does not know."""

    __tablename__ = "credentials"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    password_hash: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True), server_default=func.now()
    )


TABLE = cast(Table, Credential.__table__)
_set = insert(TABLE).values(user_id=bindparam("user_id"), password_hash=bindparam("password_hash"))
SET = Statement(
    "credential_set",
    _set.on_conflict_do_update(
        index_elements=[TABLE.c.user_id],
        set_={"password_hash": _set.excluded.password_hash, "changed_at": func.now()},
    ),
)
# Only if nobody has changed the password meanwhile.
REHASH = Statement(
    "credential_rehash",
    update(TABLE)
    .values(password_hash=bindparam("new"))
    .where(TABLE.c.user_id == bindparam("of_user"), TABLE.c.password_hash == bindparam("old")),
)


class Credentials:
    """The passwords, as hashes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, user_id: int, password_hash: str) -> None:
        """Give a user this password. Their sessions are to be ended, too."""
        await self._database.fetch(SET, user_id=user_id, password_hash=password_hash)

    async def rehash(self, user_id: int, old: str, new: str) -> None:
        """Store a stronger hash of the same password."""
        await self._database.fetch(REHASH, of_user=user_id, old=old, new=new)
