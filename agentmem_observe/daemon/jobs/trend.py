"""What a job did over hours and weeks: its windows or runs, thinned to what a chart can show."""

import math
import time
from collections.abc import Sequence
from typing import TypeAlias, cast

from agentmem_observe.daemon.controls import TrendPoint, TrendView
from agentmem_observe.daemon.state.directory import State

STRETCHES = 250
"""Of which there are two points each: more than a chart of this page has pixels."""

_FIELDS = tuple(TrendPoint.__annotations__)[1:]  # all but the time

_LATENCIES = ("latency_p50_seconds", "latency_p99_seconds", "latency_max_seconds")
_OF_A_WINDOW = (
    "achieved_operations_per_second",
    "failed_operations",
    "seconds",
    *_LATENCIES,
    "worker_rss_bytes",
)
_OF_A_RUN = (*_LATENCIES, "rss_max_bytes")

Figures: TypeAlias = Sequence[float | None]


class Trend:
    """Folds what ended one after the other, told newest first, into a bounded number of points.

    Examples:
        >>> trend = Trend(until=1_000.0, seconds=500.0)
        >>> trend.see(990.1, 990.5, [3.0] + 6 * [None])
        >>> trend.see(990.0, 990.1, [5.0] + 6 * [None])
        >>> [(point["at"], point["ok_per_second"]) for point in trend.points()]
        [(990.5, 5.0), (991.5, 3.0)]
    """

    def __init__(self, until: float, seconds: float) -> None:
        """Begin without anything.

        Args:
            until: When the time ends, in seconds since 1970.
            seconds: Its length, > 0.
        """
        self._length = seconds / STRETCHES
        self._last = math.floor(until / self._length)
        self._first = self._last - STRETCHES + 1
        self._stretches: dict[int, list[_Extremes]] = {}

    @property
    def begins_at(self) -> float:
        """Return the first moment of the first stretch: these do not move with the clock."""
        return self._first * self._length

    def see(self, started_at: float, ended_at: float, figures: Figures) -> None:
        """This ended before all that was told of: it is of the stretch that its middle is in.

        If it is long, it is of those too whose middle is in it, for it went on in them.

        Args:
            started_at: Seconds since 1970.
            ended_at: Seconds since 1970.
            figures: In the order of the fields of a point, without the time.
        """
        began_at = min(started_at, ended_at)  # a clock may have been set
        home = math.floor((began_at + ended_at) / 2 / self._length)
        first = max(self._first, min(home, math.ceil(began_at / self._length - 0.5)))
        last = min(self._last, max(home, math.floor(ended_at / self._length - 0.5)))
        for number in range(first, last + 1):
            if (stretch := self._stretches.get(number)) is None:
                stretch = self._stretches[number] = [_Extremes() for _ in _FIELDS]
            for extremes, value in zip(stretch, figures, strict=True):
                if value is not None:
                    extremes.see(value)

    def points(self) -> list[TrendPoint]:
        """Return two points for each stretch in which something was, oldest first."""
        points = []
        for number, stretch in sorted(self._stretches.items()):
            for place in (0, 1):
                figures = [extremes.in_order()[place] for extremes in stretch]
                point: dict[str, float | None] = {"at": (number + 0.25 + place / 2) * self._length}
                point |= zip(_FIELDS, figures, strict=True)
                points.append(cast("TrendPoint", point))
        return points


class _Extremes:
    """The least and the greatest value of one figure in a stretch, told newest first."""

    __slots__ = ("_greatest", "_least", "_least_is_earlier")

    def __init__(self) -> None:
        self._least: float | None = None
        self._greatest: float | None = None
        self._least_is_earlier = True

    def see(self, value: float) -> None:
        if self._least is None or value < self._least:
            self._least, self._least_is_earlier = value, True
        if self._greatest is None or value > self._greatest:
            self._greatest, self._least_is_earlier = value, False

    def in_order(self) -> tuple[float | None, float | None]:
        if self._least_is_earlier:
            return self._least, self._greatest
        return self._greatest, self._least


def trend_of_windows(state: State, job: str, seconds: float) -> TrendView:
    """Return the trend of a soak.

    Args:
        state: Has its windows.
        job: Its name.
        seconds: How far back, > 0.
    """
    now = time.time()
    trend = Trend(now, seconds)

    def see(started_at: float, ended_at: float, figures: Figures) -> bool:
        answered, failed_operations, length, *latencies, rss_bytes = figures
        failed = failed_operations / length if failed_operations is not None and length else None
        ok = None if answered is None else max(0.0, answered - (failed or 0.0))
        trend.see(started_at, ended_at, [ok, failed, *latencies, rss_bytes, None])
        return ended_at >= trend.begins_at

    state.window_figures(job, _OF_A_WINDOW, see)
    return _view(job, now, seconds, trend)


def trend_of_runs(state: State, job: str, seconds: float) -> TrendView:
    """Return the trend of a benchmark job; of its runs, those that were ok.

    Args:
        state: Has its runs.
        job: Its name.
        seconds: How far back, > 0.
    """
    now = time.time()
    trend = Trend(now, seconds)

    def see(started_at: float, ended_at: float, figures: Figures) -> bool:
        trend.see(started_at, ended_at, [None, None, *figures, ended_at - started_at])
        return ended_at >= trend.begins_at

    state.run_figures(job, _OF_A_RUN, see)
    return _view(job, now, seconds, trend)


def _view(job: str, now: float, seconds: float, trend: Trend) -> TrendView:
    return {
        "job": job,
        "until": now,
        "seconds": seconds,
        "every_seconds": seconds / (2 * STRETCHES),
        "points": trend.points(),
    }
