"""What becomes of ticks that were missed."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from app.scheduler import CatchUp
from app.scheduler import Overlap
from app.settings import SettingsError
from tests.scheduler.conftest import MakeScheduler
from tests.scheduler.conftest import Tables
from tests.scheduler.conftest import schedule

GRACE = timedelta(seconds=60)
ALL: dict[str, Any] = {"catch_up": CatchUp.ALL, "overlap": Overlap.ALLOW}
HOURLY = "0 * * * *"


def at(text: str) -> datetime:
    """A moment of one day."""
    return datetime.fromisoformat(f"2026-01-10T{text}Z")


def due(first: str, now: str, cron: str = HOURLY, **policies: Any) -> list[datetime]:
    """What there is to do at that time of the day."""
    return schedule(cron=cron, **policies).due(at(first), at(now), GRACE)


@pytest.mark.parametrize("policies", [{"catch_up": CatchUp.SKIP}, {"catch_up": CatchUp.ONCE}, ALL])
def test_what_is_not_too_late_is_done(policies: dict[str, Any]) -> None:
    assert due("03:00", "03:00", **policies) == [at("03:00")]
    assert due("03:00", "03:01", **policies) == [at("03:00")]
    seconds = due("03:00:01", "03:00:03.5", "* * * * * *", **policies)
    assert seconds == [at(f"03:00:0{n}") for n in (1, 2, 3)]


def test_missed_and_skipped() -> None:
    assert due("03:00", "03:01:00.1", catch_up=CatchUp.SKIP) == []
    assert due("03:00", "09:30", catch_up=CatchUp.SKIP) == []
    assert due("03:00", "09:00:30", catch_up=CatchUp.SKIP) == [at("09:00")]


def test_missed_and_done_once() -> None:
    assert due("03:00", "03:01:00.1") == [at("03:00")]
    assert due("03:00", "09:30") == [at("09:00")]
    assert due("03:00", "09:00:30") == [at("08:00"), at("09:00")]


def test_missed_and_all_done() -> None:
    every = [at(f"{hour:02}:00") for hour in range(3, 10)]
    assert due("03:00", "09:30", **ALL) == every
    assert due("03:00", "09:30", **ALL, most=3) == every[-3:]


@pytest.mark.parametrize(
    ("policies", "missed"),
    [({"catch_up": CatchUp.SKIP}, 0), ({}, 1), ({**ALL, "most": 2}, 2), (ALL, 3)],
)
def test_what_was_not_missed_is_done_besides(policies: dict[str, Any], missed: int) -> None:
    """Nothing ran for 90 s: three of nine ticks are more than 60 s late."""
    done = due("03:00:00", "03:01:25", "*/10 * * * * *", **policies)
    assert done == [at("03:00:20") + timedelta(seconds=10 * n) for n in range(1 - missed, 7)]


@pytest.mark.parametrize("policies", [{}, {**ALL, "most": 1000}])
def test_a_year_that_was_missed_is_no_work(policies: dict[str, Any]) -> None:
    """31 million ticks, of which 61 are not too late."""
    one, now = schedule(cron="* * * * * *", **policies), at("00:00")
    done = one.due(now - timedelta(days=365), now, GRACE)
    assert done[-1] == now
    assert len(done) == policies.get("most", 1) + 61


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("policies", "days"),
    [({"catch_up": CatchUp.SKIP}, 0), ({}, 1), (ALL, 5), ({**ALL, "most": 2}, 2)],
)
async def test_after_five_days_that_nothing_ran(
    make: MakeScheduler, tables: Tables, policies: dict[str, Any], days: int
) -> None:
    now = await tables.now()
    daily = f"{now.minute} {(now.hour + 12) % 24} * * *"  # whenever this runs, no tick is near
    scheduler = make(schedule(cron=daily, **policies))
    await scheduler.keep(starting=True)
    following = (await tables.row())["next_at"]
    last = following - timedelta(days=1)
    await tables.connection.execute("UPDATE schedules SET next_at = $1", last - timedelta(days=4))
    assert await scheduler.tick() == 0
    assert await tables.ticks() == [last - timedelta(days=n) for n in reversed(range(days))]
    assert (await tables.row())["next_at"] == following


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "No Name"}, "'No Name' is no name of a schedule: use a-z, 0-9 and _."),
        ({"cron": "x"}, "Schedule one: 'x' is no cron expression: wrong number of fields."),
        ({"zone": "x"}, "Schedule one: 'x' is no time zone; one is 'Europe/Berlin'."),
        ({"most": 0}, "Schedule one: catch up from 1 to 1000 ticks."),
        ({"most": 1001}, "Schedule one: catch up from 1 to 1000 ticks."),
        ({"catch_up": CatchUp.ALL}, "Schedule one: to catch up all, its jobs must overlap."),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        schedule(**{"name": "one", "cron": HOURLY, **arguments})
    assert str(refused.value) == said
