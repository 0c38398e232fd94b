"""`python -m tests.scheduler.ticker COMMAND`: the service with a schedule for tests.

It is as TICKER_CRON and TICKER_ZONE say. With TICKER_DIES the process is killed in its first tick,
when the schedule's row is locked and nothing is committed.
"""

import os
import signal
import sys
from datetime import datetime

from app.commands import main
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Job
from app.scheduler import Overlap
from app.scheduler import Schedule
from app.service import Service
from tests.scheduler.conftest import TICK
from tests.scheduler.conftest import Tick

made = 0


def payload(at: datetime) -> Tick:
    """The payload; the first one is made when the process starts, to no use."""
    global made  # noqa: PLW0603
    made += 1
    if made > 1 and os.environ.get("TICKER_DIES"):
        os.kill(os.getpid(), signal.SIGKILL)
    return Tick(at)


def schedules(_: Service) -> list[Schedule[Tick]]:
    """The schedule."""
    cron, zone = os.environ["TICKER_CRON"], os.environ.get("TICKER_ZONE", "UTC")
    return [Schedule("ticker", cron, TICK, payload, zone=zone, overlap=Overlap.ALLOW)]


async def run(_: Job[Tick]) -> None:
    """Do nothing."""


if __name__ == "__main__":
    handlers = [Handler(kind=TICK, run=run)]
    PATTERNS.append(Pattern(name="ticker", jobs=lambda _: handlers, schedules=schedules))
    sys.exit(main())
