"""What a job did lately, in points of a few seconds: the charts of the status page."""

import threading
import time
from collections import deque
from collections.abc import Callable

from agentmem_observe.daemon.controls import LivePoint, LiveView
from agentmem_observe.measure.recorder import OK, Aggregate

EVERY_SECONDS = 5.0
"""Length of a point."""

POINTS = 360
"""Points that are kept: half an hour."""


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
        self._points: deque[LivePoint] = deque(maxlen=POINTS)
        self._number = 0  # of the point in hand, in points since 1970
        self._aggregate = Aggregate()
        self._rss_bytes: float | None = None

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

    def view(self) -> LiveView:
        """Return the points that are over, oldest first, and the one in hand if it is all."""
        with self._lock:
            self._turn()
            points = list(self._points) or self._in_hand()
            return {"every_seconds": EVERY_SECONDS, "points": points}

    def _turn(self) -> None:
        """Close the point in hand if its time is over."""
        number = int(self._now() // EVERY_SECONDS)
        if number == self._number:
            return
        self._points.extend(self._in_hand())
        self._number, self._aggregate, self._rss_bytes = number, Aggregate(), None

    def _in_hand(self) -> list[LivePoint]:
        """Return the point in hand; none if nothing was seen."""
        outcomes = self._aggregate.outcomes()
        if not outcomes and self._rss_bytes is None:
            return []
        total = self._aggregate.total()
        # A closed loop has no due times: what its callers wait is what the target takes.
        waited = total.latency if total.latency.count else total.service_time
        ok = outcomes.get(OK, 0)
        return [
            {
                "at": (self._number + 1) * EVERY_SECONDS,
                "ok_per_second": ok / EVERY_SECONDS,
                "failed_per_second": (sum(outcomes.values()) - ok) / EVERY_SECONDS,
                "latency_p50_seconds": waited.percentile(50) if waited.count else None,
                "latency_p99_seconds": waited.percentile(99) if waited.count else None,
                "rss_bytes": self._rss_bytes,
            }
        ]
