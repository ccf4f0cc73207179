"""The benchmark of histories: small, but through the same door as the real one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentmem_observe.suite.self import history_cases
from agentmem_observe.suite.self.environments import ENVIRONMENTS, history, rounds_of

RunHere = Callable[..., Any]


def test_it_names_false_calls_and_detections_by_model(
    run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_cases, "CLEAN_RUNS", 2)
    monkeypatch.setattr(history_cases, "METRICS", 2)

    ran = run_here("self", "history_errors", histories=3)

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert set(results["false_call_ratio"]) == set(ENVIRONMENTS)
    assert set(results["set_false_call_ratio"]) == set(ENVIRONMENTS)
    assert set(results["step_detection_ratio"]) == {f"by_{size}_percent" for size in (2, 5, 10)}
    assert results["step_detection_ratio"]["by_10_percent"]["dedicated"] == 1.0
    assert 3 <= results["step_detection_median_count"]["by_10_percent"]["dedicated"] <= 10


@pytest.mark.parametrize("model", ENVIRONMENTS)
def test_looking_after_every_run_seldom_cries_wolf(model: str) -> None:
    histories = rounds_of(ENVIRONMENTS[model], np.random.default_rng(31), 12, 70)

    calls = sum(len(history_cases.new_calls(levels, 30)) for levels in histories)

    assert calls <= 2  # of 480 runs; at one in a hundred there would be five


def test_a_step_is_a_call_and_is_one_only_once() -> None:
    (levels,) = history(ENVIRONMENTS["dedicated"], np.random.default_rng(3), 1, (30, 15), 0.2)

    (after,) = history_cases.new_calls(levels, 20)

    assert 33 <= after <= 36
