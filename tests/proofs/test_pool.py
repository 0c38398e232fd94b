"""The pool is bounded, whatever comes in, and shrinks when nothing does."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from .harness.load import Connection
from .harness.load import Request
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.service import NAME
from .harness.service import Service
from .harness.table import Table

SESSIONS, POOL_MAX, POOL_MIN, IDLE_S = 1_000, 20, 5, 3


def statement(number: int) -> Request:
    """A compiled statement straight on the pool."""
    return get(f"/items/{number + 1}")


def transaction(number: int) -> Request:
    """A SQLAlchemy session on the same pool: reads, locks, writes, commits."""
    return send("PATCH", f"/users/{number + 1}", {"status": "inactive"})


def either(number: int) -> Request:
    """Both at once."""
    return (statement, transaction)[number % 2](number)


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param(statement, marks=pytest.mark.slow),
        pytest.param(transaction, marks=pytest.mark.slow),
        either,
    ],
)
def test_thousand_sessions(
    service: Service, postgres: Postgres, table: Table, request_of: Callable[[int], Request]
) -> None:
    async def all_at_once(port: int) -> tuple[Counter[int], int]:
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(Connection(port, service.key))
                for _ in range(SESSIONS)
            ]
            watch = f"SELECT peak('{NAME}', 5)"
            watching = asyncio.create_task(asyncio.to_thread(postgres.sql, watch))
            await asyncio.sleep(0.3)
            asks = (one.ask(request_of(number)) for number, one in enumerate(connections))
            answers = await asyncio.gather(*asks)
            return Counter(answer.status for answer in answers), int(await watching)

    with service.processes(1, DATABASE_POOL_IDLE_S=str(IDLE_S)) as (api,):
        assert postgres.connections() == POOL_MIN
        statuses, peak = asyncio.run(all_at_once(api.port))
        assert statuses == {200: SESSIONS}
        assert peak <= POOL_MAX, f"{peak} connections"
        assert peak > POOL_MIN, "the pool never grew: this proves nothing"
        idle_since = time.monotonic()
        until(lambda: postgres.connections() <= POOL_MIN, "idle connections are closed")
        after_s = time.monotonic() - idle_since
        assert postgres.connections() == POOL_MIN
        assert api.probe("/readyz")[0] == 200
    table.add(
        f"At most {POOL_MAX} connections, {POOL_MIN} when idle",
        f"{SESSIONS:,} concurrent requests, each a {request_of.__name__}",
        f"peak {peak}, {POOL_MIN} again within {after_s:.0f} s (idle time {IDLE_S} s)",
        f"0 of {SESSIONS:,}",
    )
