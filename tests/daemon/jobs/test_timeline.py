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

    timeline.measured(batch(2, failed=4, late_ms=3))
    timeline.sampled(4096.0)
    now.seconds += EVERY_SECONDS

    (point,) = timeline.view()["points"]
    assert point["at"] == 1_000_005.0
    assert point["ok_per_second"] == pytest.approx(6 / 5)
    assert point["failed_per_second"] == pytest.approx(4 / 5)
    assert point["latency_p50_seconds"] == pytest.approx(0.005, rel=0.01)
    assert point["latency_p99_seconds"] == pytest.approx(0.005, rel=0.01)
    assert point["rss_bytes"] == 4096.0


def test_a_closed_loop_shows_its_service_time() -> None:
    timeline = Timeline(now=Now())

    timeline.measured(batch(7))

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
