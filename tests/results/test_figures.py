import json
import re
from pathlib import Path

import pytest

from agentmem_observe.results.figure_reference import reference
from agentmem_observe.results.figures import figure_of, figures, unit_of
from agentmem_observe.results.flatten import flatten

SEEDS_FILE = Path(__file__).parents[1] / "fixtures/results"
SEEDS_NAMES = [
    "results.100.total_duration_seconds",
    "results.100.avg_agent_duration_seconds",
    "results.100.min_agent_duration_seconds",
    "results.100.max_agent_duration_seconds",
    "results.100.throughput_agents_per_second",
    "results.100.avg_cpu_percent",
    "results.100.max_cpu_percent",
    "results.100.avg_memory_bytes",
    "results.100.max_memory_bytes",
    "results.100.std_deviation_duration",
    "results.100.95th_percentile_duration",
    "1000.store_latency_ms.avg",
    "1000.store_latency_ms.min",
    "1000.store_latency_ms.max",
    "1000.retrieve_latency_ms.avg",
    "1000.search_latency_ms.avg",
    "1000.cross_tier_latency_ms",
    "1000.memory_usage_bytes",
    "duration_seconds",
    "operation_count",
    "actual_rate_ops_per_second",
    "avg_operation_time_ms",
    "p95_operation_time_ms",
    "resource_utilization.avg_cpu_percent",
    "resource_utilization.max_memory_bytes",
    "resource_efficiency.operations_per_cpu_percent",
    "resource_efficiency.operations_per_mb",
    "time_series.timestamps[3]",
    "time_series.memory_mb[0]",
    "complexity_1.batch_100.throughput_ops_per_second",
    "complexity_1.batch_100.total_time_seconds",
    "complexity_1.batch_100.items_processed",
]


def test_the_page_of_figures_is_what_the_catalog_says(golden):
    golden("../../docs/figures.md", reference())


@pytest.mark.parametrize("path", SEEDS_NAMES)
def test_the_names_of_the_seeds_are_known(path):
    assert figure_of(path) is not None


def test_every_number_of_the_seeds_result_file_is_known():
    (file,) = SEEDS_FILE.glob("seeds_*.json")

    numbers = flatten(json.loads(file.read_text())["results"])

    assert [path for path in numbers if figure_of(path) is None] == []


@pytest.mark.parametrize(
    ("path", "unit", "better"),
    [
        ("throughput_ops_per_second", "per_second", "higher"),
        ("a.b.service_time_p99_9_seconds", "seconds", "lower"),
        ("a.service_time_max_seconds", "seconds", ""),
        ("1000.store_latency_ms.avg", "milliseconds", "lower"),
        ("1000.store_latency_ms.max", "milliseconds", ""),
        ("outcomes.ok", "count", ""),
        ("outcomes.error:TimeoutError", "count", ""),
        ("avg_cpu_percent", "percent", ""),
        ("resource_utilization.avg_cpu_percent", "percent", "lower"),
        ("attribution.target.cpu_seconds", "seconds", "lower"),
        ("attribution.load_generator.cpu_seconds", "seconds", ""),
        ("added_cpu_seconds.hooks_5", "seconds", "lower"),
        ("added_cpu_ratio.hooks_5.create_memory", "ratio", ""),
        ('"threshold_0.7".exact.recall_ratio', "ratio", ""),
        ('"threshold_0.7".recall_ratio', "ratio", "higher"),
        ('levels."importance_0.8_to_1".lost_ratio', "ratio", "lower"),
        ('levels."importance_0.8_to_1".stm_ratio', "ratio", ""),
        ("tiers.ltm.rank_correlation", "", ""),
        ('"fraction_0.3".rank_correlation', "", "higher"),
        ("time_series.memory_mb[3]", "mebibytes", ""),
        ("leak.forecast.limit_bytes", "bytes", ""),
        ("serial_share.agents[0]", "count", ""),
    ],
)
def test_a_figure_is_known_by_its_name_and_where_that_matters_by_its_place(path, unit, better):
    found = figure_of(path)

    assert found is not None
    assert (found.unit, found.better) == (unit, better)


@pytest.mark.parametrize(
    "path",
    [
        "my_latency_seconds",
        "time_to_glory",
        "service_time_p_seconds",
        "throughput_ops_per_second_",
        "avg",
        "ok",
        "",
    ],
)
def test_no_direction_is_guessed_from_a_part_of_a_name(path):
    assert figure_of(path) is None


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("my_latency_seconds", "seconds"),
        ("my_latency_ms.avg", "milliseconds"),
        ("rss_bytes_per_record", "bytes"),
        ("slope_bytes_per_second", "bytes"),
        ("cpu_ns_per_operation.bare_call", "nanoseconds"),
        ("vectors_per_cpu_second", "per_second"),
        ("recall_ratio", "ratio"),
        ("cpu_percent[1]", "percent"),
        ("operations_per_cpu_percent", ""),
        ("mood", ""),
    ],
)
def test_a_unit_is_what_a_name_ends_in(path, unit):
    assert unit_of(path) == unit


def test_no_figure_is_listed_twice():
    shapes = [re.sub(r"<(?!p>)\w+>", "<>", figure.name) for figure in figures()]

    assert sorted({shape for shape in shapes if shapes.count(shape) > 1}) == []


def test_every_figure_is_found_by_its_own_name():
    for figure in figures():
        path = re.sub(r"<\w+>", "x", figure.name.replace("<p>", "p50"))

        found = figure_of(f"somewhere.{path}")

        assert found is not None
        assert (found.name, found.better) == (figure.name, figure.better)
