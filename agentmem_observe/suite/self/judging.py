"""How often judgements on simulated rounds are wrong: false alarms, and changes not found."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy.special import betaincinv

from agentmem_observe.analysis.compare import MetricRounds, compare_metrics
from agentmem_observe.analysis.duel import judge_duel
from agentmem_observe.analysis.verdicts import Verdict
from agentmem_observe.suite.self.environments import (
    ENVIRONMENTS,
    Environment,
    pairs,
    result_sets,
)

METRICS = 36
"""In a result set: as many as one run of the seeds' storage benchmark has numbers."""

SEED_THRESHOLD = COMPARE_THRESHOLD = 0.1
DUEL_THRESHOLD = 0.01

CHANGE_RATIOS = (0.0, 0.01, 0.02, 0.05, 0.1)
"""How much slower the candidate is in truth."""

_CONFIDENCE = 0.95


class Outcome(NamedTuple):
    """What one judgement came to.

    Attributes:
        verdict: Of the changed metric. Without a change, that of any metric that raised an alarm.
        rounds: How many it took of each side.
    """

    verdict: Verdict
    rounds: int


Method: TypeAlias = Callable[[Environment, np.random.Generator, int, float], Iterator[Outcome]]
"""Takes where it is measured, where noise comes from, how many experiments, and the true change;
yields an outcome for each experiment."""


def _mean_of_one_run(
    environment: Environment, random: np.random.Generator, experiments: int, change: float
) -> Iterator[Outcome]:
    """Judge as the seeds do: one run each, and an alarm if any number is 10 % off."""
    before, after = _both_sides(environment, random, (experiments, 1), change)
    off = np.exp(after - before)[:, 0] - 1
    for sizes in off:
        size = sizes[0] if change else sizes[np.argmax(abs(sizes))]
        verdict: Verdict = "same"
        if abs(size) > SEED_THRESHOLD:
            verdict = "worse" if size > 0 else "better"
        yield Outcome(verdict, 1)


def _compare(
    environment: Environment,
    random: np.random.Generator,
    experiments: int,
    change: float,
    *,
    rounds: int,
) -> Iterator[Outcome]:
    """Compare so many rounds a side, all metrics at once."""
    before, after = np.exp(_both_sides(environment, random, (experiments, rounds), change))
    for ours, theirs in zip(before, after, strict=True):
        found = compare_metrics(
            [
                MetricRounds("", old, new, threshold=COMPARE_THRESHOLD)
                for old, new in zip(ours.T.tolist(), theirs.T.tolist(), strict=True)
            ]
        )
        verdicts = [each.verdict for each in found]
        alarms = [verdict for verdict in verdicts if verdict in ("better", "worse")]
        yield Outcome(verdicts[0] if change or not alarms else alarms[0], rounds)


def _duel(
    environment: Environment,
    random: np.random.Generator,
    experiments: int,
    change: float,
    *,
    most_rounds: int,
) -> Iterator[Outcome]:
    """Judge after each round, and stop when the judge does."""
    ratios = pairs(environment, random, experiments, most_rounds) + math.log1p(change)
    for fought in ratios.tolist():
        for rounds in range(1, most_rounds + 1):
            judgement = judge_duel(fought[:rounds], most_rounds, DUEL_THRESHOLD)
            if judgement.final:
                yield Outcome(judgement.verdict, rounds)
                break


def _both_sides(
    environment: Environment, random: np.random.Generator, shape: tuple[int, int], change: float
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Return result sets of two sides; the first metric of the second has changed."""
    before, after = (result_sets(environment, random, *shape, METRICS) for _ in range(2))
    after[:, :, 0] += math.log1p(change)
    return before, after


METHODS: dict[str, Method] = {
    "seed_method": _mean_of_one_run,
    "compare_3": partial(_compare, rounds=3),
    "compare_5": partial(_compare, rounds=5),
    "compare_10": partial(_compare, rounds=10),
    "duel_10": partial(_duel, most_rounds=10),
    "duel_40": partial(_duel, most_rounds=40),
}
"""By name: what the seeds do, then ours. Numbers are rounds a side, at the most for duels."""


@dataclass(frozen=True, slots=True)
class JudgingCell:
    """What one method made of one change in one environment.

    Attributes:
        method: One of `METHODS`.
        model: One of `ENVIRONMENTS`.
        change_ratio: The true change, 0 for none.
        experiments: How many judgements there were.
        alarms: How many were wrong without a change (``better`` or ``worse``); with one, how many
            were right (``worse``).
        same: How many said ``same``.
        rounds_mean: How many rounds of each side they took.
    """

    method: str
    model: str
    change_ratio: float
    experiments: int
    alarms: int
    same: int
    rounds_mean: float


def simulate(experiments: int, seed: int) -> Iterator[JudgingCell]:
    """Judge simulated rounds with every method, in every environment, at every change.

    Args:
        experiments: Judgements per cell, >= 1.
        seed: The same seed gives the same rounds; all changes of a method see the same noise.

    Yields:
        A cell per method, environment and change.
    """
    for place, (method, judge) in enumerate(METHODS.items()):
        for model_place, (model, environment) in enumerate(ENVIRONMENTS.items()):
            for change in CHANGE_RATIOS:
                random = np.random.default_rng([seed, 400 + place, model_place])
                outcomes = list(judge(environment, random, experiments, change))
                yield _cell(method, model, change, outcomes)


def cell_count() -> int:
    """Return how many cells `simulate` yields."""
    return len(METHODS) * len(ENVIRONMENTS) * len(CHANGE_RATIOS)


def _cell(method: str, model: str, change: float, outcomes: Sequence[Outcome]) -> JudgingCell:
    called = ("worse",) if change else ("better", "worse")
    return JudgingCell(
        method,
        model,
        change,
        len(outcomes),
        sum(outcome.verdict in called for outcome in outcomes),
        sum(outcome.verdict == "same" for outcome in outcomes),
        sum(outcome.rounds for outcome in outcomes) / len(outcomes),
    )


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Return what a share can be in truth, with 95 % confidence, after Clopper and Pearson.

    Args:
        count: How many there were, 0 to ``total``.
        total: Of how many, >= 1.

    Examples:
        >>> low, high = share_interval(0, 300)
        >>> low, round(high, 4)
        (0.0, 0.0122)
    """
    tail = (1 - _CONFIDENCE) / 2
    low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
    return low, high


def table(cells: Sequence[JudgingCell]) -> dict[str, Any]:
    """Return the figures of a result: rates by change, method and model."""
    figures: dict[str, Any] = {
        "false_alarm_ratio": {},
        "false_alarm_highest_ratio": {},
        "detection_ratio": {},
        "detection_lowest_ratio": {},
        "false_same_ratio": {},
        "judged_rounds_mean_count": {},
    }
    for cell in cells:
        share = cell.alarms / cell.experiments
        low, high = share_interval(cell.alarms, cell.experiments)
        size = f"by_{cell.change_ratio * 100:g}_percent"
        values: dict[tuple[str, ...], float] = {}
        if cell.change_ratio:
            values["detection_ratio", size] = share
            values["detection_lowest_ratio", size] = low
        else:
            values["false_alarm_ratio",] = share
            values["false_alarm_highest_ratio",] = high
        if cell.change_ratio == _threshold(cell.method):
            values["false_same_ratio",] = cell.same / cell.experiments
        if cell.method.startswith("duel"):
            values["judged_rounds_mean_count", size] = cell.rounds_mean
        for path, value in values.items():
            within = figures
            for key in (*path, cell.method):
                within = within.setdefault(key, {})
            within[cell.model] = value
    return figures


def _threshold(method: str) -> float:
    return DUEL_THRESHOLD if method.startswith("duel") else COMPARE_THRESHOLD
