"""What becomes of a soak's windows: how they are judged, stored and recalled."""

import math
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.analysis.soak import judge_leak
from agentmem_observe.bench.messages import Progress, Window
from agentmem_observe.bench.supervisor import Turn
from agentmem_observe.daemon.jobs.loop import Services
from agentmem_observe.daemon.jobs.soaks import _PAGE, SoakLoop, _soak_window, recalled
from agentmem_observe.daemon.jobs.timeline import EVERY_SECONDS, Timeline
from agentmem_observe.daemon.settings.values import SoakJob
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import WindowRow
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics


def figures(**changes: Any) -> dict[str, Any]:
    """Return what a window says, as it is stored."""
    return {
        "in_process": False,
        "server": "",
        "operations": 1200,
        "blocks": None,
        "server_rss_bytes": None,
        "worker_rss_bytes": 5e7,
        "stored_bytes": None,
        "validity": {"verdict": "valid"},
    } | changes


def test_nothing_is_said_of_a_server_on_another_host() -> None:
    windows = [_soak_window(figures(), 60.0 * (number + 1), 60.0) for number in range(600)]

    verdict = judge_leak(windows)

    assert verdict.verdict == "unknown"
    assert "neither blocks nor RSS are known" in verdict.reasons[0]


@pytest.mark.parametrize(("in_process", "judged"), [(True, 5e7), (False, 9e7)])
def test_the_process_that_has_the_records_is_judged(in_process: bool, judged: float) -> None:
    told = figures(in_process=in_process, server="7 since", server_rss_bytes=9e7)

    assert _soak_window(told, 60.0, 60.0).resident_bytes == judged


def soak_job() -> SoakJob:
    return SoakJob(
        name="checkout",
        target="fake",
        retention_seconds=None,
        operation_timeout_seconds=30,
        seed=1,
        rate=20,
        window_seconds=60,
        workers=1,
        records=20,
        mix={},
        leak_windows=10,
        hang_seconds=30,
    )


def save_windows(state: State, soak: str, count: int) -> None:
    """Store a window for each minute."""
    for number in range(count):
        told = figures(at_seconds=60.0 * (number + 1), seconds=60.0)
        state.save_window(WindowRow("checkout", soak, number, 60.0 * number, 0.0, told))


def test_all_windows_of_a_soak_are_recalled_the_old_ones_thinned(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        save_windows(state, "another life", 3)
        save_windows(state, "this life", 3 * _PAGE + 7)

        windows = recalled(state, "checkout", "this life")

    begin = windows[0].at_seconds - windows[0].seconds
    assert (begin, windows[-1].at_seconds) == (0.0, 60.0 * (3 * _PAGE + 7))
    assert sum(window.seconds for window in windows) == 60.0 * (3 * _PAGE + 7)
    assert len(windows) <= 2_000


def test_windows_that_wait_for_the_disk_are_recalled_after_those_that_are_on_it(
    tmp_path: Path,
) -> None:
    with State.open(tmp_path) as state:
        save_windows(state, "life", 5)
        (newest,) = state.windows("checkout", limit=1)
        state._spool.add_window(replace(newest, number=5))

        kept = [state.windows("checkout", limit=2, skip=skip) for skip in (0, 1, 2, 4)]

    numbers = [[row.number for row in page] for page in kept]
    assert numbers == [[4, 5], [3, 4], [2, 3], [0, 1]]


@pytest.mark.parametrize("bytes_", [math.nan, math.inf])
def test_what_a_target_makes_up_is_taken_for_not_known_and_told_once(
    tmp_path: Path, bytes_: float
) -> None:
    said: list[str] = []

    def say(event: str, message: str, *, level: int = 0, **fields: Any) -> None:
        said.append(message)

    job = soak_job()
    told = figures(stored_bytes=bytes_, server="life", cut=False)
    with State.open(tmp_path) as state:
        loop = SoakLoop(job, Services(RunMetrics(MetricRegistry()), state, say))

        for number in (1, 2):
            loop.watcher().window(Window(number, 60.0 * number, 60.0, told))

        stored = [row.figures["stored_bytes"] for row in state.windows("checkout")]
    assert stored == [None, None]
    assert loop.leak is not None
    assert len(said) == 1
    assert f"stored_bytes ({bytes_}) of a window is no number" in said[0]


def test_a_soak_that_makes_way_for_a_benchmark_has_no_rate_then(tmp_path: Path) -> None:
    at = [1_000_000.0]
    stop = threading.Event()
    with State.open(tmp_path) as state:
        services = Services(RunMetrics(MetricRegistry()), state, lambda *args, **fields: None)
        loop = SoakLoop(soak_job(), services)
        loop.timeline = Timeline(now=lambda: at[0])

        def go_on() -> Turn:
            turn = loop.turn(asked=True)
            watcher.sampled(ProcessSample(0.0, 0.0, 5 << 20))
            at[0] += EVERY_SECONDS
            services.host.leave("checkout")
            return turn

        watcher = loop.watcher()
        watcher.progressed(Progress(0, 0, "storing what is read later", b""))
        watcher.sampled(ProcessSample(0.0, 0.0, 5 << 20))
        at[0] += EVERY_SECONDS
        turns = [go_on()]
        with services.host.alone(stop):
            turns.append(go_on())
        turns.append(go_on())

    rates = [point["ok_per_second"] for point in loop.timeline.view()["points"]]
    assert turns == [Turn.GO, Turn.WAIT, Turn.GO]
    assert rates == [None, 0.0, None, 0.0]
