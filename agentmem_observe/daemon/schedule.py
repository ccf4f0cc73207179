"""When a job is due: from its schedule and what the clocks say, to the times that came and went.

With jitter a time of the schedule comes due somewhat later, but never after the next one.
`Trigger` counts each that comes due once, whatever becomes of the clocks.
"""

import math
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol, TypeAlias

from agentmem_observe.daemon.calendar import LOCAL_TIME, Calendar
from agentmem_observe.units import format_period

CORRECTION_SECONDS = 86_400.0
"""A wall clock that is set by more was wrong before: what it showed then is not held on to."""

LONGEST_WAIT_SECONDS = 900.0
"""Nor if it is set back by more than this and by more than a job's times are apart: it would stand
still until the clock is there again."""


class Now(Protocol):
    """The two clocks that a schedule needs, both in seconds."""

    def wall(self) -> float:
        """Return the seconds since 1970; may be set back and forth."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since some moment; never set, and going on while suspended."""
        ...


class SystemNow:
    """The machine's clocks."""

    def wall(self) -> float:
        """Return the seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds since the machine was started, also those it was suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


SYSTEM_NOW = SystemNow()


@dataclass(frozen=True, slots=True)
class Every:
    """At a constant interval, whatever the wall clock says; the first time at once.

    Attributes:
        seconds: The interval, > 0.
        jitter_seconds: How much later than that it may be, from 0 to ``seconds``.

    Examples:
        >>> print(Every(21600, 300))
        every 6 h, up to 5 min later
    """

    seconds: float
    jitter_seconds: float = 0.0

    def __str__(self) -> str:
        return f"every {format_period(self.seconds)}{_later(self.jitter_seconds)}"


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a cron expression.

    Attributes:
        expression: Minute, hour, day of month, month, day of week.
        jitter_seconds: How much later than that it may be, >= 0; never after the next time.
        zone: Whose clock it is about.

    Examples:
        >>> print(Cron("0 3 * * *"))
        at 03:00 every day (0 3 * * *)
    """

    expression: str
    jitter_seconds: float = 0.0
    zone: tzinfo = LOCAL_TIME

    def __str__(self) -> str:
        said = Calendar(self.expression, self.zone).explain()
        said = said[:1].lower() + said[1:]
        return f"{said} ({self.expression}){_later(self.jitter_seconds)}"


@dataclass(frozen=True, slots=True)
class Once:
    """Once in the life of a state directory, at once.

    Examples:
        >>> print(Once())
        once
    """

    def __str__(self) -> str:
        return "once"


Schedule: TypeAlias = Every | Cron | Once


class Trigger:
    """Says when a job is due, and counts the times that passed without it.

    What has come due stays due until it is taken or skipped, however the clocks are set. One
    thread asks; others may read `next_due_at`.

    Examples:
        >>> trigger = Trigger(Once(), random=random.Random(1), last_run_at=None)
        >>> trigger.wait_seconds(), trigger.take(), trigger.wait_seconds()
        (0.0, 0, inf)
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        random: random.Random,
        last_run_at: float | None,
        now: Now = SYSTEM_NOW,
    ) -> None:
        """Plan the next time.

        Args:
            schedule: When.
            random: Draws the jitter.
            last_run_at: When the last run started, in seconds since 1970; None if there was none.
                Times since then have passed unseen: the last of them is due now.
            now: The clocks.
        """
        self._planned = _times_of(schedule, now, random, last_run_at)
        self._passed = 0
        self._due_at: float | None = None
        self._look()  # before anybody sets the clocks

    @property
    def next_due_at(self) -> float | None:
        """Return when it is or was due, in seconds since 1970; None if never again."""
        return self._due_at if self._passed else self._planned.next_at()

    def wait_seconds(self) -> float:
        """Return the seconds until it is due: 0 if it is, inf if it never is again.

        Ask again after a second or so instead of waiting for longer: clocks may be set.
        """
        self._look()
        return 0.0 if self._passed else self._planned.left_seconds()

    def take(self) -> int:
        """Take the time that is due, because the job is started for it.

        Returns:
            How many earlier ones had passed unseen.

        Raises:
            ValueError: If nothing is due.
        """
        passed = self.skip()
        if not passed:
            raise ValueError("nothing is due; wait for as long as wait_seconds says")
        return passed - 1

    def skip(self) -> int:
        """Let all times go that are due, as after a run that lasted longer than the interval.

        Returns:
            How many there were.
        """
        self._look()
        passed, self._passed = self._passed, 0
        return passed

    def _look(self) -> None:
        due_at = self._planned.next_at()
        passed = self._planned.passed()
        if passed:
            self._due_at = due_at
            self._passed += passed


class _Times(ABC):
    """What follows what in a schedule; the next time is always planned."""

    @abstractmethod
    def passed(self) -> int:
        """Return how many times have come due since the last call, and plan the next."""

    @abstractmethod
    def left_seconds(self) -> float:
        """Return the seconds until the next comes due; inf if none ever does."""

    @abstractmethod
    def next_at(self) -> float | None:
        """Return when it comes due, in seconds since 1970; None if never."""


class _EveryTimes(_Times):
    """A grid on the monotonic clock."""

    def __init__(
        self, schedule: Every, now: Now, random: random.Random, last_run_at: float | None
    ) -> None:
        self._schedule, self._now, self._random = schedule, now, random
        if last_run_at is None:
            self._begin, first = now.monotonic(), 0
        else:
            # A run that is yet to come shows that the clock was set back since: it is just over.
            self._begin, first = now.monotonic() - max(0.0, now.wall() - last_run_at), 1
        self._plan(first)

    def passed(self) -> int:
        if self._due > (now := self._now.monotonic()):
            return 0
        before, every = self._number, self._schedule
        # The machine may have been off for months: those that passed for sure are not walked.
        certain = math.floor((now - every.jitter_seconds - self._begin) / every.seconds)
        self._plan(max(before, certain) + 1)
        while self._due <= now:
            self._plan(self._number + 1)
        return self._number - before

    def left_seconds(self) -> float:
        return max(0.0, self._due - self._now.monotonic())

    def next_at(self) -> float:
        return self._now.wall() + self._due - self._now.monotonic()

    def _plan(self, number: int) -> None:
        jitter = self._random.uniform(0.0, self._schedule.jitter_seconds)
        self._number = number
        self._due = self._begin + number * self._schedule.seconds + jitter


class _CronTimes(_Times):
    """Times of day on the wall clock, each only once: behind the latest seen, none is planned."""

    def __init__(
        self, schedule: Cron, now: Now, random: random.Random, last_run_at: float | None
    ) -> None:
        self._schedule, self._now, self._random = schedule, now, random
        self._calendar = Calendar(schedule.expression, schedule.zone)
        wall = now.wall()
        if last_run_at is None or last_run_at > wall + CORRECTION_SECONDS:
            last_run_at = wall
        self._seen = last_run_at
        self._step_from = (wall, now.monotonic())
        self._plan_after(last_run_at)

    def passed(self) -> int:
        wall = self._now.wall()
        if self._was_corrected(wall):
            self._seen = wall
            self._plan_after(wall)
            return 0
        self._seen = max(self._seen, wall)
        count = 0
        while self._due <= wall:
            count += 1
            self._plan_next()
        return count

    def left_seconds(self) -> float:
        return max(0.0, self._due - self._now.wall())

    def next_at(self) -> float | None:
        return self._due if math.isfinite(self._due) else None

    def _was_corrected(self, wall: float) -> bool:
        before, monotonic_before = self._step_from
        self._step_from = (wall, monotonic := self._now.monotonic())
        forth = (wall - before) - (monotonic - monotonic_before)
        # A job of every minute is not to stand still for the hours that a clock was set back.
        longest_wait = min(CORRECTION_SECONDS, max(LONGEST_WAIT_SECONDS, self._apart))
        return forth > CORRECTION_SECONDS or self._seen - wall > longest_wait

    def _plan_after(self, at: float) -> None:
        self._times: Iterator[float] = self._calendar.after(at)
        self._following = next(self._times, math.inf)
        self._plan_next()

    def _plan_next(self) -> None:
        at, self._following = self._following, next(self._times, math.inf)
        self._apart = self._following - at if math.isfinite(at) else math.inf
        jitter = min(self._schedule.jitter_seconds, self._following - at)
        self._due = at + self._random.uniform(0.0, jitter) if math.isfinite(at) else at


class _OnceTimes(_Times):
    """One time, at once."""

    def __init__(self, now: Now, last_run_at: float | None) -> None:
        self._at = now.wall() if last_run_at is None else None

    def passed(self) -> int:
        at, self._at = self._at, None
        return 0 if at is None else 1

    def left_seconds(self) -> float:
        return math.inf if self._at is None else 0.0

    def next_at(self) -> float | None:
        return self._at


def _times_of(
    schedule: Schedule, now: Now, random: random.Random, last_run_at: float | None
) -> _Times:
    match schedule:
        case Every():
            return _EveryTimes(schedule, now, random, last_run_at)
        case Cron():
            return _CronTimes(schedule, now, random, last_run_at)
        case Once():
            return _OnceTimes(now, last_run_at)


def _later(jitter_seconds: float) -> str:
    return f", up to {format_period(jitter_seconds)} later" if jitter_seconds else ""
