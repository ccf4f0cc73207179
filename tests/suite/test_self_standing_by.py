"""The benchmark of a daemon that stands by tells a process that grows from one that does not."""

import pytest

from agentmem_observe.errors import BenchmarkError
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.suite.self.standing_by import Stretch, costs, growth


def samples(sizes):
    return [
        ProcessSample(float(at), 0.0, size, fd_count=9, thread_count=5)
        for at, size in enumerate(sizes)
    ]


def test_stretches_of_a_kind_are_summed_up_by_their_median():
    alone = [Stretch("alone", ratio, 7.0) for ratio in (0.003, 0.001, 0.9)]

    results = costs([*alone, Stretch("watched", 0.004, None)])

    assert results["cpu_ratio"] == {
        "alone": {"median": 0.003, "lowest": 0.001, "highest": 0.9},
        "watched": {"median": 0.004, "lowest": 0.004, "highest": 0.004},
    }
    assert results["wakeups_per_second"].keys() == {"alone"}


def test_the_slope_is_per_hour_and_has_an_interval():
    results = growth(samples(1_000_000 + 100 * second for second in range(700)))

    assert results["rss_bytes"] == {"first": 1_000_000, "last": 1_069_900}
    assert results["rss_growth_bytes_per_hour"]["median"] == pytest.approx(360_000)
    assert results["leak"]["verdict"] == "unknown"
    assert results["fds"] == {"first": 9, "last": 9}


def test_a_process_that_does_not_grow_has_no_slope():
    slope = growth(samples([1_000_000] * 60))["rss_growth_bytes_per_hour"]

    assert slope == {"median": 0, "lowest": 0, "highest": 0}


def test_one_look_says_nothing_of_growth():
    with pytest.raises(BenchmarkError, match="standing_seconds"):
        growth(samples([1]))
