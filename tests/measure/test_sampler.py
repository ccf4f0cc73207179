from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.sampler import Sampler, Series


class ScriptedWait:
    """Stands for the event between ticks: passes virtual time, asks to stop after some ticks."""

    def __init__(self, clock: FakeClock, ticks: int) -> None:
        self._clock = clock
        self._left = ticks

    def set(self) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        if self._left == 0:
            return True
        self._left -= 1
        self._clock.advance(timeout)
        return False


def sampled(ticks: int, probe_seconds: float) -> tuple[tuple[float, ...], int]:
    """Sample the time every second with a probe that takes its own; return when, and misses."""
    clock = FakeClock()

    def probe() -> float:
        now = clock.now_ns() / 1e9
        clock.advance(probe_seconds)
        return now

    series = Series(probe)
    with Sampler([series], 1.0, clock=clock, stop_signal=ScriptedWait(clock, ticks)) as sampler:
        pass
    return series.samples, sampler.missed_total


def test_the_first_and_the_last_sample_are_always_taken() -> None:
    times, missed = sampled(ticks=0, probe_seconds=0.0)

    assert times == (0.0, 0.0)
    assert missed == 0


def test_ticks_do_not_drift_by_the_time_that_probing_takes() -> None:
    times, missed = sampled(ticks=4, probe_seconds=0.25)

    assert times == (0.0, 1.0, 2.0, 3.0, 4.0, 4.25)
    assert missed == 0


def test_ticks_whose_time_passed_while_probing_are_skipped_and_counted() -> None:
    times, missed = sampled(ticks=3, probe_seconds=2.5)

    # The tick of second 1 comes late but is not lost; those of 2, 3, 4, then 6, 7, then 9, 10 are.
    assert times == (0.0, 2.5, 5.0, 8.0, 10.5)
    assert missed == 3 + 2 + 2


def test_a_failing_probe_is_counted_and_stops_no_other() -> None:
    def broken() -> int:
        raise PermissionError("not yours")

    clock = FakeClock()
    bad, good = Series(broken), Series(lambda: 7)

    with Sampler([bad, good], 1.0, clock=clock, stop_signal=ScriptedWait(clock, ticks=2)):
        pass

    assert good.samples == (7, 7, 7, 7)
    assert good.report()["probe_failure_total"] == 0
    assert bad.samples == ()
    assert bad.report()["probe_failure_total"] == 4
    assert bad.report()["probe_last_error"] == "PermissionError: not yours"


def test_a_process_that_is_gone_is_neither_a_success_nor_a_failure() -> None:
    answers = iter([1, None, None])
    series = Series(lambda: next(answers))

    for _ in range(3):
        series.take()

    report = series.report()
    assert series.samples == (1,)
    assert report["probe_success_total"] == 1
    assert report["probe_gone_total"] == 2
    assert report["probe_failure_total"] == 0


def test_the_cost_of_probing_is_its_cpu_time_failures_included() -> None:
    cpu_clock = iter([1_000, 4_000, 10_000, 15_000])
    answers = iter([1])  # the second call fails
    series = Series(lambda: next(answers), cpu_clock_ns=lambda: next(cpu_clock))

    series.take()
    series.take()

    assert series.report()["probe_cpu_seconds"] == pytest.approx(8e-6)
    assert series.report()["probe_failure_total"] == 1


@given(taken=st.integers(1, 300), capacity=st.integers(2, 20))
def test_a_long_course_is_thinned_evenly_and_keeps_both_ends(taken: int, capacity: int) -> None:
    answers = iter(range(taken))
    series = Series(lambda: next(answers), capacity=capacity)

    for _ in range(taken):
        series.take()

    samples = series.samples
    assert samples[0] == 0
    assert samples[-1] == series.newest == taken - 1
    assert min(taken, capacity // 2) <= len(samples) <= capacity + 1
    steps = {after - before for before, after in pairwise(samples[:-1])}
    assert len(steps) <= 1


def test_the_real_event_ends_the_wait() -> None:
    series = Series(lambda: 1)
    sampler = Sampler([series], interval_seconds=3600)

    sampler.start()
    sampler.stop()
    sampler.stop()

    assert series.samples == (1, 1)


def test_a_sampler_starts_once() -> None:
    with (
        Sampler([], interval_seconds=3600) as sampler,
        pytest.raises(RuntimeError, match="starts once"),
    ):
        sampler.start()


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_an_interval_must_be_positive(interval: float) -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        Sampler([], interval)


def test_a_series_has_room_for_two_ends() -> None:
    with pytest.raises(ValueError, match="capacity is 1"):
        Series(lambda: 1, capacity=1)
