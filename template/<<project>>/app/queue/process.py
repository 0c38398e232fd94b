"""`python -m app worker`: a process beside the API, with the same resources and no public port."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvloop

from app.database import Database
from app.http import logs
from app.http.logs import log
from app.main import create_internal_app
from app.pattern import Command
from app.queue.kinds import Handler
from app.queue.queue import Queue
from app.queue.settings import QueueSettings
from app.queue.worker import Worker
from app.server import run
from app.service import Service
from app.shutdown import ShutdownSettings

# Of SHUTDOWN_FORCE_S: to finish what is running. What is cancelled then gets half of that.
FINISHING = 0.5


def run_beside(work: Callable[[Service], AbstractAsyncContextManager[object]]) -> int:
    """Run a process whose work is what `work` makes of the service, until a signal; exit code 0."""
    from app.patterns import PATTERNS  # which have this command

    service = Service(PATTERNS)
    logs.configure(service.core.log_level)
    uvloop.run(run(service, create_internal_app(service), work(service)))
    return 0


def create_worker(service: Service) -> Worker:
    """A worker for the jobs of every pattern."""
    jobs = [job for pattern in service.patterns if pattern.jobs for job in pattern.jobs(service)]
    handlers = [job for job in jobs if isinstance(job, Handler)]
    assert len(handlers) == len(jobs), "Pattern.jobs gives Handlers"
    if not handlers:
        log.warning("no_jobs", reason="no pattern of this service has any: see Pattern.jobs")
    patience_s = service.settings(ShutdownSettings).force_s * FINISHING
    settings = service.settings(QueueSettings)
    queue = service.get(Queue)
    return Worker(
        service.get(Database),
        handlers,
        settings,
        patience_s,
        lambda attempt: queue.attempting(attempt),  # which is set when the resources open
    )


def _worker(_: Namespace) -> int:
    return run_beside(create_worker)


WORKER = Command(name="worker", help="do the jobs of the queue", run=_worker)
