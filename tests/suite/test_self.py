"""The benchmarks of measuring itself: figures that readers rely on are there and make sense."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentmem_observe.bench.overhead import clock_pairs, recorded_pairs, timed_operation_cost
from agentmem_observe.suite.self import omission

RunHere = Callable[..., Any]


def test_recording_cost_names_ours_and_how_often_cheaper_it_is(run_here: RunHere) -> None:
    ran = run_here("self", "recording_cost", operations=2000, rounds=2)

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert np.isfinite(results["recorder_cpu_ns_per_operation"])
    assert results["timed_operation_cpu_ns"] > 0
    assert set(results["times_cheaper_than"]) == {
        "prometheus_observe",
        "otel_histogram_record",
        "otel_span",
    }
    assert set(results["cpu_ns_per_operation"]) >= {"bare_call", "clock_pair", "seed_method"}


def test_pacing_names_the_lateness_of_each_way_at_each_rate(run_here: RunHere) -> None:
    ran = run_here("self", "pacing", rates=[1000], pacing_seconds=0.1, operations=2000)

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert results["operations_per_cpu_second"] > 0
    for figure in ("lateness_p50_seconds", "lateness_p99_seconds", "achieved_ratio"):
        for way in ("seed_loop", "relative_sleep", "open_loop"):
            assert results[figure][way]["rate_1000"] >= 0
    assert results["achieved_ratio"]["open_loop"]["rate_1000"] == 1


def test_our_p99_of_a_real_target_that_freezes_is_above_the_seeds(run_here: RunHere) -> None:
    ran = run_here(
        "self",
        "coordinated_omission",
        duration_seconds=2,
        rate=50,
        freeze_every_seconds=1,
        freeze_for_seconds=0.4,
    )

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    # 40 of 100 operations fall due in a freeze; the seeds' loop measures two of them as slow.
    p95 = results["p95_seconds"]
    assert p95["ours"] > 2 * p95["seed_method"]
    assert set(results["p99_seconds"]) == {"truth", "ours", "seed_method"}
    assert results["p99_seconds"]["truth"] == pytest.approx(
        omission.truth(omission.Case(2, 50, 0.001, 1, 0.4)).percentile(99)
    )


def test_the_cost_of_a_timed_operation_is_of_one() -> None:
    one, hundred = timed_operation_cost(1000, 3), timed_operation_cost(10_000, 3)

    assert 0 < hundred < 10 * one


@pytest.mark.parametrize("loop", [clock_pairs, recorded_pairs])
@pytest.mark.parametrize("operations", [0, 1, 5000])
def test_loops_that_are_timed_take_any_number(
    loop: Callable[[int], None], operations: int
) -> None:
    loop(operations)
