"""What is counted of jobs, with labels that are bounded."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.queue import Kind
from app.queue import Queue
from app.queue import metrics
from tests.queue.conftest import WORK
from tests.queue.conftest import Handled
from tests.queue.conftest import StartWorker
from tests.queue.conftest import Table
from tests.queue.conftest import Work
from tests.queue.conftest import until

pytestmark = pytest.mark.anyio


def value(name: str, **labels: str) -> float:
    """A sample of the registry."""
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_depth_by_state_and_kind_and_the_oldest(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    for n in range(3):
        await queue.enqueue(WORK, Work(n), delay_s=60)
    for n in range(2):
        await queue.enqueue(Kind(f"strange_{n}", Work), Work(n))
    await table.connection.execute("UPDATE queue_jobs SET state = 'failed' WHERE id = 1")
    await table.connection.execute(
        "UPDATE queue_jobs SET due_at = now() - interval '90 s' WHERE state = 'ready'"
    )
    worker = await start(handled)
    await worker._leases.observe()
    depth = {
        (state, kind): value("queue_jobs", state=state, kind=kind)
        for state in metrics.STATES
        for kind in ("work", "other", "strange_0")
    }
    assert {key: jobs for key, jobs in depth.items() if jobs} == {
        ("delayed", "work"): 2,
        ("failed", "work"): 1,
        ("ready", "other"): 2,
    }
    assert 90 <= value("queue_oldest_ready_seconds") < 120
    await table.connection.execute("DELETE FROM queue_jobs")
    await worker._leases.observe()
    assert value("queue_jobs", state="delayed", kind="work") == 0
    assert value("queue_oldest_ready_seconds") == 0


async def test_a_backlog_is_counted_no_further_than_it_is_worth(
    table: Table, start: StartWorker, handled: Handled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST", 100)
    await table.connection.execute(
        "INSERT INTO queue_jobs (kind, payload, state, due_at, max_attempts)"
        " SELECT 'x', '{}', state, now(), 3"
        " FROM unnest(ARRAY['failed', 'delayed']) state, generate_series(1, 150)"
    )
    await table.change("due_at = now() + interval '1 hour'")
    worker = await start(handled)
    await worker._leases.observe()
    for state in ("failed", "delayed"):
        assert value("queue_jobs", state=state, kind="other") == 100


async def test_attempts_are_counted_by_how_they_end(
    queue: Queue, table: Table, start: StartWorker, handled: Handled
) -> None:
    def counted() -> list[float]:
        return [
            value("queue_job_duration_seconds_count", kind="work", outcome="done"),
            value("queue_job_duration_seconds_count", kind="work", outcome="error"),
            value("queue_retries_total", kind="work"),
            value("queue_dead_letters_total", kind="work"),
            value("queue_crashes_total", kind="work"),
            value("queue_enqueued_total", kind="work"),
        ]

    before = counted()
    await start(handled)
    await queue.enqueue(WORK, Work(1))
    await table.becomes()
    handled.raises = LookupError()
    await queue.enqueue(WORK, Work(2))
    await table.becomes("delayed")
    await table.change("state = 'running', worker = 'dead', attempts = 2, due_at = now()")
    await table.becomes("failed")
    await until(lambda: handled.failed, "the hook is told")
    gained: list[Any] = [now - then for now, then in zip(counted(), before, strict=True)]
    assert gained == [1, 2, 1, 1, 1, 2]
