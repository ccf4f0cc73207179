"""Coordinated omission on a virtual clock: a stall must be in the percentiles."""

import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.suite.self import omission
from agentmem_observe.workload.driver import DriverOptions, open_loop

CASE = omission.Case()  # 1 ms operation, 1 s freeze every 10 s, 100 operations/s, 60 s


def open_loop_latency(case):
    clock, aggregate = FakeClock(10**12), Aggregate()
    with omission.frozen_target(case, clock) as target:
        open_loop(
            omission.script(case, target),
            case.arrivals,
            lambda batch: aggregate.merge(fold(batch)),
            DriverOptions(clock),
        )
    return aggregate.total()


def test_the_truth_is_what_queueing_theory_says():
    truth = omission.truth(CASE)

    assert truth.count == 6000
    assert truth.percentile(50) == pytest.approx(0.001, rel=0.003)
    assert truth.percentile(95) == pytest.approx(0.5515, rel=0.005)
    assert truth.percentile(99) == pytest.approx(0.9111, rel=0.005)
    assert truth.max_seconds == pytest.approx(1.001, rel=0.001)


def test_our_p99_of_a_freezing_target_is_within_one_percent_of_the_truth():
    latency = open_loop_latency(CASE).latency

    truth = omission.truth(CASE)
    for q in (50, 90, 95, 99, 99.9, 100):
        assert latency.percentile(q) == pytest.approx(truth.percentile(q), rel=0.01)


def test_the_seeds_method_reports_a_p99_hundreds_of_times_too_small():
    clock = FakeClock(10**12)

    with omission.frozen_target(CASE, clock) as target:
        seed = omission.seed_method(CASE, target, lambda work: None, clock)

    assert seed.percentile(99) < 0.0015
    assert omission.truth(CASE).percentile(99) / seed.percentile(99) > 600


def test_service_time_alone_would_hide_the_freeze_too():
    total = open_loop_latency(CASE)

    assert total.service_time.percentile(99) < 0.0015
    assert total.service_time.max_seconds > 1


def test_the_queue_behind_a_freeze_is_not_held_against_the_generator():
    total = open_loop_latency(CASE)

    assert total.lateness.percentile(99) > 0.89
    assert total.dispatch_delay.max_seconds == 0
