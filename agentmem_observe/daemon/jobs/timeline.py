"""What a job did lately, in points of a few seconds: the live charts of the status page."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import numpy as np

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.daemon.controls import LivePoint, LiveView
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.recorder import OK, Aggregate

EVERY_SECONDS = 5.0
"""Length of a point."""

POINTS = 360
"""Points that are kept: half an hour."""

LOOKS_BACK = 24
"""Points that a percentile may be of, if one has too few operations for it: two minutes, so that
a soak at the usual rate has a p99 also when it makes way for others now and then."""

_FIELDS = tuple(LivePoint.__annotations__)
_NOTHING = math.nan


class Timeline:
    """Folds what a job measures into points; one thread tells it, others may look.

    Examples:
        >>> timeline = Timeline(now=lambda: 12.0)
        >>> timeline.sampled(1024.0)
        >>> timeline.view()["points"][0]["at"], timeline.view()["points"][0]["rss_bytes"]
        (15.0, 1024.0)
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        """Begin without points.

        Args:
            now: Seconds since 1970.
        """
        self._now = now
        self._lock = threading.Lock()
        # A row a point and a column a field, used in turn: the same 23 kB for months.
        self._ring = np.full((POINTS, len(_FIELDS)), _NOTHING)
        self._closed = 0  # points that the ring was given
        self._waits: deque[tuple[int, Histogram]] = deque(maxlen=LOOKS_BACK)
        self._number = 0  # of the point in hand, in points since 1970
        self._aggregate = Aggregate()
        self._rss_bytes = _NOTHING
        self._ran_seconds = 0.0  # of the point in hand, up to the last pause
        self._runs_from: float | None = 0.0  # in the point in hand; None while it pauses

    def measured(self, delta: Aggregate) -> None:
        """These operations were measured since the last call."""
        with self._lock:
            self._turn()
            self._aggregate.merge(delta)

    def sampled(self, rss_bytes: float) -> None:
        """The worker's process had this RSS."""
        with self._lock:
            self._turn()
            self._rss_bytes = rss_bytes

    def pause(self) -> None:
        """From now on the job sends nothing because it is not to: that is no rate of zero."""
        with self._lock:
            now = self._turn()
            self._ran_seconds = self._ran_until(now)
            self._runs_from = None

    def resume(self) -> None:
        """From now on it sends; if nothing is answered, that is a rate of zero."""
        with self._lock:
            now = self._turn()
            if self._runs_from is None:
                self._runs_from = now

    def view(self, since: float = 0.0) -> LiveView:
        """Return the points that are over, oldest first, and the one in hand if it is all.

        Args:
            since: Only those that end no earlier, in seconds since 1970.
        """
        with self._lock:
            self._turn()
            if self._closed:
                next_row = self._closed % POINTS
                in_order = np.concatenate((self._ring[next_row:], self._ring[:next_row]))
                rows = in_order[in_order[:, 0] >= since].tolist()
            else:
                rows = [row for row in self._in_hand() if row[0] >= since]
        return {"every_seconds": EVERY_SECONDS, "points": [_point(row) for row in rows]}

    def _turn(self) -> float:
        """Close the point in hand if its time is over; return the time."""
        now = self._now()
        number = int(now // EVERY_SECONDS)
        if number != self._number:
            for row in self._in_hand():
                self._ring[self._closed % POINTS] = row
                self._closed += 1
            self._waits.append((self._number, self._waited()))
            self._number, self._aggregate, self._rss_bytes = number, Aggregate(), _NOTHING
            self._ran_seconds = 0.0
            if self._runs_from is not None:
                self._runs_from = number * EVERY_SECONDS
        return now

    def _in_hand(self) -> list[list[float]]:
        """Return the point in hand, its figures in the order of the fields; none if nothing is."""
        outcomes = self._aggregate.outcomes()
        if not outcomes and math.isnan(self._rss_bytes):
            return []
        ends_at = (self._number + 1) * EVERY_SECONDS
        ok = outcomes.get(OK, 0)
        failed = sum(outcomes.values()) - ok
        ran_seconds = self._ran_until(ends_at)
        if ran_seconds < EVERY_SECONDS / 2:  # what was answered late would look like much
            ran_seconds = _NOTHING
        waited = self._waited()
        return [
            [
                ends_at,
                ok / ran_seconds,
                failed / ran_seconds,
                self._percentile(waited, 50),
                self._percentile(waited, 99),
                waited.max_seconds,
                self._rss_bytes,
            ]
        ]

    def _waited(self) -> Histogram:
        total = self._aggregate.total()
        # A closed loop has no due times: what its callers wait is what the target takes.
        return total.latency if total.latency.count else total.service_time

    def _percentile(self, waited: Histogram, percent: int) -> float:
        """Return a percentile of the point in hand, with as many before it as it needs."""
        if not waited.count:
            return _NOTHING
        needed = fewest_samples_for(percent / 100)
        gathered = Histogram()
        gathered.merge(waited)
        for number, earlier in reversed(self._waits):
            if gathered.count >= needed or not 0 < self._number - number < LOOKS_BACK:
                break
            gathered.merge(earlier)
        return gathered.percentile(percent) if gathered.count >= needed else _NOTHING

    def _ran_until(self, time: float) -> float:
        """Return for how many seconds of the point in hand the job was not paused."""
        if self._runs_from is None:
            return self._ran_seconds
        return self._ran_seconds + max(0.0, time - self._runs_from)


def _point(row: list[float]) -> LivePoint:
    known = (None if math.isnan(value) else value for value in row)
    return cast("LivePoint", dict(zip(_FIELDS, known, strict=True)))
