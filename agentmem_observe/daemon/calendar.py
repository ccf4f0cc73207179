"""From a cron expression to the moments it means, also on days when clocks are changed.

cronsim finds the times of day; which moments these are is decided here, as Debian's cron does:

- Where minute and hour are given, each time comes once: one that the change leaves out comes when
  the change is over, one that occurs twice comes the first time.
- Where one of them begins with ``*``, the clock counts as it stands: left-out times are left out,
  and those that occur twice come twice.

cronsim alone would do for changes by whole hours; with Lord Howe's half hour it loses times.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the time of day is all that counts
_SECOND = timedelta(seconds=1)
_DAY_SECONDS = 86_400
_LOOK_AHEAD_SECONDS = 400 * _DAY_SECONDS
_FIELDS = 5


class LocalTime(tzinfo):
    """The machine's own time zone, with its history and future of changes.

    Examples:
        >>> moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> moment.astimezone(LOCAL_TIME) == moment
        True
    """

    def __repr__(self) -> str:
        return "LOCAL_TIME"

    def fromutc(self, moment: datetime) -> datetime:
        """Return a moment's time of day."""
        # Without a zone it tells first and second time apart; `astimezone` does not.
        local = datetime.fromtimestamp(moment.replace(tzinfo=UTC).timestamp())  # noqa: DTZ006
        return local.replace(tzinfo=self)

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return what the time of day is ahead of UTC, as PEP 495 has it around a change.

        `datetime.astimezone` would do, but some versions of Python 3.12 are wrong by a quarter of
        an hour where clocks are changed by half of one.
        """
        if moment is None:
            return None
        shown = (moment.replace(tzinfo=None) - _EPOCH).total_seconds()
        before, after = _local_offset(shown - _DAY_SECONDS), _local_offset(shown + _DAY_SECONDS)
        is_before = _local_offset(shown - before.total_seconds()) == before
        is_after = _local_offset(shown - after.total_seconds()) == after
        if is_before != is_after:
            return before if is_before else after
        return after if moment.fold else before

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return None: how much of it is for summer is not known."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """Return the zone's abbreviation."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()


def _local_offset(at: float) -> timedelta:
    return datetime.fromtimestamp(at) - (_EPOCH + timedelta(seconds=at))  # noqa: DTZ006


LOCAL_TIME = LocalTime()


class Calendar:
    """The moments of a cron expression.

    Examples:
        >>> from itertools import islice
        >>> moments = Calendar("0 3 * * *", UTC).after(1_700_000_000)
        >>> [str(datetime.fromtimestamp(at, UTC)) for at in islice(moments, 2)]
        ['2023-11-15 03:00:00+00:00', '2023-11-16 03:00:00+00:00']
    """

    def __init__(self, expression: str, zone: tzinfo = LOCAL_TIME) -> None:
        """Read the expression.

        Args:
            expression: Minute, hour, day of month, month, day of week.
            zone: Whose time of day it is about.

        Raises:
            ValueError: If it is no cron expression, or means no moment at all.
        """
        fields = expression.split()
        if len(fields) != _FIELDS:
            raise ValueError(f"{len(fields)} fields instead of five")
        self._expression, self._zone = expression, zone
        self._is_fixed = not any(field.startswith("*") for field in fields[:2])
        try:
            times = CronSim(expression, _EPOCH)
        except CronSimError as error:
            raise ValueError(str(error)) from None
        if next(times, None) is None:
            raise ValueError("there is no such day")

    def explain(self) -> str:
        """Return the expression in words."""
        return CronSim(self._expression, _EPOCH).explain()

    def after(self, at: float) -> Iterator[float]:
        """Yield the moments after one, ascending, in seconds since 1970.

        Args:
            at: Seconds since 1970.
        """
        return self._once_a_time(at) if self._is_fixed else self._as_the_clock_stands(at)

    def _once_a_time(self, at: float) -> Iterator[float]:
        latest = at
        for time in CronSim(self._expression, _time_of_day(at, self._offset(at))):
            first = _moment(time, self._offset_at(time, fold=0))
            other = _moment(time, self._offset_at(time, fold=1))
            # The clock never shows this time: it jumps over it between these two moments.
            moment = self._change_between(other, first) if other < first else first
            if moment > latest:
                yield moment
                latest = moment

    def _as_the_clock_stands(self, at: float) -> Iterator[float]:
        for begin, offset, end in self._stretches(at):
            for time in CronSim(self._expression, _time_of_day(begin, offset)):
                moment = _moment(time, offset)
                if moment >= end:
                    break
                yield moment
            else:
                return

    def _stretches(self, at: float) -> Iterator[tuple[float, timedelta, float]]:
        """Yield stretches of time in which the clock is not changed.

        Yields:
            The moment before it, the offset in it, and the first moment that is not in it.
        """
        begin, offset = at, self._offset(at)
        while True:
            end = int(begin) + _DAY_SECONDS
            while self._offset(end) == offset and end < begin + _LOOK_AHEAD_SECONDS:
                end += _DAY_SECONDS
            if self._offset(end) != offset:
                end = self._change_between(end - _DAY_SECONDS, end)
            yield begin, offset, end
            begin, offset = end - 1, self._offset(end)

    def _change_between(self, before: float, after: float) -> int:
        """Return the first second with the offset that holds at ``after``."""
        low, high = int(before), int(after)
        offset = self._offset(high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._offset(middle) == offset else (middle, high)
        return high

    def _offset(self, at: float) -> timedelta:
        return datetime.fromtimestamp(at, self._zone).utcoffset() or timedelta()

    def _offset_at(self, time: datetime, fold: int) -> timedelta:
        return time.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta()


def _time_of_day(at: float, offset: timedelta) -> datetime:
    return _EPOCH + timedelta(seconds=at) + offset


def _moment(time: datetime, offset: timedelta) -> int:
    return (time - offset - _EPOCH) // _SECOND
