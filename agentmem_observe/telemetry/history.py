"""The past as series: points wait in a database on disk and go out as sorted OpenMetrics text.

Only increments are kept, so results may come in any order; sums are made when a series is written.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from agentmem_observe.errors import ExportError, ResultFormatError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.results.schema import ended_at
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS, LE
from agentmem_observe.telemetry.catalog import EXPORTER_SERIES, METRICS, Kind, Metric
from agentmem_observe.telemetry.registry import Family, MetricRegistry, Sample
from agentmem_observe.telemetry.runs import RunMetrics

_FUTURE_SECONDS = 60.0  # of a clock that is ahead of ours
_BAD_CONTENT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_METRICS: Final = tuple(METRICS.values())
_RANKS: Final = {metric.name: rank for rank, metric in enumerate(_METRICS)}

_SCHEMA = "CREATE TABLE points (rank INTEGER, labels TEXT, at INTEGER, began INTEGER, value TEXT)"
_INSERT = "INSERT INTO points VALUES (?, ?, ?, ?, ?)"
_SELECT = """
    SELECT rank, labels, at, began, value FROM points WHERE at >= ? AND at < ?
    ORDER BY rank, labels, at, rowid
"""

_Value: TypeAlias = list[int] | list[float]
"""A number; or, of a histogram, its sum in nanoseconds, its count, and one per classic bucket."""

_Key: TypeAlias = tuple[int, str]
_Row: TypeAlias = tuple[int, str, int, int, str]


class Period(NamedTuple):
    """A part of the past, in milliseconds since 1970: from ``start`` until before ``end``."""

    start: int
    end: int


_EVER = Period(0, 2**62)


@dataclass(slots=True)
class _Total:
    value: _Value
    at: int


class History:
    """Stored results as points of series; what it keeps in memory grows with the series alone.

    Examples:
        >>> with History() as history:
        ...     history.add(
        ...         {
        ...             "benchmark": "fine",
        ...             "category": "mine",
        ...             "timestamp": "20260101_000000",
        ...             "results": {},
        ...             "metadata": {"execution_time": 1.5},
        ...         }
        ...     )
        ...     print("".join(history.text()).splitlines()[1])
        # TYPE agentmem_benchmark_runs counter
    """

    def __init__(
        self,
        labels: Mapping[str, str] | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin empty.

        Args:
            labels: Put on every series, such as the ``job`` that live series have.
            now: Seconds since 1970.
        """
        self._more_labels = tuple((labels or {}).items())
        self._now = now
        # Without a name SQLite keeps it in memory while it is small, and removes it at the end.
        self._database = sqlite3.connect("")
        self._database.execute(_SCHEMA)

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, document: Mapping[str, Any]) -> None:
        """Take over a result.

        Args:
            document: A valid result.

        Raises:
            ResultFormatError: If it cannot be placed in time or has what no result has; then
                nothing of it is taken.
            ExportError: If there is no room for it.
        """
        at = self._placed(document)
        try:
            began = at - max(1, round((document["metadata"].get("execution_time") or 0) * 1000))
            registry = MetricRegistry()
            RunMetrics(registry).replay(document)
            rows = [
                row
                for family in registry.collect()
                if family.metric is not EXPORTER_SERIES  # of the process that exports, not of this
                for row in self._rows(family, at, max(0, began))
            ]
        except _BAD_CONTENT as error:
            raise ResultFormatError(
                f"not as agentmem-observe writes results: {type(error).__name__}: {error}"
            ) from error
        with _room():
            self._database.executemany(_INSERT, rows)

    def span(self) -> Period | None:
        """Return the period from the oldest end of a run to the newest; None if there is none."""
        with _room():
            start, end = self._database.execute("SELECT min(at), max(at) FROM points").fetchone()
        return None if start is None else Period(start, end + 1)

    def periods(self, length: int) -> list[Period]:
        """Return the periods of a length that have points, oldest first.

        Args:
            length: Milliseconds, > 0; they begin at multiples of it.

        Raises:
            ExportError: If there is no room on the disk for finding them.
        """
        with _room():
            self._database.execute("CREATE INDEX IF NOT EXISTS by_time ON points (at)")
            numbers = self._database.execute(
                "SELECT DISTINCT at / ? FROM points ORDER BY 1", (length,)
            ).fetchall()
        return [Period(number * length, (number + 1) * length) for (number,) in numbers]

    def text(self) -> Iterator[str]:
        """Yield everything as OpenMetrics 1.0 text, by metric, then labels, then time.

        A counter or histogram has a point where a run began and one where it ended; of several
        points of a series at one time, the later ones are moved by 1 ms.

        Raises:
            ExportError: If there is no room on the disk for sorting it.
        """
        return self._text(_EVER, {})

    def texts(self, periods: Iterable[Period]) -> Iterator[Iterator[str]]:
        """Yield a text for each period; counters and histograms go on from the one before.

        Args:
            periods: As `periods` returns them; each text must be read before the next is asked
                for.
        """
        totals: dict[_Key, _Total] = {}
        return (self._text(period, totals) for period in periods)

    def _text(self, period: Period, totals: dict[_Key, _Total]) -> Iterator[str]:
        with _room():
            rows: Iterator[_Row] = self._database.execute(_SELECT, period)
            for rank, of_metric in groupby(rows, itemgetter(0)):
                metric = _METRICS[rank]
                yield _head(metric)
                for _, of_series in groupby(of_metric, itemgetter(1)):
                    if metric.kind in (Kind.COUNTER, Kind.HISTOGRAM):
                        yield from _sums(metric, of_series, totals, period.start)
                    else:
                        yield from _gauges(metric, of_series)
        yield "# EOF\n"

    def _placed(self, document: Mapping[str, Any]) -> int:
        """Return when a result's run ended, in milliseconds since 1970."""
        seconds = ended_at(document)
        said = document["metadata"].get("ended_at", document["timestamp"])
        if seconds < 1:
            raise ResultFormatError(f"it ended before 1970, at {said!r}")
        # Prometheus takes no live samples that are older than its newest block.
        if seconds > self._now() + _FUTURE_SECONDS:
            raise ResultFormatError(f"it ends in the future, at {said!r}")
        return round(seconds * 1000)

    def _rows(self, family: Family, at: int, began: int) -> Iterator[_Row]:
        metric = family.metric
        for sample in family.samples:
            pairs = (*zip(metric.labels, sample.labels, strict=True), *self._more_labels)
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
            yield _RANKS[metric.name], labels, at, began, json.dumps(_value(sample))


def _gauges(metric: Metric, rows: Iterator[_Row]) -> Iterator[str]:
    last = -1
    for _, labels, at, _, text in rows:
        last = max(at, last + 1)
        yield _point(metric, labels, json.loads(text), last)


def _sums(
    metric: Metric, rows: Iterator[_Row], totals: dict[_Key, _Total], since: int
) -> Iterator[str]:
    for rank, labels, at, began, text in rows:
        increment: _Value = json.loads(text)
        before = totals.get((rank, labels)) or _Total([0] * len(increment), -1)
        at = max(at, before.at + 1)
        began = min(max(began, since), at - 1)  # what is before belongs to older blocks
        if began > before.at:
            yield _point(metric, labels, before.value, began)
        value = [old + new for old, new in zip(before.value, increment, strict=True)]
        yield _point(metric, labels, value, at)
        totals[rank, labels] = _Total(value, at)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ExportError(
            f"what is waiting to be written does not fit on the disk: {error}; "
            "free some space, or set SQLITE_TMPDIR to a directory that has some"
        ) from error


def _value(sample: Sample) -> _Value:
    if isinstance(sample.value, Histogram):
        histogram = sample.value
        return [histogram.sum_ns, histogram.count, *histogram.cumulative_at(BOUNDS_SECONDS)]
    return [float(sample.value)]


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _head(metric: Metric) -> str:
    kind = "gauge" if metric.kind is Kind.STATE else metric.kind
    name = metric.name.removesuffix("_total")
    unit = f"# UNIT {name} {metric.base_unit}\n" if metric.base_unit else ""
    return f"# HELP {name} {_escaped(metric.help)}\n# TYPE {name} {kind}\n{unit}"


def _point(metric: Metric, labels: str, value: _Value, at: int) -> str:
    """Return the lines of a series at one time."""
    name, when = metric.name, at / 1000
    if metric.kind is not Kind.HISTOGRAM:
        braces = f"{{{labels}}}" if labels else ""
        return f"{name}{braces} {value[0]!r} {when!r}\n"
    sum_ns, count, *buckets = value
    lines = [
        f'{name}_bucket{{{labels},le="{le}"}} {upto} {when!r}\n'
        for le, upto in zip(LE, (*buckets, count), strict=True)
    ]
    lines.append(f"{name}_sum{{{labels}}} {sum_ns / 1e9!r} {when!r}\n")
    lines.append(f"{name}_count{{{labels}}} {count} {when!r}\n")
    return "".join(lines)
