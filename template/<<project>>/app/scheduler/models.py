"""The table of schedules."""

from datetime import datetime
from typing import cast

from sqlalchemy import BigInteger
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from app.database.base import Base


class StoredSchedule(Base):
    """Where a schedule is. Who holds its row enqueues its jobs and moves it on, in one transaction.

    next_at:  the first tick of which nothing has become yet
    last_at:  the last tick that made a job, and that job
    seen_at:  when a scheduler that has this schedule, so defined, has last said so
    """

    __tablename__ = "schedules"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    cron: Mapped[str] = mapped_column(Text)
    zone: Mapped[str] = mapped_column(Text)
    next_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    last_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    last_job: Mapped[int | None] = mapped_column(BigInteger)
    seen_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


TABLE = cast(Table, StoredSchedule.__table__)
