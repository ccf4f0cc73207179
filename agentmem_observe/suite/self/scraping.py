"""What one scrape of many histograms costs, for the ``self`` benchmarks."""

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.prometheus import Format, compress, encode
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry

T = TypeVar("T")

_METRICS = (
    catalog.OPERATION_LATENCY,
    catalog.OPERATION_SERVICE_TIME,
    catalog.OPERATION_LATENESS,
    catalog.OPERATION_DISPATCH_DELAY,
)
_TIERS = ("stm", "im", "ltm")
_SEED = 4
_VALUES = 2_000
_SPREAD = 0.17  # of the logarithm; with 2,000 values some 50 native buckets are filled
_EXEMPLAR_PERCENTILES = (1, 50, 99, 100)
_AT_SECONDS = 1_700_000_000.0


class ScrapeCost(NamedTuple):
    """What one scrape costs.

    Attributes:
        cpu_seconds: CPU time to collect and encode.
        gzip_cpu_seconds: CPU time to compress the page.
        page_bytes: Size of the page.
        gzip_bytes: Size when it is compressed.
    """

    cpu_seconds: float
    gzip_cpu_seconds: float
    page_bytes: int
    gzip_bytes: int


def filled_registry(histograms: int) -> MetricRegistry:
    """Return a registry with so many series of durations around 0.2 ms, with exemplars.

    Args:
        histograms: How many, >= 1.
    """
    registry = MetricRegistry(series_limit=histograms)
    random = np.random.default_rng(_SEED)
    for number in range(histograms):
        which, metric = divmod(number, len(_METRICS))
        labels = {
            "target": "embedded",
            "category": "storage",
            "benchmark": f"benchmark_{which // len(_TIERS)}",
            "operation": "create_memory",
            "tier": _TIERS[which % len(_TIERS)],
            "outcome": "ok",
        }
        middle = np.log(2e5) + random.normal(0, 0.5)
        histogram = Histogram()
        histogram.record(random.lognormal(middle, _SPREAD, _VALUES).astype(np.int64))
        registry.merge(_METRICS[metric], labels, histogram)
        for percent in _EXEMPLAR_PERCENTILES:
            seconds = histogram.percentile(percent)
            trace_id, span_id = random.bytes(16).hex(), random.bytes(8).hex()
            exemplar = Exemplar(seconds, trace_id, span_id, _AT_SECONDS)
            registry.note(_METRICS[metric], labels, exemplar)
    return registry


def native_buckets_mean(registry: MetricRegistry) -> float:
    """Return how many native buckets its histograms fill on average, of at least one."""
    histograms = [
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if isinstance(sample.value, Histogram)
    ]
    filled = sum(len(each.to_prometheus_native().deltas) for each in histograms)
    return filled / len(histograms)


def scrape_costs(
    registry: MetricRegistry, rounds: int, advance: Callable[[float], None]
) -> dict[str, ScrapeCost]:
    """Scrape in each format in turn; the best round of each counts.

    Args:
        registry: What is scraped.
        rounds: How often each format has its turn, >= 1.
        advance: Told about each round.

    Returns:
        Costs, in CPU seconds of the calling thread, by format: text, openmetrics and protobuf.
    """
    turns: dict[str, list[ScrapeCost]] = {format.name.lower(): [] for format in Format}
    for _ in range(rounds):
        for format in Format:
            turns[format.name.lower()].append(_scrape(registry, format))
        advance(1)
    return {
        name: ScrapeCost(
            min(cost.cpu_seconds for cost in costs),
            min(cost.gzip_cpu_seconds for cost in costs),
            costs[-1].page_bytes,
            costs[-1].gzip_bytes,
        )
        for name, costs in turns.items()
    }


def _scrape(registry: MetricRegistry, format: Format) -> ScrapeCost:
    cpu_seconds, page = _timed(lambda: encode(registry.collect(), format))
    gzip_cpu_seconds, compressed = _timed(lambda: compress(page))
    return ScrapeCost(cpu_seconds, gzip_cpu_seconds, len(page), len(compressed))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.thread_time()
    result = work()
    return time.thread_time() - began, result
