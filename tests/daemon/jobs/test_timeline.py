"""Live points: what a job did in each five seconds, gaps where it did nothing."""

import numpy as np
import pytest

from agentmem_observe.daemon.jobs.timeline import EVERY_SECONDS, POINTS, Timeline
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.model import ObservationBatch, Outcome

MS = 1_000_000


class Now:
    """A wall clock that tests set."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def batch(
    service_ms: int, count: int = 10, *, failed: int = 0, late_ms: int | None = None
) -> Aggregate:
    started = np.zeros(count, np.int64)
    outcome = np.zeros(count, np.uint8)
    outcome[:failed] = Outcome.EMPTY
    intended = None if late_ms is None else started - late_ms * MS
    finished = started + service_ms * MS
    return fold(
        ObservationBatch("retrieve_memory", "", started, finished, outcome, intended, started)
    )


def test_a_point_is_rates_and_percentiles_of_its_five_seconds() -> None:
    now = Now()
    timeline = Timeline(now=now)

    timeline.measured(batch(2, 2_000, failed=400, late_ms=3))
    timeline.sampled(4096.0)
    now.seconds += EVERY_SECONDS

    (point,) = timeline.view()["points"]
    assert point["at"] == 1_000_005.0
    assert point["ok_per_second"] == pytest.approx(1600 / 5)
    assert point["failed_per_second"] == pytest.approx(400 / 5)
    assert point["latency_p50_seconds"] == pytest.approx(0.005, rel=0.01)
    assert point["latency_p99_seconds"] == pytest.approx(0.005, rel=0.01)
    assert point["latency_max_seconds"] == pytest.approx(0.005)
    assert point["rss_bytes"] == 4096.0


def test_a_percentile_of_few_operations_is_of_those_before_them_too() -> None:
    now = Now()
    timeline = Timeline(now=now)

    for number in range(10):  # 100 operations a point: a p99 needs 1,000
        timeline.measured(batch(9 if number == 0 else 1, 100))
        now.seconds += EVERY_SECONDS

    points = timeline.view()["points"]
    assert [point["latency_p99_seconds"] for point in points[:9]] == [None] * 9
    assert points[9]["latency_p99_seconds"] == pytest.approx(0.009, rel=0.01)
    assert points[9]["latency_p50_seconds"] == pytest.approx(0.001, rel=0.01)
    assert points[9]["latency_max_seconds"] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("count", "apart", "known"), [(41, 1, False), (42, 1, True), (500, 23, True), (500, 24, False)]
)
def test_a_percentile_looks_back_two_minutes_at_most(count: int, apart: int, known: bool) -> None:
    now = Now()
    timeline = Timeline(now=now)

    for _ in range(24 if apart == 1 else 2):
        timeline.measured(batch(1, count))
        now.seconds += apart * EVERY_SECONDS

    newest = timeline.view()["points"][-1]
    assert (newest["latency_p99_seconds"] is not None) == known


def test_too_few_operations_for_any_percentile_still_have_a_slowest() -> None:
    now = Now()
    timeline = Timeline(now=now)

    timeline.measured(batch(7, 19))

    (point,) = timeline.view()["points"]
    assert point["latency_p50_seconds"] is point["latency_p99_seconds"] is None
    assert point["latency_max_seconds"] == pytest.approx(0.007)


def test_a_pause_is_no_rate_of_zero_but_a_target_that_hangs_is() -> None:
    now = Now()
    timeline = Timeline(now=now)

    for paused in (False, True, True, False):
        if paused:
            timeline.pause()
        else:
            timeline.resume()
        timeline.sampled(1.0)
        now.seconds += EVERY_SECONDS

    rates = [(one["ok_per_second"], one["failed_per_second"]) for one in timeline.view()["points"]]
    assert rates == [(0.0, 0.0), (None, None), (None, None), (0.0, 0.0)]


@pytest.mark.parametrize(("ran_seconds", "rate"), [(4.0, 25.0), (2.5, 40.0), (2.0, None)])
def test_a_point_with_a_pause_in_it_has_the_rate_of_the_rest(
    ran_seconds: float, rate: float | None
) -> None:
    now = Now()
    timeline = Timeline(now=now)

    timeline.measured(batch(1, 100))
    now.seconds += ran_seconds / 2
    timeline.pause()
    now.seconds += EVERY_SECONDS - ran_seconds
    timeline.resume()
    timeline.resume()  # that it runs is no news
    now.seconds += ran_seconds / 2

    (point,) = timeline.view()["points"]
    assert point["ok_per_second"] == (rate if rate is None else pytest.approx(rate))
    assert point["latency_p50_seconds"] is not None


def test_a_clock_that_is_set_back_leaves_no_pause_behind() -> None:
    now = Now()
    timeline = Timeline(now=now)
    timeline.pause()
    timeline.resume()
    now.seconds -= 3600.0

    timeline.measured(batch(1, 100))
    now.seconds += 2 * EVERY_SECONDS

    assert timeline.view()["points"][-1]["ok_per_second"] == pytest.approx(20.0)


def test_a_closed_loop_shows_its_service_time() -> None:
    timeline = Timeline(now=Now())

    timeline.measured(batch(7, 1_000))

    (point,) = timeline.view()["points"]
    assert point["latency_p99_seconds"] == pytest.approx(0.007, rel=0.01)


def test_where_nothing_ran_there_is_no_point() -> None:
    now = Now()
    timeline = Timeline(now=now)

    timeline.measured(batch(1))
    now.seconds += 10 * EVERY_SECONDS
    timeline.measured(batch(1))
    now.seconds += EVERY_SECONDS

    first, second = timeline.view()["points"]
    assert second["at"] - first["at"] == 10 * EVERY_SECONDS


def test_only_the_newest_half_hour_is_kept() -> None:
    now = Now()
    timeline = Timeline(now=now)

    for _ in range(POINTS + 50):
        timeline.sampled(1.0)
        now.seconds += EVERY_SECONDS

    points = timeline.view()["points"]
    assert len(points) == POINTS
    assert points[-1]["at"] == now.seconds


def test_who_has_the_older_points_is_given_the_newer_ones_alone() -> None:
    now = Now()
    timeline = Timeline(now=now)

    for rss_bytes in range(3):
        timeline.sampled(rss_bytes)
        now.seconds += EVERY_SECONDS

    newer = timeline.view(since=1_000_010.0)["points"]
    assert [(point["at"], point["rss_bytes"]) for point in newer] == [
        (1_000_010.0, 1.0),
        (1_000_015.0, 2.0),
    ]
    assert timeline.view(since=1_000_015.1)["points"] == []
