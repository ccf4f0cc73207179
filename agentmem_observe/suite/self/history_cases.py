"""How often the judgement on histories is wrong: simulated runs, judged after each of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.analysis.changes import STANDARD, HistoryRule, judge_history
from agentmem_observe.analysis.floors import Floats
from agentmem_observe.suite.self.environments import (
    ENVIRONMENTS,
    Environment,
    history,
    result_sets,
)
from agentmem_observe.suite.self.judging import METRICS

BEFORE_RUNS = 30
"""Runs without a change before the first that counts."""

CLEAN_RUNS = 70
"""Runs that then follow without one, judged after each."""

CHANGED_RUNS = 10
"""Runs within which a step is to be found."""

CHANGE_RATIOS = (0.02, 0.05, 0.1)
EVERY_SET = 10
"""Histories of one metric for each history of a whole set, which takes 36 times as long."""

_CALLED = ("better", "worse")


@dataclass(frozen=True, slots=True)
class HistoryCell:
    """What came of the histories of one environment.

    Attributes:
        model: One of `ENVIRONMENTS`.
        change_ratio: The true step; 0 for none.
        histories: How many there were.
        runs: After how many runs they were judged, all together.
        calls: How often a metric was newly called better or worse, without a change; with one,
            in how many histories it was called worse at the end of `CHANGED_RUNS`.
        alarmed_runs: After how many runs some metric of the set was newly called.
        found_runs_median: After how many runs those were called that were; nan if none was.
    """

    model: str
    change_ratio: float
    histories: int
    runs: int
    calls: int
    alarmed_runs: int
    found_runs_median: float = math.nan


def simulate(
    histories: int, seed: int, rule: HistoryRule = STANDARD
) -> Iterator[tuple[str, HistoryCell]]:
    """Judge simulated histories after every run.

    Args:
        histories: Of one metric, per environment and change, >= 10.
        seed: The same seed gives the same histories.
        rule: What counts as a change.

    Yields:
        For each environment: ``clean`` histories of one metric, ``clean_set`` of all metrics of
        a run, and ``changed`` ones of one metric for each size of step.
    """
    for place, (model, environment) in enumerate(ENVIRONMENTS.items()):
        random = np.random.default_rng([seed, 500, place])
        yield "clean", _clean(model, environment, random, (histories, 1), rule)
        shape = (max(1, histories // EVERY_SET), METRICS)
        yield "clean_set", _clean(model, environment, random, shape, rule)
        for change in CHANGE_RATIOS:
            yield "changed", _changed(model, random, histories, change, rule)


def cell_count() -> int:
    """Return how many cells `simulate` yields."""
    return len(ENVIRONMENTS) * (2 + len(CHANGE_RATIOS))


def table(cells: Sequence[tuple[str, HistoryCell]]) -> dict[str, Any]:
    """Return the figures of a result: false calls per run, and shares of steps found."""
    figures: dict[str, Any] = {
        "false_call_ratio": {},
        "set_false_call_ratio": {},
        "step_detection_ratio": {},
        "step_detection_median_count": {},
    }
    for kind, cell in cells:
        if kind == "clean":
            figures["false_call_ratio"][cell.model] = cell.calls / cell.runs
        elif kind == "clean_set":
            figures["set_false_call_ratio"][cell.model] = cell.alarmed_runs / cell.runs
        else:
            size = f"by_{cell.change_ratio * 100:g}_percent"
            found = figures["step_detection_ratio"].setdefault(size, {})
            found[cell.model] = cell.calls / cell.histories
            after = figures["step_detection_median_count"].setdefault(size, {})
            after[cell.model] = cell.found_runs_median
    return figures


def new_calls(levels: Floats, first: int, rule: HistoryRule = STANDARD) -> list[int]:
    """Return after how many runs a history was called better or worse, and was not just before.

    What is inconclusive in between ends no call.

    Args:
        levels: Logarithms of the figure, oldest run first.
        first: After how many runs it is judged first.
        rule: What counts as a change.
    """
    calls, before = [], "same"
    for runs in range(first, len(levels) + 1):
        verdict = judge_history(levels[:runs], "lower", rule).verdict
        if verdict in _CALLED and verdict != before:
            calls.append(runs)
        if verdict != "inconclusive":
            before = verdict
    return calls


def _clean(
    model: str,
    environment: Environment,
    random: np.random.Generator,
    shape: tuple[int, int],
    rule: HistoryRule,
) -> HistoryCell:
    histories, metrics = shape
    runs = BEFORE_RUNS + CLEAN_RUNS
    calls, alarmed = 0, 0
    for levels in result_sets(environment, random, histories, runs, metrics):
        found = [new_calls(metric, BEFORE_RUNS + 1, rule) for metric in levels.T]
        calls += sum(map(len, found))
        alarmed += len({runs for each in found for runs in each})
    return HistoryCell(model, 0.0, histories, histories * CLEAN_RUNS, calls, alarmed)


def _changed(
    model: str, random: np.random.Generator, histories: int, change: float, rule: HistoryRule
) -> HistoryCell:
    shape = (BEFORE_RUNS, CHANGED_RUNS)
    found, held = [], 0
    for levels in history(ENVIRONMENTS[model], random, histories, shape, change):
        verdicts = [
            judge_history(levels[:runs], "lower", rule).verdict
            for runs in range(BEFORE_RUNS + 1, len(levels) + 1)
        ]
        held += verdicts[-1] == "worse"
        if "worse" in verdicts:
            found.append(verdicts.index("worse") + 1)
    median = float(np.median(found)) if found else math.nan
    return HistoryCell(model, change, histories, histories * CHANGED_RUNS, held, 0, median)
