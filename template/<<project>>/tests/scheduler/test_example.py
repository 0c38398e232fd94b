"""Every morning, what was added the day before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from app.database import Database
from app.http.logs import log
from app.queue import Job
from app.scheduler import example
from app.scheduler.example import Day
from app.scheduler.example import summarize
from app.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def items(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """Where items are."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    yield connection
    await connection.close()


async def test_the_day_before_on_the_clock_of_the_zone(service: Service) -> None:
    [one] = example.schedules(service)
    tick = one.ticks.next(datetime.fromisoformat("2026-07-01T03:59Z"))
    assert tick == datetime.fromisoformat("2026-07-01T06:00+02:00")
    assert one.payload(tick) == Day(date(2026, 6, 30))


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 7, 1), 24), (date(2026, 10, 25), 25)]
)
async def test_a_day_has_as_many_hours_as_it_has(
    service: Service,
    items: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    day: date,
    hours: int,
) -> None:
    owner = await items.fetchval(
        "INSERT INTO users (name, email, status) VALUES ('Ann', 'a@example.com', 'active')"
        " RETURNING id"
    )
    await items.execute(
        "INSERT INTO items (owner_id, name, price, description, created_at)"
        " SELECT $1, 'x', 1, '', hour FROM"
        " generate_series($2::date - 2, $2::date + 2, interval '1 hour') AS hour",
        owner,
        day,
    )
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(log, "info", lambda event, **values: said.append(values))
    handler = summarize(service.get(Database))
    await handler.run(Job(id=1, payload=Day(day), attempt=1))
    assert said == [{"day": day.isoformat(), "items": hours}]
