"""Hours and weeks of windows and runs in at most 500 points, of which no extreme is missing."""

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.daemon.jobs import trend as trends
from agentmem_observe.daemon.jobs.trend import Trend, trend_of_runs, trend_of_windows
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import RunRow, WindowRow

NOW = 1_763_000_000.0
DAY = 86_400.0


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trends.time, "time", lambda: NOW)


@pytest.fixture
def state(tmp_path: Path) -> Any:
    with State.open(tmp_path / "state") as state:
        yield state


def window(
    started_at: float, length: float = 60.0, job: str = "soak", **changes: Any
) -> WindowRow:
    figures: dict[str, Any] = {
        "operations": 1200,
        "failed_operations": 0,
        "achieved_operations_per_second": 20.0,
        "latency_p50_seconds": 0.001,
        "latency_p99_seconds": 0.002,
        "latency_max_seconds": 0.003,
        "worker_rss_bytes": 5e7,
        "seconds": length,
    }
    return WindowRow(job, "life", 1, started_at, started_at + length, figures | changes)


def run(started_at: float, took: float = 30.0, **changes: Any) -> RunRow:
    values: dict[str, Any] = {
        "id": None,
        "job": "nightly",
        "category": "storage",
        "benchmark": "write_throughput",
        "target": "embedded",
        "started_at": started_at,
        "ended_at": started_at + took,
        "status": "ok",
        "cause": "",
        "reason": "",
        "path": "",
        "validity": "valid",
        "figures": {"latency_p50_seconds": 0.001, "rss_max_bytes": 6e7},
    }
    return RunRow(**(values | changes))


def values(points: Any, name: str) -> list[float]:
    return [point[name] for point in points if point[name] is not None]


@pytest.mark.parametrize("seed", range(5))
def test_no_extreme_is_lost_and_points_are_bounded(seed: int) -> None:
    draw = random.Random(seed)
    trend = Trend(NOW, 7 * DAY)
    told = []
    for number in range(10_000):  # newest first
        ends_at = NOW - 60.0 * number
        if draw.random() < 0.9:
            figures = [draw.lognormvariate(0, 1) for _ in range(7)]
            told.append(figures)
            trend.see(ends_at - 60.0, ends_at, figures)

    points = trend.points()

    assert len(points) <= 500
    for index, name in enumerate(list(points[0])[1:]):
        of_all = [figures[index] for figures in told]
        assert (min(of_all), max(of_all)) == (min(values(points, name)), max(values(points, name)))
    apart = {round(b["at"] - a["at"]) for a, b in pairwise(points)}
    assert apart == {round(7 * DAY / 500)}


def test_a_spike_is_where_it_was_and_after_what_was_before_it(state: State) -> None:
    for number in range(1440):
        p99 = 0.9 if number == 720 else 0.002
        state.save_window(window(NOW - DAY + 60.0 * number, latency_p99_seconds=p99))

    points = trend_of_windows(state, "soak", DAY)["points"]

    (spike,) = [point for point in points if point["latency_p99_seconds"] == 0.9]
    assert spike["at"] == pytest.approx(NOW - DAY / 2, abs=DAY / 250)


def test_windows_are_rates_latencies_and_rss(state: State) -> None:
    state.save_window(window(NOW - 100.0, failed_operations=120))

    view = trend_of_windows(state, "soak", DAY)

    first, second = view["points"]
    assert view["every_seconds"] == DAY / 500
    assert second["at"] - first["at"] == pytest.approx(DAY / 500)
    assert {**first, "at": 0.0} == {**second, "at": 0.0}
    assert {**first, "at": 0.0} == {
        "at": 0.0,
        "ok_per_second": 18.0,
        "failed_per_second": 2.0,
        "latency_p50_seconds": 0.001,
        "latency_p99_seconds": 0.002,
        "latency_max_seconds": 0.003,
        "rss_bytes": 5e7,
        "took_seconds": None,
    }


def test_a_window_without_figures_has_none(state: State) -> None:
    row = window(NOW - 100.0)
    state.save_window(WindowRow("soak", "life", 1, row.started_at, row.ended_at, {}))

    point = trend_of_windows(state, "soak", DAY)["points"][0]

    assert {name for name, value in point.items() if value is not None} == {"at"}


def test_runs_that_were_ok_are_points_and_nothing_is_between_them(state: State) -> None:
    for hours in (9, 6, 3):
        state.save_run(run(NOW - 3600.0 * hours, took=10.0 * hours))
    state.save_run(run(NOW - 3600.0, status="failed"))
    state.save_run(run(NOW - 3600.0, job="other"))

    view = trend_of_runs(state, "nightly", DAY)

    took = [point["took_seconds"] for point in view["points"]]
    assert took == [90.0, 90.0, 60.0, 60.0, 30.0, 30.0]
    assert view["points"][0]["rss_bytes"] == 6e7
    assert view["points"][0]["ok_per_second"] is None
    assert view["points"][2]["at"] - view["points"][1]["at"] > 2 * view["every_seconds"]


def test_what_lasts_longer_than_a_stretch_is_in_all_of_them(state: State) -> None:
    for number in range(24):
        state.save_window(window(NOW - DAY + 3600.0 * number, length=3600.0))

    points = trend_of_windows(state, "soak", DAY)["points"]

    assert len(points) >= 2 * 249  # the first stretch began before the first window


def test_what_is_older_is_left_out_and_not_even_looked_at(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        state.save_window(window(NOW - 3600.0 * (200 - number), operations=number))
    seen = []
    see = Trend.see
    monkeypatch.setattr(Trend, "see", lambda *args: (seen.append(args[1]), see(*args)))

    points = trend_of_windows(state, "soak", DAY)["points"]

    assert len(points) == 2 * 23
    assert len(seen) == 24  # the last one told that it was enough


def test_what_waits_for_the_disk_is_there_too(state: State) -> None:
    state.save_window(window(NOW - 7200.0))
    state.save_run(run(NOW - 7200.0))
    state._spool.add_window(window(NOW - 3600.0, latency_max_seconds=1.0))
    state._spool.add_window(window(NOW - 3600.0, job="other"))

    points = trend_of_windows(state, "soak", DAY)["points"]

    assert values(points, "latency_max_seconds") == [0.003, 0.003, 1.0, 1.0]


def test_a_clock_that_was_set_back_costs_no_points(state: State) -> None:
    backwards = window(NOW - 60.0)
    state.save_window(WindowRow("soak", "life", 1, NOW + 3600.0, NOW - 60.0, backwards.figures))
    state.save_window(window(NOW - 7200.0))

    assert len(trend_of_windows(state, "soak", DAY)["points"]) == 4
