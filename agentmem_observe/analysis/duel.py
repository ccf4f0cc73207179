"""A judge of paired rounds that are measured one by one: it says when it is sure, or hopeless.

Looking after each round and stopping at the first alarm would cry wolf far more often than any
single look. Here all looks together do it in at most 1 % of duels between equals: the earlier a
look, the more evidence it asks for, and how much was simulated. How often it is wrong is measured
by the ``judging_errors`` benchmark and told in docs/statistics.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from agentmem_observe.analysis.location import center, interval, width_quantile
from agentmem_observe.analysis.verdicts import Better, Verdict, check_threshold, verdict_of
from agentmem_observe.units import format_change

FIRST_LOOK = 6
"""Rounds before anything is said: five of one sign have a chance of 1 in 16."""

FEWEST_ROUNDS, MOST_ROUNDS = 3, 200

FALSE_ALARM_LEVEL = 0.009
"""Chance of a false verdict over all looks of a duel. The promise is 1 %; the rest is for noise
unlike what the levels were simulated with."""

INTERVAL_LEVEL = 0.05
"""Chance that the interval misses the truth at any of the looks."""

_STEEPNESS = 4
"""How the level of a look grows with its number. Steep, so that the last look keeps most of it:
ten rounds then find 2 % nearly as often as a test that looks only once."""

_LAST_LEVELS = {
    6: (0.00900, 0.0500),
    7: (0.00884, 0.0497),
    8: (0.00843, 0.0479),
    9: (0.00789, 0.0464),
    10: (0.00771, 0.0452),
    11: (0.00727, 0.0438),
    12: (0.00737, 0.0425),
    13: (0.00800, 0.0475),
    14: (0.00671, 0.0426),
    15: (0.00671, 0.0450),
    16: (0.00694, 0.0443),
    18: (0.00658, 0.0420),
    20: (0.00639, 0.0400),
    25: (0.00591, 0.0382),
    30: (0.00578, 0.0368),
    40: (0.00560, 0.0356),
    60: (0.00513, 0.0329),
    100: (0.00483, 0.0309),
    200: (0.00424, 0.0290),
}
"""By most rounds: the level of the last look for an alarm, and for the interval, with which all
looks together keep `FALSE_ALARM_LEVEL` and `INTERVAL_LEVEL`. Simulated with normal noise, 20,000
duels at 200 rounds to a million at 10; for the ranks of the later looks any symmetric noise is the
same. Uneven from 11 to 15, where looks turn from t to ranks, of which there are few."""

_HOPELESS = 0.05
"""Chance of a verdict after all rounds, below which the rest is not worth measuring."""

_POWER = 0.8
_NORMAL = NormalDist()
_ALARM, _INTERVAL = 0, 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """What can be said of a duel.

    Attributes:
        verdict: Of the candidate; ``inconclusive`` while the duel goes on.
        final: Whether the duel is over: all rounds are there, or the rest would change nothing.
        change_ratio: Candidate over baseline less 1: 0.03 is 3 % more.
        interval: What that can be, with 95 % confidence over all looks; None where so few rounds
            can't say.
        least_change_ratio: Smallest change that all rounds together find in four of five duels
            with noise like this; None if not known yet.
        reasons: Sentences with figure, limit and next step.
    """

    verdict: Verdict
    final: bool
    change_ratio: float
    interval: tuple[float, float] | None
    least_change_ratio: float | None
    reasons: tuple[str, ...]


def judge_duel(
    log_ratios: Sequence[float],
    most_rounds: int = 40,
    threshold: float = 0.01,
    better: Better = "lower",
) -> Judgement:
    """Judge a duel after any of its rounds.

    Ask after each one, and stop when it is ``final``. Whoever stops for another reason, such as
    the time it takes, may keep what was said last.

    Args:
        log_ratios: Logarithm of candidate over baseline in each round so far, at least one.
        most_rounds: When the duel ends at the latest, 3 to 200; fix it before the first round.
        threshold: The change that matters, relative, > 0; surely less than that is ``same``.
        better: Which direction of the figure is wanted.

    Raises:
        ValueError: If there is no round or one too many, or a figure is out of range.

    Examples:
        >>> rounds = [0.050, 0.054, 0.047, 0.052, 0.049, 0.051]
        >>> judgement = judge_duel(rounds, most_rounds=10)
        >>> judgement.verdict, judgement.final
        ('worse', True)
        >>> judge_duel(rounds[:5], most_rounds=10).final
        False
    """
    check_threshold(threshold)
    if not FEWEST_ROUNDS <= most_rounds <= MOST_ROUNDS:
        raise ValueError(
            f"most_rounds is {most_rounds!r}; it must be from {FEWEST_ROUNDS} to {MOST_ROUNDS}"
        )
    if not 1 <= len(log_ratios) <= most_rounds:
        raise ValueError(f"{len(log_ratios)} rounds of at most {most_rounds}; give at least one")
    if not all(map(math.isfinite, log_ratios)):
        raise ValueError("a log ratio is not finite; leave out rounds that measured nothing")
    look = _Look(log_ratios, most_rounds)
    found = look.interval(_INTERVAL)
    low, high = look.interval(_ALARM)
    verdict = verdict_of(low > 0 or high < 0, found, math.log1p(threshold), better)
    hopeless = verdict == "inconclusive" and _is_hopeless(look, threshold)
    return Judgement(
        verdict,
        verdict != "inconclusive" or hopeless or len(log_ratios) == most_rounds,
        math.expm1(look.middle),
        (math.expm1(found[0]), math.expm1(found[1])) if math.isfinite(found[1]) else None,
        look.least_change_ratio,
        tuple(_reasons(look, verdict, threshold, hopeless)),
    )


def last_levels(most_rounds: int) -> tuple[float, float]:
    """Return the levels of the last look, for an alarm and for the interval.

    Args:
        most_rounds: Rounds of the duel at the most.
    """
    if most_rounds <= FIRST_LOOK:
        return FALSE_ALARM_LEVEL, INTERVAL_LEVEL
    known = np.log(list(_LAST_LEVELS))
    alarm, whole = zip(*_LAST_LEVELS.values(), strict=True)
    at = math.log(most_rounds)
    return float(np.interp(at, known, alarm)), float(np.interp(at, known, whole))


class _Look:
    """The rounds so far, as they are seen after the last of them."""

    def __init__(self, log_ratios: Sequence[float], most_rounds: int) -> None:
        self.ratios, self.most_rounds = log_ratios, most_rounds
        self.rounds = len(log_ratios)
        self.middle = center(log_ratios)
        self.levels = last_levels(most_rounds)
        self.deviation = self._deviation()

    def interval(self, which: int) -> tuple[float, float]:
        """Return the interval of this look, without ends before the first one."""
        first = min(FIRST_LOOK, self.most_rounds)
        share = (self.rounds - first + 1) / (self.most_rounds - first + 1)
        if share <= 0:
            return -math.inf, math.inf
        return interval(self.ratios, self.levels[which] * share**_STEEPNESS)

    def _deviation(self) -> float | None:
        """Return the noise of one round, None if not known yet."""
        if self.rounds < FEWEST_ROUNDS:
            return None
        low, high = interval(self.ratios, INTERVAL_LEVEL)
        per_deviation = width_quantile(INTERVAL_LEVEL, self.rounds) / math.sqrt(self.rounds)
        return (high - low) / 2 / per_deviation

    def last_half_width(self, which: int, deviation: float) -> float:
        """Return half the width of the interval that all rounds will have."""
        quantile = width_quantile(self.levels[which], self.most_rounds)
        return quantile * deviation / math.sqrt(self.most_rounds)

    @property
    def least_change_ratio(self) -> float | None:
        """What all rounds find in four of five duels."""
        if self.deviation is None:
            return None
        above = _NORMAL.inv_cdf(_POWER) * self.deviation / math.sqrt(self.most_rounds)
        return math.expm1(self.last_half_width(_ALARM, self.deviation) + above)


def _is_hopeless(look: _Look, threshold: float) -> bool:
    """Say whether the rounds that are left have hardly a chance to bring a verdict."""
    earliest = max(FIRST_LOOK, look.most_rounds / 2)
    if look.deviation is None or not earliest <= look.rounds < look.most_rounds:
        return False
    scatter = look.deviation * math.sqrt(1 / look.rounds - 1 / look.most_rounds)
    if not scatter:
        return False
    end = NormalDist(look.middle, scatter)
    alarm = look.last_half_width(_ALARM, look.deviation)
    chance = 1 - end.cdf(alarm) + end.cdf(-alarm)
    same = math.log1p(threshold) - look.last_half_width(_INTERVAL, look.deviation)
    if same > 0:
        chance += end.cdf(same) - end.cdf(-same)
    return chance < _HOPELESS


def _reasons(look: _Look, verdict: Verdict, threshold: float, hopeless: bool) -> list[str]:
    limit = f"the threshold of {100 * threshold:g} %"
    said = f"{format_change(math.expm1(look.middle))} after {look.rounds} of at most "
    said += f"{look.most_rounds} rounds"
    low, high = look.interval(_INTERVAL)
    if math.isfinite(high):
        ends = f"{format_change(math.expm1(low))} to {format_change(math.expm1(high))}"
        said += f" (95 % interval {ends})"
    if verdict in ("better", "worse"):
        return [f"{said}; between equals this happens in at most 1 of 100 duels"]
    if verdict == "same":
        there = ": a change, but one" if low > 0 or high < 0 else ": a change would be"
        return [f"{said}{there} of less than {limit}"]
    reasons = [f"{said}: it may be none, and it may be as large as {limit}"]
    if hopeless:
        reasons.append(f"the rest has a chance of less than {100 * _HOPELESS:g} % to decide it")
    if look.least_change_ratio is not None and look.deviation is not None:
        needed = _rounds_needed(look, look.deviation, threshold)
        many = f"about {needed} rounds" if needed <= MOST_ROUNDS else "a quieter host"
        reasons.append(
            f"with noise like this {look.most_rounds} rounds find "
            f"{format_change(look.least_change_ratio).lstrip('+')} in four of five duels; "
            f"{100 * threshold:g} % takes {many}"
        )
    return reasons


def _rounds_needed(look: _Look, deviation: float, threshold: float) -> int:
    quantile = width_quantile(look.levels[_ALARM], MOST_ROUNDS) + _NORMAL.inv_cdf(_POWER)
    return math.ceil((quantile * deviation / math.log1p(threshold)) ** 2)
