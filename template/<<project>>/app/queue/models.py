"""The table of jobs."""

from datetime import datetime
from typing import Any
from typing import cast

from sqlalchemy import BigInteger
from sqlalchemy import Boolean
from sqlalchemy import CheckConstraint
from sqlalchemy import Identity
from sqlalchemy import Index
from sqlalchemy import Integer
from sqlalchemy import SmallInteger
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import false
from sqlalchemy import func
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from app.database.base import Base


class QueuedJob(Base):
    """A job: ready or delayed, running, failed for good, or done and remembered for its key.

    due_at: of a delayed job when it becomes ready, of a running one when its lease ends, of one
            that is done when it is forgotten; else since when it has been in its state
    alone:  its last attempt comes after a crash, so no other such job runs beside it
    context: what those who enqueued it hand on to those who do it; see `Queue`
    """

    __tablename__ = "queue_jobs"
    __table_args__ = (
        CheckConstraint("state IN ('ready', 'delayed', 'running', 'failed', 'done')", name="state"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    payload: Mapped[Any] = mapped_column(JSON)  # kept to the character, which JSONB does not
    key: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    state: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    max_attempts: Mapped[int] = mapped_column(Integer)
    alone: Mapped[bool] = mapped_column(Boolean, server_default=false())
    worker: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    context: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True), server_default=func.now()
    )


TABLE = cast(Table, QueuedJob.__table__)

# What a worker takes next; what is due, late, or to be forgotten; and one job a key.
Index(
    "ix_queue_jobs_next",
    QueuedJob.priority.desc(),
    QueuedJob.id,
    postgresql_where=text("state = 'ready'"),
)
Index("ix_queue_jobs_state_due_at", QueuedJob.state, QueuedJob.due_at)
Index(
    "uq_queue_jobs_kind_key",
    QueuedJob.kind,
    QueuedJob.key,
    unique=True,
    postgresql_where=QueuedJob.key.is_not(None),
)
