"""The registry keeps what it is told, no more series than it may, and every moment consistent."""

import math
import threading

import numpy as np
import pytest

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.catalog import METRICS, OVERFLOW, Kind, Metric
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry, Sample

RUN = dict(target="fake", category="storage", benchmark="b")
TIER = dict(target="fake", tier="stm")


def operation(name: str = "search_memory") -> dict[str, str]:
    return RUN | dict(operation=name, tier="stm", outcome="ok")


def recorded(*nanoseconds: int) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(nanoseconds, np.int64))
    return histogram


def samples(registry: MetricRegistry, metric: Metric) -> list[Sample]:
    return [s for f in registry.collect() if f.metric is metric for s in f.samples]


def values(registry: MetricRegistry, metric: Metric) -> dict[tuple[str, ...], object]:
    return {sample.labels: sample.value for sample in samples(registry, metric)}


def refused(registry: MetricRegistry) -> dict[tuple[str, ...], object]:
    return values(registry, catalog.EXPORTER_REFUSED)


# What it keeps


def test_counters_add_up_and_gauges_say_the_last_value():
    registry = MetricRegistry()

    for amount in (1, 0, 2.5):
        registry.add(catalog.OPERATIONS, operation(), amount)
        registry.set(catalog.MEMORY_RECORDS, TIER, amount)

    assert list(values(registry, catalog.OPERATIONS).values()) == [3.5]
    assert values(registry, catalog.MEMORY_RECORDS) == {("fake", "stm"): 2.5}


@pytest.mark.parametrize("amount", [-1, -1e-9, math.nan, math.inf])
def test_a_counter_takes_only_what_can_be_added(amount):
    registry = MetricRegistry()

    with pytest.raises(ValueError, match="is a counter and cannot change by"):
        registry.add(catalog.OPERATIONS, operation(), amount)

    assert samples(registry, catalog.OPERATIONS) == []


def test_histograms_merge_exactly_and_what_was_collected_changes_no_more():
    registry = MetricRegistry()
    own = recorded(1000)
    registry.merge(catalog.OPERATION_LATENCY, operation(), own)
    (before,) = samples(registry, catalog.OPERATION_LATENCY)

    registry.merge(catalog.OPERATION_LATENCY, operation(), recorded(2000, 3000))

    (after,) = samples(registry, catalog.OPERATION_LATENCY)
    assert before.value == own == recorded(1000)
    assert after.value == recorded(1000, 2000, 3000)


def test_a_state_is_one_for_what_holds_and_zero_for_the_others():
    registry = MetricRegistry()

    registry.set_state(catalog.VALIDITY, RUN, "valid")
    registry.set_state(catalog.VALIDITY, RUN, "void")

    by_verdict = {labels[-1]: v for labels, v in values(registry, catalog.VALIDITY).items()}
    assert by_verdict == {"valid": 0, "degraded": 0, "void": 1}


def test_a_state_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"has the states .* not 'splendid'"):
        MetricRegistry().set_state(catalog.VALIDITY, RUN, "splendid")


@pytest.mark.parametrize(
    "labels", [{}, {"target": "x"}, TIER | {"more": "x"}, {"target": "x", "teir": "stm"}]
)
def test_labels_are_those_of_the_catalog(labels):
    with pytest.raises(ValueError, match="agentmem_memory_records has the labels"):
        MetricRegistry().set(catalog.MEMORY_RECORDS, labels, 1)


def test_a_metric_is_told_in_its_own_way_alone():
    registry = MetricRegistry()
    tell = {
        Kind.COUNTER: lambda metric: registry.add(metric, {}, 1),
        Kind.GAUGE: lambda metric: registry.set(metric, {}, 1),
        Kind.STATE: lambda metric: registry.set_state(metric, {}, metric.states[0]),
        Kind.HISTOGRAM: lambda metric: registry.merge(metric, {}, recorded(1)),
    }

    for metric in METRICS.values():
        for kind, told in tell.items():
            if kind not in (metric.kind, Kind.STATE):
                with pytest.raises(ValueError, match=f"is a {metric.kind}, not a {kind}"):
                    told(metric)


def test_families_come_in_the_catalogs_order_and_series_by_their_labels():
    registry = MetricRegistry()
    registry.add(catalog.EXPORTER_SCRAPES, {}, 1)
    for name in ("c", "a", "b"):
        registry.add(catalog.OPERATIONS, operation(name), 1)

    families = registry.collect()

    order = list(METRICS)
    names = [family.metric.name for family in families]
    assert names == sorted(names, key=order.index)
    assert [sample.labels[3] for sample in families[0].samples] == ["a", "b", "c"]


def test_a_series_knows_since_when_it_is():
    clock = iter([10.0, 20.0, 30.0])
    registry = MetricRegistry(now=lambda: next(clock))
    registry.add(catalog.OPERATIONS, operation("a"), 1)
    registry.add(catalog.OPERATIONS, operation("a"), 1)
    registry.add(catalog.OPERATIONS, operation("b"), 1)

    assert [s.since_seconds for s in samples(registry, catalog.OPERATIONS)] == [10.0, 20.0]


def test_what_is_read_on_demand_is_read_before_each_collect():
    registry = MetricRegistry()
    registry.on_collect(lambda: registry.add(catalog.EXPORTER_SCRAPES, {}, 1))

    seen = [values(registry, catalog.EXPORTER_SCRAPES)[()] for _ in range(3)]

    assert seen == [1, 2, 3]


def test_it_counts_its_own_series_this_one_too():
    registry = MetricRegistry()
    registry.set_state(catalog.VALIDITY, RUN, "valid")

    counts = [values(registry, catalog.EXPORTER_SERIES)[()] for _ in range(2)]

    assert counts == [4, 4]


# Exemplars


def exemplar(seconds: float, number: int) -> Exemplar:
    return Exemplar(seconds, f"{number:032x}", f"{number:016x}", 5.0)


def test_the_newest_exemplar_of_each_classic_bucket_is_kept_shortest_first():
    registry = MetricRegistry()
    told = [exemplar(0.3, 1), exemplar(0.000_001, 2), exemplar(0.4, 3), exemplar(1e6, 4)]

    for each in told:
        registry.note(catalog.OPERATION_LATENCY, operation(), each)

    (sample,) = samples(registry, catalog.OPERATION_LATENCY)
    assert sample.exemplars == (told[1], told[2], told[3])


def test_exemplars_that_come_later_do_not_change_what_was_collected():
    registry = MetricRegistry()
    registry.note(catalog.OPERATION_LATENCY, operation(), exemplar(0.3, 1))
    (before,) = samples(registry, catalog.OPERATION_LATENCY)

    registry.note(catalog.OPERATION_LATENCY, operation(), exemplar(0.3, 2))

    assert before.exemplars == (exemplar(0.3, 1),)


# The limit


def test_counters_and_histograms_beyond_the_limit_add_up_in_one_series():
    registry = MetricRegistry(series_limit=3)

    for number in range(10):
        registry.add(catalog.OPERATIONS, operation(f"o{number}"), 1)
        registry.merge(catalog.OPERATION_LATENCY, operation(f"o{number}"), recorded(number))

    counters = values(registry, catalog.OPERATIONS)
    histograms = values(registry, catalog.OPERATION_LATENCY)
    overflow = (OVERFLOW,) * len(catalog.OPERATION)
    assert len(counters) == len(histograms) == 4
    assert counters[overflow] == 7
    assert histograms[overflow] == recorded(*range(3, 10))
    assert sum(counters.values()) == 10
    assert refused(registry) == {
        ("agentmem_operations_total",): 7,
        ("agentmem_operation_latency_seconds",): 7,
    }


def test_series_that_are_there_already_are_told_beyond_the_limit_too():
    registry = MetricRegistry(series_limit=1)
    registry.add(catalog.OPERATIONS, operation("first"), 1)
    registry.add(catalog.OPERATIONS, operation("second"), 1)

    registry.add(catalog.OPERATIONS, operation("first"), 5)

    assert sorted(values(registry, catalog.OPERATIONS).values()) == [1, 6]
    assert list(refused(registry).values()) == [1]


def test_gauges_beyond_the_limit_are_lost_and_counted():
    registry = MetricRegistry(series_limit=2)

    for number in range(5):
        registry.set(catalog.MEMORY_RECORDS, TIER | {"tier": str(number)}, number)

    assert values(registry, catalog.MEMORY_RECORDS) == {("fake", "0"): 0, ("fake", "1"): 1}
    assert refused(registry) == {("agentmem_memory_records",): 3}


def test_a_state_beyond_the_limit_is_lost_whole():
    registry = MetricRegistry(series_limit=4)
    registry.set_state(catalog.VALIDITY, RUN, "valid")

    registry.set_state(catalog.VALIDITY, RUN | {"benchmark": "other"}, "void")
    registry.set_state(catalog.VALIDITY, RUN, "degraded")

    found = values(registry, catalog.VALIDITY)
    assert {labels[2]: labels[3] for labels, value in found.items() if value} == {"b": "degraded"}
    assert len(found) == 3
    assert refused(registry) == {("agentmem_validity",): 1}


def test_what_was_refused_is_counted_for_every_metric_there_is():
    registry = MetricRegistry(series_limit=1)
    metrics = [
        metric for metric in METRICS.values() if metric.kind is Kind.GAUGE and metric.labels
    ]

    for metric in metrics:
        for value in "ab":
            registry.set(metric, dict.fromkeys(metric.labels, value), 1)

    assert refused(registry) == {(metric.name,): 1 for metric in metrics}


def test_a_hundred_thousand_operations_leave_two_thousand_series_and_no_lost_count():
    registry = MetricRegistry()

    for number in range(100_000):
        registry.add(catalog.OPERATIONS, operation(f"operation {number}"), 1)

    counters = values(registry, catalog.OPERATIONS)
    assert len(counters) == 2001
    assert sum(counters.values()) == 100_000
    assert refused(registry) == {("agentmem_operations_total",): 98_000}


# Strange labels


def test_labels_are_cut_and_can_be_written_as_utf_8(hostile_values):
    registry = MetricRegistry()

    for value in hostile_values:
        registry.set(catalog.MEMORY_RECORDS, TIER | {"tier": value}, 1)

    kept = [labels[1] for labels in values(registry, catalog.MEMORY_RECORDS)]
    assert all(len(value) <= 128 and value.encode() for value in kept if value)
    whole = {value for value in hostile_values if len(value) <= 128 and value.isascii()}
    assert whole <= set(kept)


# Threads


def test_what_several_threads_tell_and_read_is_complete_and_consistent():
    registry = MetricRegistry(series_limit=50)
    metric = catalog.OPERATION_LATENCY
    one, stop, seen = recorded(1000, 2000), threading.Event(), []

    def tell(thread: int) -> None:
        for number in range(500):
            registry.add(catalog.OPERATIONS, operation(f"{thread}"), 1)
            registry.merge(metric, operation(f"{number % 60}"), one)
            registry.note(metric, operation(f"{number % 60}"), exemplar(1e-6, number))

    def read() -> None:
        while not stop.is_set():
            seen.extend(sample.value for sample in samples(registry, metric))

    writers = [threading.Thread(target=tell, args=(thread,)) for thread in range(4)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()

    assert sum(values(registry, catalog.OPERATIONS).values()) == 2000
    assert sum(each.count for each in values(registry, metric).values()) == 4000
    assert all(each.sum_ns == each.count * 1500 for each in seen)


def test_only_what_has_all_of_the_labels_is_forgotten() -> None:
    registry = MetricRegistry()
    for job in ("nightly", "hourly"):
        registry.add(catalog.JOB_RUNS, {"job_name": job, "status": "ok"}, 1)
        registry.set_state(catalog.JOB_STATE, {"job_name": job}, "idle")

    registry.forget(job_name="nightly", status="ok")
    registry.forget(job_name="hourly", status="failed")

    assert values(registry, catalog.JOB_RUNS) == {("hourly", "ok"): 1}
    assert {job for job, _ in values(registry, catalog.JOB_STATE)} == {"nightly", "hourly"}


def test_what_is_about_something_gone_is_forgotten_whatever_else_it_is_about() -> None:
    registry = MetricRegistry()
    for job in ("nightly", "hourly"):
        registry.add(catalog.JOB_RUNS, {"job_name": job, "status": "ok"}, 1)
        registry.set_state(catalog.JOB_STATE, {"job_name": job}, "idle")

    registry.forget(job_name="nightly")

    assert values(registry, catalog.JOB_RUNS) == {("hourly", "ok"): 1}
    assert {job for job, _ in values(registry, catalog.JOB_STATE)} == {"hourly"}
