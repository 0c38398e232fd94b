"""Schedules: when which job is enqueued, and what of the times that were missed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from enum import StrEnum

from app.queue import Kind
from app.scheduler.cron import Cron
from app.settings import SettingsError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
# So many missed ticks at most are made up for, in one transaction.
MOST = 1000


class CatchUp(StrEnum):
    """What becomes of ticks that were missed, because no scheduler ran.

    SKIP: nothing; ONCE: one job, for the latest of them; ALL: a job for each, up to a bound.
    """

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a tick while the schedule's previous job waits or runs.

    SKIP: nothing, as that job is still to be done; ALLOW: another job.
    """

    SKIP = "skip"
    ALLOW = "allow"


class Schedule[P]:
    """A job of this kind, at every tick of a cron expression.

    name:     the schedule is remembered under it
    cron:     as in `Cron`, on the clock of `zone`
    payload:  makes the job's payload; it is given the tick, in the zone
    catch_up: what becomes of ticks that were missed
    most:     for CatchUp.ALL: how many of them at most, the latest; up to 1000
    overlap:  what becomes of ticks whose predecessor is not done
    Raises SettingsError when they do not fit.
    """

    def __init__(
        self,
        name: str,
        cron: str,
        kind: Kind[P],
        payload: Callable[[datetime], P],
        *,
        zone: str = "UTC",
        catch_up: CatchUp = CatchUp.ONCE,
        most: int = 100,
        overlap: Overlap = Overlap.SKIP,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is no name of a schedule: use a-z, 0-9 and _.")
        if not 1 <= most <= MOST:
            raise SettingsError(f"Schedule {name}: catch up from 1 to {MOST} ticks.")
        if catch_up is CatchUp.ALL and overlap is Overlap.SKIP:
            raise SettingsError(f"Schedule {name}: to catch up all, its jobs must overlap.")
        try:
            self.ticks = Cron(cron, zone)
        except SettingsError as error:
            raise SettingsError(f"Schedule {name}: {error}") from error
        self.name = name
        self.kind = kind
        self.payload = payload
        self.catch_up = catch_up
        self.most = most
        self.overlap = overlap

    @property
    def definition(self) -> tuple[str, str]:
        """Expression and zone; with another one the schedule begins anew."""
        return self.ticks.expression, self.ticks.zone.key

    def due(self, first: datetime, now: datetime, grace: timedelta) -> list[datetime]:
        """The ticks to do of those from `first` to `now`, the oldest first.

        Up to `grace` a tick is late, and is done whatever the policy; then it was missed.
        """
        punctual = now.astimezone(UTC) - grace
        if first >= punctual:
            return list(self.ticks.between(first, now))
        missed: list[datetime] = []
        if self.catch_up is not CatchUp.SKIP:
            most = self.most if self.catch_up is CatchUp.ALL else 1
            missed = self.ticks.latest(most, first, punctual - timedelta(microseconds=1))
        return [*missed, *self.ticks.between(punctual, now)]
