import dataclasses
from typing import Any

import numpy as np
import pytest

from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.measure.recorder import Aggregate, SeriesKey
from agentmem_observe.telemetry.curves import curves_of
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunKey, RunMetrics, SoakVerdicts

RUN = RunKey("embedded", "storage", "write_throughput")
STORES = SeriesKey("create_memory", "stm", "ok")
FAILURES = SeriesKey("create_memory", "stm", "error:KeyError")


def aggregate(key: SeriesKey, *durations_ns: int) -> Aggregate:
    aggregate = Aggregate()
    series = aggregate.series(key)
    series.service_time.record(np.array(durations_ns))
    series.latency.merge(series.service_time)
    return aggregate


def document(measured: Aggregate, **metadata: Any) -> dict[str, Any]:
    histograms = [
        {"operation": key.operation, "tier": key.tier, "outcome": key.outcome}
        | {name: each.to_dict() for name, each in series.histograms().items() if each.count}
        for key, series in measured
    ]
    return {
        "benchmark": RUN.benchmark,
        "category": RUN.category,
        "timestamp": "20261120_120000",
        "results": metadata.pop("results", {}),
        "metadata": {
            "status": "ok",
            "execution_time": 1.5,
            "ended_at": "2026-11-20T12:00:00.250+00:00",
            "target": {"spec": RUN.target},
            "validity": {"verdict": "degraded"},
            "histograms": histograms,
        }
        | metadata,
    }


def values(registry: MetricRegistry, name: str) -> dict[tuple[str, ...], Any]:
    """Return a metric's values by those labels that are not the run's own."""
    found = [family for family in registry.collect() if family.metric.name == f"agentmem_{name}"]
    return {
        tuple(
            value
            for label, value in zip(family.metric.labels, sample.labels, strict=True)
            if label not in RUN._fields
        ): sample.value
        for family in found
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> RunMetrics:
    return RunMetrics(MetricRegistry(now=lambda: 0.0))


def test_batches_add_up_by_operation_tier_and_outcome(metrics: RunMetrics) -> None:
    metrics.measured(RUN, aggregate(STORES, 1_000, 2_000))
    metrics.measured(RUN, aggregate(STORES, 3_000))
    metrics.measured(RUN, aggregate(FAILURES, 7))

    assert values(metrics.registry, "operations_total") == {STORES: 3, FAILURES: 1}
    assert values(metrics.registry, "operation_service_time_seconds")[STORES].sum_ns == 6_000
    assert values(metrics.registry, "operation_latency_seconds")[FAILURES].count == 1
    assert values(metrics.registry, "operation_lateness_seconds") == {}


def test_a_replayed_result_has_the_counts_and_sums_of_the_run_that_was_watched() -> None:
    watched, replayed = (RunMetrics(MetricRegistry(now=lambda: 0.0)) for _ in range(2))
    first, second = ProcessSample(1, 0.5, 100), ProcessSample(2, 2.0, 300)
    whole = aggregate(STORES, 5_000, 6_000)
    whole.merge(aggregate(FAILURES, 9_000))
    used = {"cpu_seconds": 1.5, "rss_end_bytes": 300, "uss_end_bytes": 200}
    result = document(whole, resources=used)

    watched.started(RUN)
    watched.sampled(RUN, first)
    watched.measured(RUN, aggregate(STORES, 5_000))
    watched.measured(RUN, aggregate(STORES, 6_000))
    watched.measured(RUN, aggregate(FAILURES, 9_000))
    watched.sampled(RUN, second)
    watched.observed(RUN, "agentmem_process_unique_memory_bytes", {}, 200)
    watched.ended(result)
    replayed.replay(result)

    seen, told = ({f.metric.name: f for f in m.registry.collect()} for m in (watched, replayed))
    only_live = {"agentmem_exporter_series"}
    assert {k: f.samples for k, f in seen.items() if k not in only_live} == {
        k: f.samples for k, f in told.items() if k not in only_live
    }


def test_process_counters_grow_by_what_each_look_adds(metrics: RunMetrics) -> None:
    sample = ProcessSample(0.0, 1.0, 100, minor_faults_total=10, fd_count=7)

    metrics.started(RUN)
    for extra in (0, 5, 9):
        looked = dataclasses.replace(
            sample, cpu_seconds=1.0 + extra, minor_faults_total=10 + extra
        )
        metrics.sampled(RUN, looked)
    metrics.started(RUN)
    metrics.sampled(RUN, sample)

    assert values(metrics.registry, "process_cpu_seconds_total") == {(): 9.0}
    assert values(metrics.registry, "process_page_faults_total") == {("minor",): 9.0}
    assert values(metrics.registry, "process_open_fds") == {(): 7}


@pytest.mark.parametrize("status", ["ok", "skipped", "failed"])
def test_an_ended_run_is_counted_and_only_success_is_a_success(
    metrics: RunMetrics, status: str
) -> None:
    metrics.started(RUN)
    metrics.progressed(RUN, 0.5)

    metrics.ended(document(Aggregate(), status=status))

    done = status == "ok"
    success = values(metrics.registry, "benchmark_last_success_timestamp_seconds")
    assert values(metrics.registry, "benchmark_runs_total") == {(status,): 1}
    assert values(metrics.registry, "benchmark_running") == {(): 0}
    assert values(metrics.registry, "benchmark_progress_ratio") == {(): 1 if done else 0.5}
    assert values(metrics.registry, "benchmark_last_end_timestamp_seconds") == {(): 1795176000.25}
    assert success == ({(): 1795176000.25} if done else {})


def test_verdicts_become_states(metrics: RunMetrics) -> None:
    results = {
        "leak": {
            "verdict": "leak",
            "cycles": {"bytes_per_operation": 64.5},
            "floor": {"bytes_per_operation": 1.0},
        },
        "serial_share": {"ratio": 0.1},
        "scaling_law": {"peak_agents_count": {"value": 20.0}},
        "1": {"bottleneck": {"kind": "none"}},
        "16": {"bottleneck": {"kind": "gil"}},
        "9": {"bottleneck": {"kind": "cpu"}},
    }

    metrics.ended(document(Aggregate(), results=results))

    registry = metrics.registry
    assert values(registry, "validity") == {("valid",): 0, ("degraded",): 1, ("void",): 0}
    assert [s for s, value in values(registry, "leak").items() if value] == [("leak",)]
    assert [s for s, value in values(registry, "scaling_bottleneck").items() if value] == [
        ("gil",)
    ]
    assert values(registry, "leak_bytes_per_operation") == {(): 64.5}
    assert values(registry, "scaling_serial_share_ratio") == {(): 0.1}
    assert values(registry, "scaling_peak_agents") == {(): 20.0}


@pytest.mark.parametrize(
    "results",
    [
        {"leak": 3},
        {"leak": {"verdict": "perhaps"}},
        {"leak": {"verdict": ["leak"]}},
        {"16": None},
        {"16": {"bottleneck": {"kind": "me"}}},
        {"scaling_law": {"reason": "?"}},
        {"scaling_law": {"peak_agents_count": {"value": "many"}}},
    ],
)
def test_results_of_another_shape_give_no_verdicts(metrics: RunMetrics, results: Any) -> None:
    metrics.ended(document(Aggregate(), results=results))

    assert values(metrics.registry, "leak") == {}
    assert values(metrics.registry, "scaling_bottleneck") == {}
    assert values(metrics.registry, "scaling_peak_agents") == {}


def test_a_leak_that_is_mended_is_told_as_mended(metrics: RunMetrics) -> None:
    for leak in (
        {"verdict": "leak", "cycles": {"bytes_per_operation": 500.0}},
        {"verdict": "none"},
    ):
        metrics.ended(document(Aggregate(), results={"leak": leak}))

    assert values(metrics.registry, "leak_bytes_per_operation") == {(): 0.0}


def test_a_gauge_from_the_worker_gets_the_labels_of_its_run(metrics: RunMetrics) -> None:
    metrics.observed(RUN, "agentmem_memory_records", {"tier": "stm"}, 12)
    metrics.observed(RUN, "agentmem_load_achieved_operations_per_second", {}, 9.5)

    assert values(metrics.registry, "memory_records") == {("stm",): 12}
    assert values(metrics.registry, "load_achieved_operations_per_second") == {(): 9.5}


@pytest.mark.parametrize("name", ["agentmem_nothing", "agentmem_operations_total"])
def test_a_worker_cannot_invent_gauges(metrics: RunMetrics, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        metrics.observed(RUN, name, {}, 1)


def test_a_result_without_our_metadata_is_taken_too(metrics: RunMetrics) -> None:
    seeds = {
        "benchmark": "b",
        "category": "c",
        "timestamp": "20250101_000000",
        "results": {"x": 1},
        "metadata": {"execution_time": 2.0, "params": {}},
    }

    metrics.replay(seeds)

    assert values(metrics.registry, "benchmark_duration_seconds") == {(): 2.0}
    assert values(metrics.registry, "operations_total") == {}


def test_what_is_run_where_takes_the_place_of_what_was_said_of_the_target_before(
    metrics: RunMetrics,
) -> None:
    for target, commit in (("embedded", "old"), ("mine", "old"), ("embedded", "new")):
        metrics.describe(target, {"vcs": {"commit": commit}, "host": {"hostname": "h"}})

    told = values(metrics.registry, "run_info")
    assert told == {("", "old", "h", ""): 1, ("", "new", "h", ""): 1}
    (family,) = [each for each in metrics.registry.collect() if each.metric.name.endswith("_info")]
    assert [each.labels[0] for each in family.samples] == ["embedded", "mine"]


def test_figures_of_an_older_verdict_go_when_the_new_one_has_none(metrics: RunMetrics) -> None:
    metrics.soaked(RUN, SoakVerdicts("valid", "leak", 64.0, "slower", 1.5))
    before = [
        values(metrics.registry, name) for name in ("leak_bytes_per_operation", "drift_ratio")
    ]
    metrics.soaked(RUN, SoakVerdicts("valid", "none", None, "unknown", None))

    assert before == [{(): 64.0}, {(): 1.5}]
    assert values(metrics.registry, "leak_bytes_per_operation") == {}
    assert values(metrics.registry, "drift_ratio") == {}


def scaling_results(**rates: float) -> dict[str, Any]:
    """Return results of agent_scaling: throughput by number of agents."""
    cases = {
        agents.removeprefix("n"): {"throughput_ops_per_second": rate, "operations": {}}
        for agents, rate in rates.items()
    }
    law = {
        "throughput_alone_ops_per_second": {"value": 100.0},
        "contention_ratio": {"value": 0.1},
        "coherence_ratio": {"value": 0.0},
    }
    return {**cases, "scaling_law": law, "parallel_operations": {"4": cases.get("n4", {})}}


def test_throughput_by_agents_has_the_law_and_the_ideal_beside_it(metrics: RunMetrics) -> None:
    metrics.ended(document(Aggregate(), results=scaling_results(n1=90.0, n10=500.0)))

    assert values(metrics.registry, "scaling_operations_per_second") == {
        ("1", "measured"): 90.0,
        ("1", "law"): 100.0,
        ("1", "ideal"): 90.0,
        ("10", "measured"): 500.0,
        ("10", "law"): pytest.approx(1000 / 1.9),
        ("10", "ideal"): 900.0,
    }


def test_a_new_curve_replaces_the_old_one_and_a_run_without_one_leaves_it(
    metrics: RunMetrics,
) -> None:
    metrics.ended(document(Aggregate(), results=scaling_results(n1=90.0, n10=500.0)))
    metrics.ended(document(Aggregate(), results=scaling_results(n1=80.0)))
    metrics.ended(document(Aggregate(), status="failed"))

    curve = values(metrics.registry, "scaling_operations_per_second")
    assert {point for point in curve if point[1] == "measured"} == {("1", "measured")}


def test_service_time_and_recall_by_volume(metrics: RunMetrics) -> None:
    figures = {"service_time_p50_seconds": 0.001, "service_time_p99_seconds": None}
    results = {
        "baseline": {"operations": {"search_memory": figures}},
        "1000": {
            "filled_count": 1,
            "recall_at_10_ratio": 0.97,
            "operations": {"search_memory": figures},
        },
        "volume_5000": {"k_5": {"recall_at_k_ratio": 0.9}, "stm": {}},
    }

    metrics.ended(document(Aggregate(), results=results))

    assert values(metrics.registry, "volume_service_time_seconds") == {
        ("1000", "search_memory", "p50"): 0.001
    }
    assert values(metrics.registry, "volume_recall_ratio") == {
        ("1000", "10"): 0.97,
        ("5000", "5"): 0.9,
    }


@pytest.mark.parametrize(
    "results",
    [
        None,
        [],
        {"10": 3, "parallel_operations": [], "volume_x": {}, "volume_7": {"k_3": None}},
        {"10": {"throughput_ops_per_second": "fast", "operations": 3, "filled_count": 1}},
    ],
)
def test_results_of_other_shapes_have_no_curve(results: Any) -> None:
    assert curves_of(results) == {}
