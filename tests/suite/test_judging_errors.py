"""The benchmark of judgements: small, but through the same door as the real one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentmem_observe.suite.self import judging
from agentmem_observe.suite.self.environments import ENVIRONMENTS

RunHere = Callable[..., Any]


def test_it_names_false_alarms_and_detections_by_method_and_model(run_here: RunHere) -> None:
    ran = run_here("self", "judging_errors", judgements=2)

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert set(results["false_alarm_ratio"]) == set(judging.METHODS)
    assert set(results["false_alarm_ratio"]["compare_10"]) == set(ENVIRONMENTS)
    assert results["false_alarm_highest_ratio"]["duel_40"]["cloud"] > 0.5
    assert results["detection_ratio"]["by_10_percent"]["duel_40"]["dedicated"] == 1.0
    assert set(results["detection_ratio"]) == {f"by_{size}_percent" for size in (1, 2, 5, 10)}
    assert results["judged_rounds_mean_count"]["by_10_percent"]["duel_40"]["cloud"] < 20


def test_the_same_seed_gives_the_same_rates() -> None:
    once, again = (
        [
            list(judge(ENVIRONMENTS["shared_vm"], np.random.default_rng(5), 3, 0.05))
            for judge in judging.METHODS.values()
        ]
        for _ in "ab"
    )

    assert once == again


def test_the_seeds_rule_alarms_on_a_clean_set_and_misses_half_of_what_is_real() -> None:
    rule = judging.METHODS["seed_method"]
    cloud = ENVIRONMENTS["cloud"]

    clean = [outcome.verdict for outcome in rule(cloud, np.random.default_rng(1), 200, 0.0)]
    changed = [outcome.verdict for outcome in rule(cloud, np.random.default_rng(1), 200, 0.1)]

    assert clean.count("same") < 150
    assert changed.count("worse") < 150


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 100, 0.0, 0.0362), (100, 100, 0.9638, 1.0), (5, 100, 0.0164, 0.1128)],
)
def test_a_share_of_few_is_known_within_its_interval(
    count: int, total: int, low: float, high: float
) -> None:
    assert judging.share_interval(count, total) == pytest.approx((low, high), abs=1e-4)


def test_wrong_without_a_change_is_either_direction_and_right_with_one_is_worse() -> None:
    outcomes = [judging.Outcome(verdict, 10) for verdict in ("better", "worse", "same")]

    clean = judging._cell("compare_10", "cloud", 0.0, outcomes)
    changed = judging._cell("compare_10", "cloud", 0.1, outcomes)

    assert (clean.alarms, changed.alarms, changed.same) == (2, 1, 1)
