"""The benchmark of the judgement on drift: small, but through the same door as the real one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentmem_observe.analysis.drift import judge_drift
from agentmem_observe.analysis.soak import SoakWindow, judge_leak
from agentmem_observe.suite.self import drift_cases, soak_cases

RunHere = Callable[..., Any]


def test_it_names_false_alarms_and_detections_by_model(run_here: RunHere) -> None:
    ran = run_here("self", "drift_detection", soaks=2, drift_ratios=[2.0])

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert set(results["first_day_false_alarm_ratio"]) == set(drift_cases.MODELS)
    assert results["false_alarms_per_day"]["quiet"] == 0.0
    assert results["detection_ratio"]["creep"]["by_100_percent"]["quiet"] == 1.0
    assert results["detection_median_seconds"]["step"]["by_100_percent"]["quiet"] <= 3 * 3600


@pytest.mark.parametrize("hours", [7, 20, 40, 90])
def test_the_simulation_judges_drift_as_the_daemon_does(hours: float) -> None:
    change = drift_cases.Change("step", (hours - 4) * 3600, 0.0)
    levels = drift_cases.steady("wander", 6, seed=3) + change.of(1.35)
    windows = hours * 60
    calls = drift_cases.judge(levels[:, :windows])

    verdicts = [
        judge_drift(
            [
                SoakWindow(60.0 * (n + 1), 60.0, 1, None, None, None, 50.0, float(p50), None, True)
                for n, p50 in enumerate(np.exp(levels[soak, :windows]))
            ]
        ).verdict
        for soak in range(len(levels))
    ]

    assert [verdict == "slower" for verdict in verdicts] == calls.slower[:, -1].tolist()
    assert any(calls.slower[:, -1])


@pytest.mark.parametrize("leak", [0, 6])
def test_the_simulation_judges_blocks_as_the_daemon_does(leak: float) -> None:
    counts = soak_cases.clean("wander", 3, seed=3, windows=150)
    blocks = counts.blocks + np.floor(counts.operations * leak / 1000)
    called = soak_cases.first_leak(soak_cases.Counts(counts.operations, blocks))
    sent = np.diff(counts.operations, prepend=0)

    for soak, first in enumerate(called):
        windows = [
            SoakWindow(
                60.0 * (n + 1), 60.0, int(sent[n]), int(held), None, None, 50.0, 1.0, 1.0, True
            )
            for n, held in enumerate(blocks[soak])
        ]
        end = int(min(first, len(windows)))
        verdict = judge_leak(windows[:end]).verdict
        earlier = judge_leak(windows[: end - 1]).verdict
        assert ((verdict == "leak"), (earlier == "leak")) == (bool(np.isfinite(first)), False)

    assert np.isfinite(called).all() == bool(leak)
