"""What exporting costs is only known if everything really was exported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench.discover import Benchmark, discover
from agentmem_observe.bench.runner import BenchmarkRunner, RunOptions
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.suite.self import exporting


def test_the_ratios_are_of_pairs_with_and_without_exporters(
    run_here: Callable[..., Any],
) -> None:
    ran = run_here("self", "export_overhead", operations=2000, rounds=2)

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert len(results["operations_per_second"]) == 2
    for ratio in ("operations_per_second_ratio", "operations_per_cpu_second_ratio"):
        spread = results[ratio]
        assert 0 < spread["lowest"] <= spread["median"] <= spread["highest"]


def test_with_exporters_spans_and_metrics_reach_the_collector(tmp_path: Path) -> None:
    config = BenchmarkConfig(output_dir=str(tmp_path))
    options = RunOptions(target="fake", suites=(exporting._IDLE,))

    with exporting._everything("well") as further:
        registry = further["observer"]._metrics.registry
        BenchmarkRunner(config, options=options, **further).run_benchmark(
            "nothing", "no_operations", {"operations": 5000}
        )

    (items,) = (
        family.samples
        for family in registry.collect()
        if family.metric.name == "agentmem_exporter_items_total"
    )
    sent = {sample.labels[0]: sample.value for sample in items if sample.labels[1] == "sent"}
    assert sent["otlp_spans"] > 3
    assert sent["otlp_metrics"] >= 1


def test_the_benchmark_that_does_nothing_is_one() -> None:
    (found,) = discover([exporting._IDLE])

    assert isinstance(found, Benchmark)
    assert found.id == "nothing.no_operations"


@pytest.mark.parametrize("manner", ["down", "silent", "refusing"])
def test_a_collector_on_a_bad_day_costs_no_run_its_result(run_here, manner: str) -> None:
    ran = run_here("self", "export_overhead", operations=2000, rounds=1, collector=manner)

    assert ran.metadata["status"] == "ok"
    assert len(ran.document["results"]["operations_per_second"]) == 1


def test_a_collector_that_cannot_be_is_refused(run_here) -> None:
    ran = run_here("self", "export_overhead", collector="dawn")

    assert ran.metadata["reason"] == "no collector is 'dawn'; did you mean 'down'?"
