"""`python -m app worker` as a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from app.queue import Queue
from dev.processes import Process
from dev.processes import free_port
from tests.queue.conftest import Table
from tests.queue.conftest import Work
from tests.queue.conftest import until
from tests.queue.sleeper import SLEEP

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """A worker with an internal port."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.log = log
        own = {"INTERNAL_PORT": str(self.port), "SHUTDOWN_FORCE_S": "2", "SHUTDOWN_DRAIN_S": "60"}
        own |= {"QUEUE_LEASE_S": "0.5", "QUEUE_POLL_S": "0.1"}
        command = [sys.executable, "-m", "tests.queue.sleeper", "worker"]
        with log.open("a") as output:
            self.process = Process(
                command, cwd=ROOT, env=os.environ | own, stdout=output, stderr=output
            )

    def answers(self, path: str) -> str:
        """What its internal port says; nothing before it listens."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                text: str = answer.read().decode()
                return text
        except URLError:
            return ""


@pytest.fixture
def worker(servers: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], WorkerProcess]]:
    """Starts a worker; all are gone after the test."""
    with ExitStack() as stack:

        def start() -> WorkerProcess:
            started = WorkerProcess(tmp_path / "log")
            stack.callback(started.process.stop)
            return started

        yield start


async def test_a_worker_ends_in_time_and_hands_back_what_is_unfinished(
    queue: Queue, table: Table, worker: Callable[[], WorkerProcess]
) -> None:
    one = worker()
    await until(lambda: '"healthy"' in one.answers("/readyz"), "it is ready", 20)
    assert '"alive"' in one.answers("/livez")
    assert "queue_running 0.0" in one.answers("/metrics")
    await queue.enqueue(SLEEP, Work(5))
    await queue.enqueue(SLEEP, Work(600))
    await table.becomes("running", "running")
    assert one.process.stop() == 0
    assert [(row["state"], row["attempts"]) for row in await table.rows()] == [("ready", 0)]
    assert '"jobs":1' in one.log.read_text()
