"""`python -m app worker` as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.queue import Queue
from tests.queue.conftest import Table
from tests.queue.conftest import Work
from tests.queue.conftest import until
from tests.queue.processes import StartProcess
from tests.queue.processes import processes
from tests.queue.sleeper import SLEEP

pytestmark = pytest.mark.anyio
SHORT = {"SHUTDOWN_FORCE_S": "2", "QUEUE_LEASE_S": "0.5", "QUEUE_POLL_S": "0.1"}


@pytest.fixture
def worker(servers: dict[str, str], tmp_path: Path) -> Iterator[StartProcess]:
    """Starts a worker; all are gone after the test."""
    with processes("tests.queue.sleeper", "worker", tmp_path, **SHORT) as start:
        yield start


async def test_a_worker_ends_in_time_and_hands_back_what_is_unfinished(
    queue: Queue, table: Table, worker: StartProcess
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
