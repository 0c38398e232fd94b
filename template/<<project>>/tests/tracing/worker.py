"""`python -m tests.tracing.worker COMMAND`: the service with a job that asks and may fail."""

import sys
from typing import Any

import msgspec
from sqlalchemy import text

from app.commands import main
from app.database import Database
from app.http.logs import log
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Job
from app.queue import Kind
from app.service import Service
from app.tracing import span


class Work(msgspec.Struct, frozen=True):
    """What there is to do."""

    fails: bool = False


WORK = Kind("traced_work", Work, attempts=2, backoff_s=0)


def handlers(service: Service) -> list[Handler[Any]]:
    """Who does it."""
    database = service.get(Database)

    async def run(job: Job[Work]) -> None:
        with span("work"):
            log.info("working")
            async with database.session() as session:
                await session.execute(text("SELECT 1"))
            if job.payload.fails:
                raise LookupError("hunter" + "2")

    return [Handler(kind=WORK, run=run)]


if __name__ == "__main__":
    PATTERNS.append(Pattern(name="traced", jobs=handlers))
    sys.exit(main())
