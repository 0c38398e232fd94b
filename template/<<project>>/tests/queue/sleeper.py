"""`python -m tests.queue.sleeper COMMAND`: the service with jobs that take as long as they say."""

import asyncio
import sys

from app.commands import main
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Job
from app.queue import Kind
from tests.queue.conftest import Work

SLEEP = Kind("sleep", Work)


async def sleep(job: Job[Work]) -> None:
    """Take as many tenths of a second as there is to do."""
    await asyncio.sleep(job.payload.n / 10)


if __name__ == "__main__":
    handlers = [Handler(kind=SLEEP, run=sleep)]
    PATTERNS.append(Pattern(name="sleeper", jobs=lambda _: handlers))
    sys.exit(main())
