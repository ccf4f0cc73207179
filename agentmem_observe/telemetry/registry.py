"""The series that every exporter reads: bounded in number, consistent at every moment."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry.buckets import bucket_of
from agentmem_observe.telemetry.catalog import (
    EXPORTER_REFUSED,
    EXPORTER_SERIES,
    METRICS,
    OVERFLOW,
    Kind,
    Metric,
)

DEFAULT_SERIES_LIMIT = 2_000
"""Series per metric: OpenTelemetry's default."""

_LONGEST_VALUE = 128  # characters of a label value; more is an attack or a mistake


class Exemplar(NamedTuple):
    """One operation out of a histogram, and the trace it is in.

    Attributes:
        seconds: What it took.
        trace_id: As 32 hexadecimal digits.
        span_id: As 16 hexadecimal digits.
        at_seconds: When it ended, since 1970.
    """

    seconds: float
    trace_id: str
    span_id: str
    at_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one moment.

    Attributes:
        labels: Values of the metric's labels, in their order.
        value: A number, or a histogram that nobody changes any more.
        since_seconds: When the series began, since 1970.
        exemplars: Of a histogram, one per classic bucket at the most, shortest first.
    """

    labels: tuple[str, ...]
    value: float | Histogram
    since_seconds: float
    exemplars: tuple[Exemplar, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its series, sorted by their labels; never empty."""

    metric: Metric
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class _Series:
    value: float | Histogram
    since_seconds: float
    exemplars: dict[int, Exemplar] = field(default_factory=dict)


class MetricRegistry:
    """Series by metric and labels; any thread may write and read.

    Examples:
        >>> registry = MetricRegistry()
        >>> registry.add(METRICS["agentmem_exporter_scrapes_total"], {}, 1)
        >>> [family.metric.name for family in registry.collect()][0]
        'agentmem_exporter_series'
    """

    def __init__(
        self, *, series_limit: int = DEFAULT_SERIES_LIMIT, now: Callable[[], float] = time.time
    ) -> None:
        """Begin empty.

        Args:
            series_limit: The most series of one metric, >= 1; one more takes the overflow.
            now: Seconds since 1970.
        """
        self._limit = series_limit
        self._now = now
        self._series: dict[str, dict[tuple[str, ...], _Series]] = {}
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[], None]] = []

    def add(self, metric: Metric, labels: Mapping[str, str], amount: float) -> None:
        """Increase a counter.

        Args:
            metric: A counter of the catalog.
            labels: A value for each of its labels.
            amount: By how much, finite and >= 0.

        Raises:
            ValueError: If the metric is no counter, a label is missing or strange, or the amount
                cannot be added.
        """
        if not 0 <= amount < math.inf:
            raise ValueError(f"{metric.name} is a counter and cannot change by {amount!r}")
        with self._lock:
            series = self._find(metric, labels, Kind.COUNTER)
            assert series is not None  # counters overflow, they are not lost
            assert not isinstance(series.value, Histogram)
            series.value += amount

    def set(self, metric: Metric, labels: Mapping[str, str], value: float) -> None:
        """Set a gauge.

        Raises:
            ValueError: If the metric is no gauge, or a label is missing or strange.
        """
        with self._lock:
            if series := self._find(metric, labels, Kind.GAUGE):
                series.value = value

    def set_alone(
        self, metric: Metric, labels: Mapping[str, str], value: float, *, of: str
    ) -> None:
        """Set a gauge, and drop the others of the metric with the same value of one label.

        Args:
            metric: A gauge of the catalog.
            labels: A value for each of its labels.
            value: What it is now.
            of: Name of that label.

        Raises:
            ValueError: If the metric is no gauge, or a label is missing or strange.
        """
        values, place = _key(metric, labels, Kind.GAUGE), metric.labels.index(of)
        with self._lock:
            known = self._series.setdefault(metric.name, {})
            for each in [each for each in known if each[place] == values[place]]:
                if each != values:
                    del known[each]
            self.set(metric, labels, value)

    def set_curve(
        self, metric: Metric, labels: Mapping[str, str], points: Mapping[tuple[str, ...], float]
    ) -> None:
        """Set the points of a gauge, in place of all that it had with the labels they share.

        Args:
            metric: A gauge of the catalog.
            labels: Its first labels, which are the curve's.
            points: By the values of its other labels, in their order.

        Raises:
            ValueError: If the metric is no gauge, or a label is missing or strange.
        """
        others = [name for name in metric.labels if name not in labels]
        with self._lock:
            self._forget(metric, labels)
            for values, value in points.items():
                self.set(metric, {**labels, **dict(zip(others, values, strict=True))}, value)

    def set_state(self, metric: Metric, labels: Mapping[str, str], state: str) -> None:
        """Set a state: 1 for the series of this value of the last label, 0 for the others.

        Raises:
            ValueError: If the metric has no such state, or a label is missing or strange.
        """
        if state not in metric.states:
            raise ValueError(f"{metric.name} has the states {metric.states}, not {state!r}")
        keys = {
            each: _key(metric, {**labels, metric.labels[-1]: each}, Kind.STATE)
            for each in metric.states
        }
        with self._lock:
            known = self._series.setdefault(metric.name, {})
            # All of them or none: a state of which some series are missing would be a lie.
            if keys[state] not in known and len(known) + len(keys) > self._limit:
                self.add(EXPORTER_REFUSED, {"metric": metric.name}, 1)
                return
            for each, values in keys.items():
                series = known.setdefault(values, _Series(0.0, self._now()))
                series.value = float(each == state)

    def merge(self, metric: Metric, labels: Mapping[str, str], histogram: Histogram) -> None:
        """Add the values of a histogram.

        Raises:
            ValueError: If the metric is no histogram, or a label is missing or strange.
        """
        with self._lock:
            series = self._find(metric, labels, Kind.HISTOGRAM)
            assert series is not None  # histograms overflow, they are not lost
            assert isinstance(series.value, Histogram)
            series.value.merge(histogram)

    def note(self, metric: Metric, labels: Mapping[str, str], exemplar: Exemplar) -> None:
        """Keep an exemplar of a histogram, in place of an older one of about the same duration.

        Raises:
            ValueError: If the metric is no histogram, or a label is missing or strange.
        """
        with self._lock:
            series = self._find(metric, labels, Kind.HISTOGRAM)
            assert series is not None  # histograms overflow, they are not lost
            series.exemplars[bucket_of(exemplar.seconds)] = exemplar

    def drop(self, metric: Metric, labels: Mapping[str, str]) -> None:
        """Drop a gauge or a state, if there is one: its value is not known any more.

        Args:
            metric: A gauge or a state of the catalog.
            labels: A value for each of its labels; of a state for all but the last.

        Raises:
            ValueError: If the metric is neither, or a label is missing or strange.
        """
        if metric.kind is Kind.STATE:
            last = metric.labels[-1]
            keys = [_key(metric, {**labels, last: each}, Kind.STATE) for each in metric.states]
        else:
            keys = [_key(metric, labels, Kind.GAUGE)]
        with self._lock:
            for key in keys:
                self._series.get(metric.name, {}).pop(key, None)

    def forget(self, **about: str) -> None:
        """Drop all series with these labels among others: what they are about is no more."""
        with self._lock:
            for name in self._series:
                self._forget(METRICS[name], about)

    def _forget(self, metric: Metric, about: Mapping[str, str]) -> None:
        known = self._series.get(metric.name, {})
        for values in list(known):
            if about.items() <= dict(zip(metric.labels, values, strict=True)).items():
                del known[values]

    def on_collect(self, callback: Callable[[], None]) -> None:
        """Call this before every `collect`, to bring in what is only read when it is asked for."""
        self._callbacks.append(callback)

    def collect(self) -> list[Family]:
        """Return all series as they are at one moment, in the catalog's order."""
        for callback in self._callbacks:
            callback()
        with self._lock:
            count = sum(map(len, self._series.values())) + (
                EXPORTER_SERIES.name not in self._series
            )
            self.set(EXPORTER_SERIES, {}, count)
            return [
                Family(
                    metric,
                    tuple(_sample(labels, series) for labels, series in sorted(found.items())),
                )
                for metric in METRICS.values()
                if (found := self._series.get(metric.name))
            ]

    def _find(self, metric: Metric, labels: Mapping[str, str], kind: Kind) -> _Series | None:
        """Return a series, made if there is room; beyond it the overflow's, or none of a gauge."""
        values = _key(metric, labels, kind)
        known = self._series.setdefault(metric.name, {})
        if found := known.get(values):
            return found
        if len(known) >= self._limit and metric is not EXPORTER_REFUSED:
            self.add(EXPORTER_REFUSED, {"metric": metric.name}, 1)
            if kind is Kind.GAUGE:
                return None
            values = (OVERFLOW,) * len(values)
        empty: float | Histogram = Histogram() if kind is Kind.HISTOGRAM else 0.0
        return known.setdefault(values, _Series(empty, self._now()))


def _key(metric: Metric, labels: Mapping[str, str], kind: Kind) -> tuple[str, ...]:
    if metric.kind is not kind:
        raise ValueError(f"{metric.name} is a {metric.kind}, not a {kind}")
    if labels.keys() != set(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {sorted(labels)}")
    return tuple(_bounded(labels[name]) for name in metric.labels)


def _bounded(value: str) -> str:
    """Return a label value that every format can carry."""
    return value[:_LONGEST_VALUE].encode("utf-8", "replace").decode()


def _sample(labels: tuple[str, ...], series: _Series) -> Sample:
    value = series.value
    if isinstance(value, Histogram):
        copy = Histogram()
        copy.merge(value)
        value = copy
    exemplars = tuple(sorted(series.exemplars.values()))
    return Sample(labels, value, series.since_seconds, exemplars)
