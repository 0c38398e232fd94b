"""What a cron expression means, found by looking at every minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Field:
    """One field: as it is written, and what it matches."""

    text: str
    values: frozenset[int]


@dataclass(frozen=True)
class Expression:
    """An expression of five fields, whose month is any."""

    minute: Field
    hour: Field
    day: Field
    weekday: Field

    @property
    def text(self) -> str:
        """As it is written."""
        parts = (self.minute.text, self.hour.text, self.day.text, "*", self.weekday.text)
        return " ".join(parts)

    @property
    def of_the_day(self) -> bool:
        """Whether it names times of the day."""
        return not self.minute.text.startswith("*") and not self.hour.text.startswith("*")

    def matches(self, local: datetime) -> bool:
        """Whether the clock shows what it asks for."""
        day, weekday = local.day in self.day.values, local.isoweekday() % 7 in self.weekday.values
        both = self.day.text.startswith("*") or self.weekday.text.startswith("*")
        return (
            local.minute in self.minute.values
            and local.hour in self.hour.values
            and (day and weekday if both else day or weekday)
        )

    def ticks(self, begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Every tick after `begin` up to `end`, both whole minutes, in UTC."""
        moment, shown = begin, _shown(begin, zone)
        while moment < end:
            moment, before, shown = moment + MINUTE, shown, _shown(moment + MINUTE, zone)
            skipped = _left_out(before, shown) if self.of_the_day else ()
            again = self.of_the_day and shown.fold
            if (self.matches(shown) and not again) or any(map(self.matches, skipped)):
                yield moment


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock shows; `fold` says for the second time."""
    return moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None)


def _left_out(before: datetime, after: datetime) -> Iterator[datetime]:
    """What a clock leaves out that goes from one to the other within a minute."""
    local = before.replace(fold=0) + MINUTE
    while local < after.replace(fold=0):
        yield local
        local += MINUTE
