"""Families of the registry as OpenTelemetry's metrics: totals, or what the last page lacked."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from opentelemetry.sdk.metrics import Exemplar as OtelExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    DataT,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as ExplicitHistogram
from opentelemetry.sdk.metrics.export import Metric as OtelMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agentmem_observe import __version__
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.model import Int64Array
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS, HistogramStack
from agentmem_observe.telemetry.catalog import LABELS, Kind, Metric
from agentmem_observe.telemetry.registry import Family, Sample
from agentmem_observe.telemetry.semconv import ERROR_TYPE, SCOPE

_ERROR = "error:"
_SCOPE = InstrumentationScope(SCOPE, __version__)
_NO_BUCKETS = Buckets(0, [])

_Series = tuple[str, tuple[str, ...]]  # name of the metric, values of its labels


class MetricsPages:
    """Turns families into pages of metrics; one for each receiver.

    With delta temporality a page holds what was added since the last page that was delivered, so
    that one which got lost is made up for by the next. Not thread-safe.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        delta: bool = False,
        exponential: bool = True,
        exemplars: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin with nothing delivered.

        Args:
            resource: What all of them are measured of.
            delta: Give sums and histograms as what was added, not as totals.
            exponential: Give histograms exponential buckets, else the classic ones.
            exemplars: Give histograms their exemplars.
            now: Seconds since 1970.
        """
        self._resource = resource
        self._delta = delta
        self._exponential = exponential
        self._exemplars = exemplars
        self._now = now
        self._delivered: dict[_Series, Sample] = {}
        self._delivered_at = 0.0
        self._last: tuple[float, Sequence[Family]] = (0.0, ())

    def page(self, families: Sequence[Family]) -> MetricsData:
        """Return families as the SDK's exporters take them; the page is of this moment."""
        # Between pages a copy of everything would lie about for nobody.
        self._last = (self._now(), families if self._delta else ())
        metrics = [
            OtelMetric(
                family.metric.otel_name,
                family.metric.help,
                family.metric.unit,
                self._data(family),
            )
            for family in families
        ]
        scope = ScopeMetrics(_SCOPE, metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], self._resource.schema_url)])

    def delivered(self) -> None:
        """Note that the last page has arrived."""
        if self._delta:
            self._delivered_at, families = self._last
            self._delivered = {
                (family.metric.name, sample.labels): sample
                for family in families
                for sample in family.samples
            }

    def _data(self, family: Family) -> DataT:
        metric, samples = family.metric, family.samples
        temporality = (
            AggregationTemporality.DELTA if self._delta else AggregationTemporality.CUMULATIVE
        )
        match metric.kind:
            case Kind.COUNTER:
                numbers = [self._number(metric, sample) for sample in samples]
                return Sum(numbers, temporality, is_monotonic=True)
            case Kind.HISTOGRAM if self._exponential:
                exponential = [self._exponential_point(metric, sample) for sample in samples]
                return ExponentialHistogram(exponential, temporality)
            case Kind.HISTOGRAM:
                explicit = [self._explicit_point(metric, sample) for sample in samples]
                return ExplicitHistogram(explicit, temporality)
            case _:
                return Gauge([self._number(metric, sample) for sample in samples])

    def _number(self, metric: Metric, sample: Sample) -> NumberDataPoint:
        before = self._before(metric, sample) if metric.kind is Kind.COUNTER else None
        return NumberDataPoint(
            attributes=_attributes(metric, sample),
            start_time_unix_nano=self._start_ns(sample, before),
            time_unix_nano=_nanoseconds(self._last[0]),
            value=_plain(sample) - (_plain(before) if before else 0.0),
        )

    def _exponential_point(self, metric: Metric, sample: Sample) -> ExponentialHistogramDataPoint:
        before = self._before(metric, sample)
        value, old = _histogram(sample), _histogram(before) if before else Histogram()
        buckets, old_buckets = value.to_otel(), old.to_otel()
        counts = buckets.bucket_counts
        for place, count in enumerate(old_buckets.bucket_counts, old_buckets.offset):
            counts[place - buckets.offset] -= count
        shortest, longest = _extremes(value, before)
        return ExponentialHistogramDataPoint(
            attributes=_attributes(metric, sample),
            start_time_unix_nano=self._start_ns(sample, before),
            time_unix_nano=_nanoseconds(self._last[0]),
            count=value.count - old.count,
            sum=(value.sum_ns - old.sum_ns) / 1e9,
            scale=buckets.scale,
            zero_count=value.zero_count - old.zero_count,
            positive=Buckets(buckets.offset, counts),
            negative=_NO_BUCKETS,
            flags=0,
            min=shortest,  # type: ignore[arg-type]  # the encoder leaves None out, as OTLP allows
            max=longest,  # type: ignore[arg-type]  # likewise
            exemplars=self._exemplars_of(sample, before),
        )

    def _explicit_point(self, metric: Metric, sample: Sample) -> HistogramDataPoint:
        before = self._before(metric, sample)
        value, old = _histogram(sample), _histogram(before) if before else Histogram()
        shortest, longest = _extremes(value, before)
        return HistogramDataPoint(
            attributes=_attributes(metric, sample),
            start_time_unix_nano=self._start_ns(sample, before),
            time_unix_nano=_nanoseconds(self._last[0]),
            count=value.count - old.count,
            sum=(value.sum_ns - old.sum_ns) / 1e9,
            bucket_counts=(_classic(value) - _classic(old)).tolist(),
            explicit_bounds=BOUNDS_SECONDS,
            min=shortest,  # type: ignore[arg-type]  # the encoder leaves None out, as OTLP allows
            max=longest,  # type: ignore[arg-type]  # likewise
            exemplars=self._exemplars_of(sample, before),
        )

    def _before(self, metric: Metric, sample: Sample) -> Sample | None:
        """Return the sample from which on we count, None for the beginning."""
        return self._delivered.get((metric.name, sample.labels))

    def _start_ns(self, sample: Sample, before: Sample | None) -> int:
        return _nanoseconds(self._delivered_at if before else sample.since_seconds)

    def _exemplars_of(self, sample: Sample, before: Sample | None) -> list[OtelExemplar]:
        old = before.exemplars if before else ()
        return [
            OtelExemplar(
                filtered_attributes={},
                value=exemplar.seconds,
                time_unix_nano=_nanoseconds(exemplar.at_seconds),
                span_id=int(exemplar.span_id, 16),
                trace_id=int(exemplar.trace_id, 16),
            )
            for exemplar in (sample.exemplars if self._exemplars else ())
            if exemplar not in old
        ]


def _attributes(metric: Metric, sample: Sample) -> dict[str, str]:
    labels = dict(zip(metric.labels, sample.labels, strict=True))
    attributes = {LABELS[name].attribute: value for name, value in labels.items()}
    outcome = labels.get("outcome", "")
    if outcome.startswith(_ERROR):
        attributes[ERROR_TYPE] = outcome.removeprefix(_ERROR)
    return attributes


def _plain(sample: Sample) -> float:
    assert not isinstance(sample.value, Histogram)
    return float(sample.value)  # never an integer: a series must not change its type


def _histogram(sample: Sample) -> Histogram:
    assert isinstance(sample.value, Histogram)
    return sample.value


def _extremes(value: Histogram, before: Sample | None) -> tuple[float | None, float | None]:
    """Return minimum and maximum, which of a difference nobody knows."""
    if before or not value.count:
        return None, None
    return value.min_seconds, value.max_seconds


def _classic(histogram: Histogram) -> Int64Array:
    """Return the counts of the classic buckets, each on its own."""
    (upto,) = HistogramStack([histogram]).classic()
    counts: Int64Array = np.diff(upto, prepend=0, append=histogram.count)
    return counts


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1_000  # finer than a float's resolution of our days is noise
