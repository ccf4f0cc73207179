"""The benchmark of scrapes measures what its entry says, and shows what the project promises."""

from collections.abc import Callable
from typing import Any

import pytest

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.suite.self import scraping
from agentmem_observe.telemetry.prometheus import Format, compress, encode

RunHere = Callable[..., Any]


def test_the_registry_has_as_many_histograms_as_are_asked_for() -> None:
    registry = scraping.filled_registry(50)

    samples = [
        sample
        for family in registry.collect()
        for sample in family.samples
        if isinstance(sample.value, Histogram)
    ]

    assert len(samples) == 50
    assert all(sample.value.count == 2000 and 1 < len(sample.exemplars) <= 4 for sample in samples)
    assert 45 < scraping.native_buckets_mean(registry) < 60


def test_it_is_the_same_page_each_time() -> None:
    first, second = (
        [family.samples for family in scraping.filled_registry(5).collect()[:4]] for _ in range(2)
    )

    def without_times(families: list[Any]) -> list[Any]:
        return [(s.labels, s.value, s.exemplars) for family in families for s in family]

    assert without_times(first) == without_times(second)


def test_sizes_are_those_of_the_pages_that_are_sent() -> None:
    registry = scraping.filled_registry(5)
    advanced: list[float] = []

    costs = scraping.scrape_costs(registry, 2, advanced.append)

    assert advanced == [1, 1]
    for format in Format:
        cost = costs[format.name.lower()]
        page = encode(registry.collect(), format)
        assert cost.page_bytes == len(page)
        assert cost.gzip_bytes == len(compress(page))
        assert 0 < cost.cpu_seconds < 1
        assert 0 < cost.gzip_cpu_seconds < 1


def test_the_protobuf_page_is_less_than_a_quarter_of_the_text(run_here: RunHere) -> None:
    ran = run_here("self", "scrape_cost", histograms=40, rounds=1)

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert results["protobuf_to_text_bytes_ratio"] < 0.25
    assert results["page_bytes"]["protobuf"] / results["page_bytes"]["text"] == pytest.approx(
        results["protobuf_to_text_bytes_ratio"]
    )
    assert results["scrape_cpu_seconds"].keys() == {"text", "openmetrics", "protobuf"}


def test_a_scrape_of_protobuf_takes_a_fraction_of_the_cpu_time_of_text() -> None:
    costs = scraping.scrape_costs(scraping.filled_registry(200), 3, lambda _: None)

    assert costs["protobuf"].cpu_seconds < costs["text"].cpu_seconds / 2
