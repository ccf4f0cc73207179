"""What a real Prometheus stores of our pages is what the registry holds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS, bucket_of
from agentmem_observe.telemetry.endpoint import MetricsEndpoint
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry

pytestmark = pytest.mark.server

NAME = catalog.OPERATION_LATENCY.name
LABELS = dict(
    target="fake", category="storage", benchmark="b", operation="o", tier="stm", outcome="ok"
)
QUANTILES = (0.5, 0.95, 0.99)
NATIVE_TOLERANCE = 0.011


@dataclass(frozen=True)
class Scraped:
    """A registry, and two servers that scrape it: protobuf, and OpenMetrics."""

    histogram: Histogram
    exemplars: tuple[Exemplar, ...]
    native: Any
    classic: Any


@pytest.fixture(scope="module")
def scraped(start_prometheus, prometheus_version, hostile_families, bomb) -> Iterator[Scraped]:
    random = np.random.default_rng(4)
    histogram = Histogram()
    histogram.record((random.lognormal(-8, 0.8, 50_000) * 1e9).astype(np.int64))
    registry = MetricRegistry()
    registry.merge(catalog.OPERATION_LATENCY, LABELS, histogram)
    registry.add(catalog.OPERATIONS, LABELS, histogram.count)
    registry.set(catalog.BENCHMARK_PROGRESS, labels_of_run(), 0.25)
    registry.set_state(catalog.VALIDITY, labels_of_run(), "valid")
    exemplars = tuple(exemplar(histogram.percentile(percent), percent) for percent in (5, 50, 99))
    for each in exemplars:
        registry.note(catalog.OPERATION_LATENCY, LABELS, each)
    hostile = MetricRegistry()
    hostile.collect = lambda: hostile_families
    with (
        MetricsEndpoint(registry) as good,
        MetricsEndpoint(hostile) as strange,
        MetricsEndpoint(bomb) as huge,
    ):
        jobs = {"good": good, "strange": strange, "huge": huge}
        both = start_prometheus(
            *(job(name, endpoint, prometheus_version) for name, endpoint in jobs.items()),
            features=["native-histograms", "exemplar-storage"],
        )
        classic = start_prometheus(
            *(job(name, endpoint, (0,)) for name, endpoint in jobs.items()),
            features=["exemplar-storage"],
        )
        for server in (both, classic):
            for name in jobs:
                server.scraped(name)
        yield Scraped(histogram, exemplars, both, classic)


def job(name: str, endpoint: MetricsEndpoint, version: tuple[int, ...]) -> dict[str, Any]:
    """Return a scrape config that keeps classic buckets beside native ones, if it can be said."""
    config = {
        "job_name": name,
        "static_configs": [{"targets": [urlsplit(endpoint.url).netloc]}],
        "scrape_interval": "2s",
        "scrape_timeout": "2s",
    }
    if version >= (3,):
        config["always_scrape_classic_histograms"] = True
    elif version >= (2, 45):
        config["scrape_classic_histograms"] = True
    return config


def labels_of_run() -> dict[str, str]:
    return {name: LABELS[name] for name in catalog.RUN}


def exemplar(seconds: float, number: int) -> Exemplar:
    return Exemplar(seconds, f"{number:032x}", f"{number:016x}", 1_700_000_000.5)


def only(server, promql: str) -> float:
    ((_, value),) = server.query(promql)
    return value


@pytest.mark.parametrize("q", QUANTILES)
def test_a_native_quantile_is_ours(scraped, q):
    found = only(scraped.native, f'histogram_quantile({q}, {NAME}{{job="good"}})')

    assert found == pytest.approx(scraped.histogram.percentile(q * 100), rel=NATIVE_TOLERANCE)


@pytest.mark.parametrize("q", QUANTILES)
def test_a_classic_quantile_falls_into_the_bucket_of_ours(scraped, q):
    found = only(scraped.classic, f'histogram_quantile({q}, {NAME}_bucket{{job="good"}})')

    assert bucket_of(found) == bucket_of(scraped.histogram.percentile(q * 100))


def test_native_and_classic_say_the_same_count_and_sum_as_we(scraped):
    native = f'{NAME}{{job="good"}}'

    assert only(scraped.native, f"histogram_count({native})") == scraped.histogram.count
    assert only(scraped.native, f"histogram_sum({native})") == scraped.histogram.sum_seconds
    classic = {
        part: only(scraped.classic, f'{NAME}_{part}{{job="good"}}') for part in ("count", "sum")
    }
    assert classic == {
        "count": scraped.histogram.count,
        "sum": scraped.histogram.sum_seconds,
    }


def test_every_native_bucket_is_stored_as_we_count_it(scraped):
    (found,) = scraped.native.get("/api/v1/query", query=f'{NAME}{{job="good"}}')["result"]

    buckets = [(float(high), int(count)) for _, _, high, count in found["histogram"][1]["buckets"]]
    ours = scraped.histogram.downscaled()
    filled = np.flatnonzero(ours.counts)
    assert [count for _, count in buckets] == ours.counts[filled].tolist()
    bounds = ours.upper_bounds_seconds()[filled]
    assert [bound for bound, _ in buckets] == pytest.approx(bounds.tolist(), rel=1e-12)


def test_every_classic_bucket_is_stored_as_we_count_it(scraped):
    found = scraped.classic.query(f'{NAME}_bucket{{job="good"}}')

    stored = {float(labels["le"]): value for labels, value in found}
    bounds = (*BOUNDS_SECONDS, math.inf)
    assert stored == dict(zip(bounds, scraped.histogram.cumulative_at(bounds), strict=True))


def test_classic_buckets_come_with_the_protobuf_page_too(scraped, prometheus_version):
    if prometheus_version < (2, 45):
        pytest.skip("before 2.45 Prometheus keeps either native or classic buckets, not both")

    found = scraped.native.query(f'{NAME}_bucket{{job="good"}}')

    assert {float(labels["le"]) for labels, _ in found} == {*BOUNDS_SECONDS, math.inf}


@pytest.mark.parametrize("which", ["native", "classic"])
def test_labels_and_values_of_everything_else_are_stored(scraped, which):
    server = getattr(scraped, which)

    ((labels, value),) = server.query('agentmem_operations_total{job="good"}')
    states = server.query('agentmem_validity{job="good"}')

    assert value == scraped.histogram.count
    assert {name: labels[name] for name in LABELS} == LABELS
    assert only(server, 'agentmem_benchmark_progress_ratio{job="good"}') == 0.25
    verdicts = {labels["verdict"]: value for labels, value in states}
    assert verdicts == {"valid": 1, "degraded": 0, "void": 0}


def test_exemplars_can_be_found_by_their_series(scraped):
    where = dict(query=f'{NAME}_bucket{{job="good"}}', start=1_700_000_000, end=1_700_000_001)

    found = scraped.classic.get("/api/v1/query_exemplars", **where)

    stored = {
        (
            float(series["seriesLabels"]["le"]),
            each["labels"]["trace_id"],
            each["labels"]["span_id"],
            float(each["value"]),
            each["timestamp"],
        )
        for series in found
        for each in series["exemplars"]
    }
    assert stored == {
        (BOUNDS_SECONDS[bucket_of(e.seconds)], e.trace_id, e.span_id, e.seconds, e.at_seconds)
        for e in scraped.exemplars
    }


def test_exemplars_of_native_histograms_can_be_found_too(scraped, prometheus_version):
    if prometheus_version < (2, 53):
        pytest.skip("this Prometheus does not store exemplars of native histograms")
    where = dict(query=f'{NAME}{{job="good"}}', start=1_700_000_000, end=1_700_000_001)

    (series,) = scraped.native.get("/api/v1/query_exemplars", **where)

    stored = {each["labels"]["trace_id"] for each in series["exemplars"]}
    assert stored == {exemplar.trace_id for exemplar in scraped.exemplars}


@pytest.mark.parametrize("which", ["native", "classic"])
def test_hostile_labels_are_stored_as_they_were_kept(scraped, hostile_families, which):
    server = getattr(scraped, which)

    found = server.query('agentmem_operations_total{job="strange"}')

    # A label that is empty is no label.
    stored = {tuple(labels.get(name, "") for name in LABELS) for labels, _ in found}
    assert stored == {sample.labels for sample in hostile_families[1].samples}


@pytest.mark.parametrize("which", ["native", "classic"])
def test_a_bomb_is_stored_bounded_and_complete(scraped, which):
    server = getattr(scraped, which)

    assert only(server, 'count(agentmem_operations_total{job="huge"})') == 301
    assert only(server, 'sum(agentmem_operations_total{job="huge"})') == 100_000


def test_scrapes_are_seen_in_the_page_itself(scraped):
    scrapes = catalog.EXPORTER_SCRAPES.name

    seen = scraped.classic.until(lambda: scraped.classic.query(f'{scrapes}{{job="good"}} >= 1'))

    assert len(seen) == 1
