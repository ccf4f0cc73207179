"""Pages that hold what was added since the last one that arrived."""

from typing import Any

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.sdk.resources import Resource

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS
from agentmem_observe.telemetry.otlp_metrics import MetricsPages
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry

LABELS = {
    "target": "fake",
    "category": "storage",
    "benchmark": "write",
    "operation": "create_memory",
    "tier": "",
    "outcome": "ok",
}
BEGAN, FIRST, SECOND, THIRD = 100.0, 200.0, 300.0, 400.0


def histogram_of(*values: int) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values, np.int64))
    return histogram


class World:
    """A registry, and pages of it at times that the test sets."""

    def __init__(self, **options: bool) -> None:
        self.at = BEGAN
        self.registry = MetricRegistry(now=lambda: self.at)
        self.pages = MetricsPages(Resource({}), delta=True, now=lambda: self.at, **options)

    def add(self, *values: int) -> None:
        self.registry.merge(catalog.OPERATION_LATENCY, LABELS, histogram_of(*values))
        self.registry.add(catalog.OPERATIONS, LABELS, len(values))

    def page(self, at: float) -> dict[str, Any]:
        self.at = at
        encoded = encode_metrics(self.pages.page(self.registry.collect()))
        metrics = encoded.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name.removeprefix("agentmem."): metric for metric in metrics}


def only_point(metric: Any) -> Any:
    data = getattr(metric, metric.WhichOneof("data"))
    assert data.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_DELTA
    (point,) = data.data_points
    return point


def times(point: Any) -> tuple[float, float]:
    return point.start_time_unix_nano / 1e9, point.time_unix_nano / 1e9


def test_a_page_holds_what_was_added_since_the_last():
    world = World()
    world.add(1_000, 50_000)
    first = world.page(FIRST)
    world.pages.delivered()
    world.add(10, 1_000, 7_000_000_000)
    second = world.page(SECOND)

    assert only_point(first["operations"]).as_double == 2
    assert times(only_point(first["operations"])) == (BEGAN, FIRST)
    assert only_point(second["operations"]).as_double == 3
    assert times(only_point(second["operations"])) == (FIRST, SECOND)
    point = only_point(second["operation.latency"])
    assert (point.count, point.sum) == (3, (10 + 1_000 + 7_000_000_000) / 1e9)
    assert times(point) == (FIRST, SECOND)
    added = histogram_of(10, 1_000, 7_000_000_000).to_otel()
    assert point.positive.offset == added.offset
    assert list(point.positive.bucket_counts) == added.bucket_counts


def test_the_extremes_of_a_first_page_are_known_and_of_a_later_one_not():
    world = World()
    world.add(1_000, 50_000)
    first = only_point(world.page(FIRST)["operation.latency"])
    world.pages.delivered()
    world.add(2_000)
    second = only_point(world.page(SECOND)["operation.latency"])

    assert (first.min, first.max) == (1e-6, 5e-5)
    assert not second.HasField("min")
    assert not second.HasField("max")


def test_a_page_that_got_lost_is_made_up_for_by_the_next():
    world = World()
    world.add(1_000)
    world.page(FIRST)
    world.pages.delivered()
    world.add(0, 2_000)
    world.page(SECOND)
    world.add(3_000)
    third = world.page(THIRD)

    assert only_point(third["operations"]).as_double == 3
    point = only_point(third["operation.latency"])
    assert (point.count, point.sum, point.zero_count) == (3, 5_000 / 1e9, 1)
    assert times(point) == (FIRST, THIRD)


def test_an_exemplar_is_sent_once():
    world = World()
    world.add(1_000_000)
    old = Exemplar(0.001, "1" * 32, "2" * 16, 150.0)
    world.registry.note(catalog.OPERATION_LATENCY, LABELS, old)
    first = only_point(world.page(FIRST)["operation.latency"])
    world.pages.delivered()
    world.registry.note(
        catalog.OPERATION_LATENCY, LABELS, Exemplar(0.9, "3" * 32, "4" * 16, 140.0)
    )
    second = only_point(world.page(SECOND)["operation.latency"])

    assert [exemplar.as_double for exemplar in first.exemplars] == [0.001]
    assert [exemplar.as_double for exemplar in second.exemplars] == [0.9]


def test_gauges_are_what_they_are():
    world = World()
    run = {name: LABELS[name] for name in ("target", "category", "benchmark")}
    world.registry.set(catalog.PROCESS_THREADS, run, 3)
    world.page(FIRST)
    world.pages.delivered()

    (point,) = world.page(SECOND)["process.threads"].gauge.data_points
    assert point.as_double == 3


@pytest.mark.parametrize("bound", BOUNDS_SECONDS)
def test_no_classic_bucket_loses_what_it_had(bound: float):
    world = World(exponential=False)
    world.add(round(bound * 1e9))  # the longest yet, so known to be within the bound
    world.page(FIRST)
    world.pages.delivered()
    world.add(10**12)
    point = only_point(world.page(SECOND)["operation.latency"])

    assert list(point.bucket_counts) == [0] * len(BOUNDS_SECONDS) + [1]


@pytest.mark.parametrize("seed", range(20))
def test_the_pages_add_up_to_the_whole(seed: int):
    random = np.random.default_rng(seed)
    exponential, explicit = World(), World(exponential=False)
    whole, sums = Histogram(), [0, 0]
    buckets: list[int] = [0] * 26
    for number in range(5):
        values = random.lognormal(13, 2 + number, 50).astype(np.int64)
        whole.merge(histogram_of(*values))
        for world in (exponential, explicit):
            world.add(*values)
        point = only_point(exponential.page(FIRST + number)["operation.latency"])
        classic = only_point(explicit.page(FIRST + number)["operation.latency"])
        if random.random() < 0.3 and number < 4:
            continue  # lost on the way
        exponential.pages.delivered()
        explicit.pages.delivered()
        sums = [sums[0] + point.count, sums[1] + round(point.sum * 1e9)]
        assert point.count == point.zero_count + sum(point.positive.bucket_counts)
        assert classic.count == sum(classic.bucket_counts) == point.count
        buckets = [a + b for a, b in zip(buckets, classic.bucket_counts, strict=True)]

    assert sums[0] == whole.count == sum(buckets)
    assert sums[1] == pytest.approx(whole.sum_ns, rel=1e-12)
