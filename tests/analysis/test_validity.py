import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.analysis.validity import (
    BUSY_WORKERS,
    CPU_PRESSURE,
    DISPATCH_DELAY_DEGRADED,
    DISPATCH_DELAY_VOID,
    FEWEST_OFFERED_RATIO,
    GC_PAUSES,
    LARGEST_BACKLOG_SLOPE,
    RUN_QUEUE_WAIT,
    STEAL,
    THROTTLED,
    Evidence,
    RatioLimit,
    judge,
)

ORDER = ["valid", "degraded", "void"]

HEALTHY = Evidence(
    offered_rate=100.0,
    achieved_rate=100.0,
    operation_count=6000,
    dispatch_delay_p99_seconds=20e-6,
    latency_p50_seconds=1e-3,
    latency_p99_seconds=2e-3,
    backlog_slope=0.0,
    worker_busy_ratio=0.1,
    run_queue_wait_ratio=0.001,
    own_cpu_ratio=0.05,
    cpu_pressure_ratio=0.02,
    steal_ratio=0.0,
    throttled_seconds=0.0,
    gc_pause_ratio=0.001,
    elapsed_seconds=60.0,
)

SATURATED = replace(
    HEALTHY,
    achieved_rate=50.0,
    worker_busy_ratio=0.999,
    backlog_slope=1.0,
    latency_p99_seconds=59.0,
)


def verdict(**changes: float | None) -> str:
    return judge(replace(HEALTHY, **changes)).verdict  # type: ignore[arg-type]  # table


def above(limit: float) -> float:
    return math.nextafter(limit, math.inf)


def below(limit: float) -> float:
    return math.nextafter(limit, -math.inf)


# What must come out


def test_a_healthy_run_is_valid_without_a_word() -> None:
    validity = judge(HEALTHY)

    assert validity.verdict == "valid"
    assert validity.reasons == ()
    assert not validity.target_saturated


def test_a_freezing_target_does_not_void_a_punctual_generator() -> None:
    # 1 ms operations, 1 s freeze every 10 s, one worker: lateness p99 is 900 ms, and it is truth.
    evidence = replace(
        HEALTHY,
        latency_p99_seconds=0.9111,
        dispatch_delay_p99_seconds=20e-6,
        worker_busy_ratio=0.2,
        backlog_slope=0.004,
    )

    assert judge(evidence).verdict == "valid"


def test_a_freeze_at_the_end_of_a_run_that_was_finished_in_time_is_valid() -> None:
    assert verdict(backlog_slope=0.03, achieved_rate=99.5) == "valid"


def test_a_generator_that_dispatches_late_is_void_and_says_so() -> None:
    evidence = replace(HEALTHY, dispatch_delay_p99_seconds=0.05, latency_p99_seconds=0.06)

    validity = judge(evidence)

    assert validity.verdict == "void"
    assert validity.reasons == (
        "operations started 50.0 ms late at p99 although a worker was free (limit 10.0 ms): the "
        "load generator had too little CPU; free a core or lower the rate",
    )


def test_a_freezing_target_does_not_excuse_a_late_generator() -> None:
    evidence = replace(
        HEALTHY, dispatch_delay_p99_seconds=0.05, latency_p50_seconds=1e-3, latency_p99_seconds=0.9
    )

    assert judge(evidence).verdict == "void"


def test_a_generator_that_spends_half_its_time_on_the_run_queue_is_void_and_says_so() -> None:
    validity = judge(replace(HEALTHY, run_queue_wait_ratio=0.5))

    assert validity.verdict == "void"
    assert validity.reasons == (
        "the worker process waited for a CPU during 50.0% of its time (limit 25%): free a core, "
        "lower the rate or use fewer agents",
    )


def test_a_microsecond_operation_with_the_hosts_wake_up_delay_is_valid() -> None:
    evidence = Evidence(
        offered_rate=1000.0,
        achieved_rate=1000.0,
        operation_count=60_000,
        dispatch_delay_p99_seconds=15e-6,
        latency_p50_seconds=13e-6,
        latency_p99_seconds=16e-6,
        backlog_slope=0.0,
        worker_busy_ratio=0.001,
        run_queue_wait_ratio=0.005,
        elapsed_seconds=60.0,
    )

    assert judge(evidence).verdict == "valid"


def test_a_slow_target_allows_delays_that_do_not_matter_to_it() -> None:
    # A language model in the path: 12 ms of 2 s.
    slow = {"latency_p50_seconds": 2.0, "latency_p99_seconds": 5.0}

    assert verdict(dispatch_delay_p99_seconds=0.012, **slow) == "valid"
    assert verdict(dispatch_delay_p99_seconds=0.03, **slow) == "degraded"
    assert verdict(dispatch_delay_p99_seconds=0.3, **slow) == "void"


def test_a_target_that_cannot_keep_up_is_degraded_with_its_reason_and_not_void() -> None:
    validity = judge(SATURATED)

    assert validity.verdict == "degraded"
    assert validity.target_saturated
    assert validity.reasons == (
        "offered load not reached, 50.0/s of 100/s (limit 99%): the target is saturated (workers "
        "100% inside it). Throughput is its capacity, but latency grows with the length of the "
        "run, here 1 min 0 s; lower the rate, or report throughput and service time",
    )


def test_a_generator_that_leaves_its_workers_idle_while_falling_behind_is_void() -> None:
    validity = judge(replace(SATURATED, worker_busy_ratio=0.4, own_cpu_ratio=0.98))

    assert validity.verdict == "void"
    assert not validity.target_saturated
    assert "the load generator could not keep up" in validity.reasons[0]
    assert "used 98% of a core" in validity.reasons[0]


def test_whose_fault_a_shortfall_is_may_stay_unknown() -> None:
    validity = judge(replace(SATURATED, worker_busy_ratio=None))

    assert validity.verdict == "degraded"
    assert not validity.target_saturated
    assert "not known" in validity.reasons[0]


def test_the_last_operations_time_to_finish_is_not_a_shortfall() -> None:
    # 5 s at 100/s of operations that take 300 ms: 500 in 5.3 s are 94/s, and nobody was late.
    assert verdict(achieved_rate=94.3, backlog_slope=0.0, worker_busy_ratio=0.5) == "valid"


def test_a_saturated_target_and_a_starved_generator_are_both_named_worst_first() -> None:
    validity = judge(replace(SATURATED, run_queue_wait_ratio=0.4, steal_ratio=0.02))

    assert validity.verdict == "void"
    assert validity.target_saturated
    assert [reason.split(" (")[0] for reason in validity.reasons] == [
        "the worker process waited for a CPU during 40.0% of its time",
        "offered load not reached, 50.0/s of 100/s",
        "the hypervisor gave 2.0% of the CPU time to other machines",
    ]


def test_a_closed_loop_is_not_asked_for_an_offered_rate() -> None:
    assert verdict(offered_rate=None, worker_busy_ratio=0.95) == "valid"


def test_a_closed_loop_that_is_mostly_overhead_is_degraded_for_its_throughput() -> None:
    validity = judge(replace(HEALTHY, offered_rate=None, worker_busy_ratio=0.3))

    assert validity.verdict == "degraded"
    assert validity.reasons[0].startswith("workers spent only 30% of a closed loop inside the")


def test_a_run_in_which_nothing_finished_is_void() -> None:
    assert verdict(operation_count=0) == "void"


def test_a_handful_of_operations_is_not_a_question_of_validity() -> None:
    assert verdict(operation_count=1) == "valid"


def test_knowing_nothing_of_the_generator_is_not_the_same_as_valid() -> None:
    validity = judge(Evidence())

    assert validity.verdict == "degraded"
    assert "nothing shows whether the load generator kept up" in validity.reasons[0]


@pytest.mark.parametrize("known", ["dispatch_delay_p99_seconds", "run_queue_wait_ratio"])
def test_one_witness_of_the_generators_punctuality_is_enough(known: str) -> None:
    assert judge(Evidence(**{known: 0.0})).verdict == "valid"


@pytest.mark.parametrize("field", [field.name for field in fields(Evidence)])
def test_nan_is_refused_because_it_would_pass_every_limit(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is NaN"):
        replace(HEALTHY, **{field: math.nan})


# Both sides of each threshold


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("run_queue_wait_ratio", RUN_QUEUE_WAIT),
        ("steal_ratio", STEAL),
        ("cpu_pressure_ratio", CPU_PRESSURE),
        ("gc_pause_ratio", GC_PAUSES),
    ],
)
def test_a_share_of_time_is_judged_on_both_sides_of_its_limits(
    field: str, limit: RatioLimit
) -> None:
    assert verdict(**{field: limit.degraded}) == "valid"
    assert verdict(**{field: above(limit.degraded)}) == "degraded"
    if math.isfinite(limit.void):
        assert verdict(**{field: limit.void}) == "degraded"
        assert verdict(**{field: above(limit.void)}) == "void"
    else:
        assert verdict(**{field: 1.0}) == "degraded"


@pytest.mark.parametrize(
    ("throttled_seconds", "expected"),
    [
        (THROTTLED.degraded * 60, "valid"),
        (THROTTLED.degraded * 60 + 1e-6, "degraded"),
        (THROTTLED.void * 60, "degraded"),
        (THROTTLED.void * 60 + 1e-6, "void"),
        (240.0, "void"),  # four CPUs stood still for the whole run
    ],
)
def test_throttling_is_judged_by_its_share_of_the_run(
    throttled_seconds: float, expected: str
) -> None:
    assert verdict(throttled_seconds=throttled_seconds) == expected


def test_throttling_in_a_run_of_unknown_or_no_length_is_not_judged() -> None:
    assert verdict(throttled_seconds=1.0, elapsed_seconds=None) == "valid"
    assert verdict(throttled_seconds=1.0, elapsed_seconds=0.0) == "valid"


@pytest.mark.parametrize(
    ("p50", "p99", "degraded_limit", "void_limit"),
    [
        pytest.param(None, None, 1e-3, 10e-3, id="latency unknown: the ceilings"),
        pytest.param(1e-6, 2e-6, 100e-6, 5e-3, id="no-op: the floors"),
        pytest.param(1e-3, 5e-3, 500e-6, 5e-3, id="a tenth of the p99"),
        pytest.param(1e-3, 16e-3, 1e-3, 8e-3, id="half the p99"),
        pytest.param(1e-3, 0.9, 1e-3, 10e-3, id="freezes: the ceilings"),
        pytest.param(2.0, 5.0, 20e-3, 0.2, id="slow median: shares of it"),
    ],
)
def test_a_dispatch_delay_is_judged_on_both_sides_of_its_limits(
    p50: float | None, p99: float | None, degraded_limit: float, void_limit: float
) -> None:
    latency = {"latency_p50_seconds": p50, "latency_p99_seconds": p99}

    assert DISPATCH_DELAY_DEGRADED.seconds(p50, p99) == pytest.approx(degraded_limit)
    assert DISPATCH_DELAY_VOID.seconds(p50, p99) == pytest.approx(void_limit)
    assert verdict(dispatch_delay_p99_seconds=degraded_limit * 0.999, **latency) == "valid"
    assert verdict(dispatch_delay_p99_seconds=degraded_limit * 1.001, **latency) == "degraded"
    assert verdict(dispatch_delay_p99_seconds=void_limit * 0.999, **latency) == "degraded"
    assert verdict(dispatch_delay_p99_seconds=void_limit * 1.001, **latency) == "void"


def test_a_shortfall_is_judged_on_both_sides_of_its_limits() -> None:
    enough = 100.0 * FEWEST_OFFERED_RATIO
    behind: dict[str, Any] = {"backlog_slope": 0.5, "worker_busy_ratio": 1.0}

    assert verdict(achieved_rate=enough, **behind) == "valid"
    assert verdict(achieved_rate=below(enough), **behind) == "degraded"


@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        (-1.0, "valid"),
        (LARGEST_BACKLOG_SLOPE, "valid"),
        (above(LARGEST_BACKLOG_SLOPE), "degraded"),
        (None, "degraded"),
    ],
)
def test_a_shortfall_counts_only_while_the_backlog_grows_or_may(
    slope: float | None, expected: str
) -> None:
    assert verdict(achieved_rate=90.0, backlog_slope=slope, worker_busy_ratio=1.0) == expected


def test_busy_workers_are_judged_on_both_sides_of_their_limit() -> None:
    open_loop: dict[str, Any] = {"achieved_rate": 50.0, "backlog_slope": 1.0}

    assert verdict(worker_busy_ratio=BUSY_WORKERS, **open_loop) == "degraded"
    assert verdict(worker_busy_ratio=below(BUSY_WORKERS), **open_loop) == "void"
    assert verdict(worker_busy_ratio=BUSY_WORKERS, offered_rate=None) == "valid"
    assert verdict(worker_busy_ratio=below(BUSY_WORKERS), offered_rate=None) == "degraded"


# Properties

shares = st.floats(0, 1)
seconds = st.floats(0, 100)
evidences = st.builds(
    Evidence,
    offered_rate=st.none() | st.floats(1, 1e5),
    achieved_rate=st.none() | st.floats(0, 1e5),
    operation_count=st.none() | st.integers(0, 10**9),
    dispatch_delay_p99_seconds=st.none() | seconds,
    latency_p50_seconds=st.none() | seconds,
    latency_p99_seconds=st.none() | seconds,
    backlog_slope=st.none() | st.floats(-1, 10),
    worker_busy_ratio=st.none() | shares,
    run_queue_wait_ratio=st.none() | shares,
    own_cpu_ratio=st.none() | st.floats(0, 64),
    cpu_pressure_ratio=st.none() | shares,
    steal_ratio=st.none() | shares,
    throttled_seconds=st.none() | seconds,
    gc_pause_ratio=st.none() | shares,
    elapsed_seconds=st.none() | seconds,
)
STARVATION = [
    "dispatch_delay_p99_seconds",
    "run_queue_wait_ratio",
    "cpu_pressure_ratio",
    "steal_ratio",
    "throttled_seconds",
    "gc_pause_ratio",
    "backlog_slope",
]
LACK = ["worker_busy_ratio", "achieved_rate"]


def is_no_better(worse: Evidence, evidence: Evidence) -> bool:
    return ORDER.index(judge(worse).verdict) >= ORDER.index(judge(evidence).verdict)


@given(evidence=evidences, field=st.sampled_from(STARVATION), more=st.floats(0, 10))
def test_more_starvation_never_makes_the_verdict_better(
    evidence: Evidence, field: str, more: float
) -> None:
    had = getattr(evidence, field)
    known = evidence if had is not None else replace(evidence, **{field: 0.0})

    worse = replace(known, **{field: (had or 0.0) + more})

    assert is_no_better(worse, known)


@given(evidence=evidences, field=st.sampled_from(LACK), share=shares)
def test_idler_workers_and_less_load_never_make_the_verdict_better(
    evidence: Evidence, field: str, share: float
) -> None:
    had = getattr(evidence, field)
    known = evidence if had is not None else replace(evidence, **{field: 1.0})

    worse = replace(known, **{field: share * getattr(known, field)})

    assert is_no_better(worse, known)


@given(evidence=evidences, delay=st.floats(0, 10), more=st.floats(0, 10))
def test_a_delay_that_lengthens_every_latency_by_itself_is_no_excuse_for_itself(
    evidence: Evidence, delay: float, more: float
) -> None:
    def delayed(by: float) -> Evidence:
        return replace(
            evidence,
            dispatch_delay_p99_seconds=by,
            latency_p50_seconds=(evidence.latency_p50_seconds or 0.0) + by,
            latency_p99_seconds=(evidence.latency_p99_seconds or 0.0) + by,
        )

    assert is_no_better(delayed(delay + more), delayed(delay))


@given(evidences)
def test_a_verdict_has_reasons_exactly_when_it_is_not_valid(evidence: Evidence) -> None:
    validity = judge(evidence)

    assert (validity.verdict == "valid") == (validity.reasons == ())


@given(evidences)
def test_a_reason_gives_its_figure_its_limit_and_a_next_step(evidence: Evidence) -> None:
    for reason in judge(replace(evidence, operation_count=1)).reasons:
        if "nothing shows" not in reason:
            assert "(limit " in reason
        assert ":" in reason
