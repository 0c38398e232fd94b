"""The ticks of a cron expression in a time zone, also where its clock changes."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim
from cronsim import CronSimError

from app.settings import SettingsError

_SECOND = timedelta(seconds=1)
# No zone changes its clock twice within this time.
_STEP = timedelta(hours=6)
# A leap day that is a certain weekday comes within 28 years, or 40 if a century is between.
_START = datetime(2000, 1, 1)  # noqa: DTZ001 - on whatever clock


class Cron:
    """Moments, all of them with a zone, that a cron expression means.

    expression: minute, hour, day, month, weekday, and a field for the second before them if there
                are six; what crontab(5) says of them, and `L` for the last day of a month
    zone:       a name of the IANA database
    Raises SettingsError when either is not usable, or there is no such moment.

    Where hour and minute are named (neither begins with `*`) the schedule is one of times of the
    day: a time that the clock leaves out is when it goes on, and one that it shows twice is the
    first of the two. Other schedules follow the clock: nothing while it leaves an hour out, and
    all of it when it shows an hour twice. So does cron on Debian.
    """

    def __init__(self, expression: str, zone: str) -> None:
        self.expression = " ".join(expression.split())
        self.zone = zone_named(zone)
        try:
            possible = next(CronSim(self.expression, _START), None)
        except CronSimError as error:
            reason = str(error).lower()
            raise SettingsError(f"{expression!r} is no cron expression: {reason}.") from error
        if possible is None:
            raise SettingsError(f"{expression!r} is no cron expression: that day never comes.")
        minute, hour = self.expression.split()[-5:-3]
        self._of_the_day = not minute.startswith("*") and not hour.startswith("*")

    def next(self, after: datetime) -> datetime:
        """The first tick after that moment, in the zone."""
        begin = after.astimezone(UTC).replace(microsecond=0)  # ticks are whole seconds
        tick = self._time_of_day(begin) if self._of_the_day else self._by_the_clock(begin)
        return tick.astimezone(self.zone)

    def between(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """The ticks from `begin` to `end`, both included."""
        tick = self.next(begin.astimezone(UTC) - timedelta(microseconds=1))
        while tick.astimezone(UTC) <= end:
            yield tick
            tick = self.next(tick)

    def latest(self, count: int, begin: datetime, end: datetime) -> list[datetime]:
        """The last ticks from `begin` to `end`, at most `count`, the oldest first.

        What lies before them costs nothing, however long it is.
        """
        begin, end, span = begin.astimezone(UTC), end.astimezone(UTC), timedelta(minutes=1)
        while True:
            since = max(begin, end - span)
            found = deque(self.between(since, end), maxlen=count)
            if len(found) == count or since == begin:
                return list(found)
            span *= 2

    def _matches(self, local: datetime) -> CronSim:
        """What the expression matches after `local`, on a clock that never changes."""
        return CronSim(self.expression, local.replace(tzinfo=None))

    def _time_of_day(self, after: datetime) -> datetime:
        ticks = map(self._moment, self._matches(after.astimezone(self.zone)))
        # in an hour that the clock shows again, those of its first time are over
        return next(tick for tick in ticks if tick > after)

    def _moment(self, local: datetime) -> datetime:
        """When the clock shows this for the first time, or goes on after leaving it out."""
        first, again = (
            local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)
        )
        if again < first:  # left out (PEP 495): what it is by the offsets after and before
            change = self._change(again, first, self._offset(again))
            assert change, "the offsets before and after are not the same"
            return change
        return first

    def _by_the_clock(self, after: datetime) -> datetime:
        """While its offset stays the same, a clock is UTC and a constant; so stretch by stretch."""
        offset = self._offset(after)
        while True:
            tick = next(self._matches(after + offset)).replace(tzinfo=UTC) - offset
            change = self._change(after + _SECOND, tick, offset)
            if change is None:
                return tick
            after, offset = change - _SECOND, self._offset(change)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta()

    def _change(self, begin: datetime, end: datetime, offset: timedelta) -> datetime | None:
        """The first second from `begin` to `end` in which the offset is another one."""
        last = begin
        while self._offset(last) == offset:
            if last >= end:
                return None
            begin, last = last, min(last + _STEP, end)
        seconds = range((last - begin) // _SECOND)
        changed = bisect_left(
            seconds, True, key=lambda second: self._offset(begin + second * _SECOND) != offset
        )
        return begin + changed * _SECOND


def zone_named(name: str) -> ZoneInfo:
    """The zone; SettingsError when the machine has none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, no name, a folder of the database
        raise SettingsError(f"{name!r} is no time zone; one is 'Europe/Berlin'.") from error
