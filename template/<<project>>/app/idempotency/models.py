"""The table of answers."""

from datetime import datetime
from typing import cast

from sqlalchemy import Index
from sqlalchemy import LargeBinary
from sqlalchemy import SmallInteger
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from app.database.base import Base


class StoredAnswer(Base):
    """What a request with a key was answered, written by the transaction that did what it asked.

    id:          SHA-256 of principal and key
    fingerprint: SHA-256 of what was asked
    headers:     of the answer, as JSON
    """

    __tablename__ = "idempotency_keys"

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


Index("ix_idempotency_keys_expires_at", StoredAnswer.expires_at)

TABLE = cast(Table, StoredAnswer.__table__)
