"""Whether a figure's history of runs has changed: when, by how much, for better or worse.

Two looks at logarithms of the figure, oldest run first. The newest few runs against those before
(median and MAD) show a large step at once; change points by the energy statistic show a smaller
one within ten runs. How often either is wrong is measured by a benchmark: docs/statistics.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np

from agentmem_observe.analysis.energy import FEWEST, change_points
from agentmem_observe.analysis.floors import Floats

Better: TypeAlias = Literal["lower", "higher"]
Verdict: TypeAlias = Literal["better", "same", "worse", "inconclusive"]

_CONFIDENCE = 0.95
_BOUND = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
_DEVIATIONS_PER_MAD = 1 / NormalDist().inv_cdf(0.75)

_NEWEST_SHARE = 3
_MOST_NEWEST = 10
"""While nothing changed, the newest third of the runs is compared with the others, or this many:
their number decides how small a change can be ruled out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRule:
    """What counts as a change.

    Attributes:
        threshold_ratio: A change that is certainly smaller is called neither better nor worse.
        level: Largest p of a change point, in (0, 1).
        fresh_runs: For so many runs a change is news; later it is what is normal.
        newest_runs: How many of the newest runs must show a large step.
        least_before_runs: To how many before them at least.
        step_deviations: By how many standard deviations of these each must differ.
        suspect_deviations: By how many to be suspected of a change.
        most_runs: Only so many of the newest runs are looked at.
    """

    threshold_ratio: float = 0.05
    level: float = 5e-4
    fresh_runs: int = 20
    newest_runs: int = 3
    least_before_runs: int = 10
    step_deviations: float = 6.0
    suspect_deviations: float = 3.0
    most_runs: int = 400

    @property
    def fewest_runs(self) -> int:
        """Return how many runs can be judged at all; only large steps while they are so few."""
        return self.least_before_runs + self.newest_runs


STANDARD = HistoryRule()
"""Chosen on other histories of the models than those whose rates are in docs/statistics.md."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a change is: after over before, less one, so that 0.1 is 10 % more.

    Attributes:
        ratio: The best estimate.
        low: Lower end of the 95 % interval.
        high: Its upper end.
    """

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:+.1%} ({self.low:+.1%} to {self.high:+.1%})"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a history.

    Attributes:
        index: Of the first run after it.
        size: Of the runs until the next change against those since the one before.
        p: How often chance alone does as much.
        runs_before: How many those are.
        runs_after: How many these are.
        direction: What it means to who uses the target.
    """

    index: int
    size: Size
    p: float
    runs_before: int
    runs_after: int
    direction: Literal["better", "worse"]


@dataclass(frozen=True, slots=True)
class HistoryVerdict:
    """The judgement on the newest runs of a history.

    Attributes:
        verdict: ``better`` or ``worse``: a fresh change that may be as large as the threshold.
            ``same``: the newest runs are within the threshold. ``inconclusive``: none of these.
        size: The newest runs against those before what is fresh; None if they are too few.
        changes: All changes, oldest first.
        reason: A sentence with figures, limit and next step.
        since: Index of the first run after the first change that is fresh; None without one.
        suspected: Whether more runs may show a change: it is worth to look soon.
    """

    verdict: Verdict
    size: Size | None
    changes: tuple[Change, ...]
    reason: str
    since: int | None = None
    suspected: bool = False


def judge_history(
    levels: Sequence[float] | Floats, better: Better, rule: HistoryRule = STANDARD
) -> HistoryVerdict:
    """Judge the history of one figure on one host.

    Args:
        levels: Logarithms of the figure, one per run, oldest first.
        better: Which way the figure is better.
        rule: What counts as a change.

    Raises:
        ValueError: If a level is not finite.

    Examples:
        >>> before, after = [0.0, 0.01, -0.01] * 10, [0.31, 0.29, 0.3, 0.3]
        >>> judge_history([*before, *after], "lower").verdict
        'worse'
    """
    values = np.asarray(levels, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("levels must be finite; leave out runs without this figure")
    skipped = max(0, len(values) - rule.most_runs)
    values = values[skipped:]
    if len(values) < rule.fewest_runs:
        return HistoryVerdict(
            "inconclusive",
            None,
            (),
            f"too few runs: {len(values)} (limit {rule.fewest_runs}, and {FEWEST} for small "
            "changes); run more",
        )
    changes = find_changes(values, better, rule)
    fresh = [each for each in changes if len(values) - each.index <= rule.fresh_runs]
    if fresh:
        verdict = _judge_change(values, fresh, better, rule)
    else:
        verdict = _judge_steady(values[changes[-1].index if changes else 0 :], better, rule)
    return moved(replace(verdict, changes=tuple(changes)), skipped)


def moved(verdict: HistoryVerdict, runs: int) -> HistoryVerdict:
    """Return a verdict on a part of a history with places as in all of it.

    Args:
        verdict: The part's.
        runs: How many runs are before it.
    """
    return replace(
        verdict,
        changes=tuple(replace(each, index=each.index + runs) for each in verdict.changes),
        since=None if verdict.since is None else verdict.since + runs,
    )


def find_changes(values: Floats, better: Better, rule: HistoryRule = STANDARD) -> list[Change]:
    """Return all changes of a history, oldest first.

    Args:
        values: Logarithms of the figure, finite, oldest run first.
        better: Which way the figure is better.
        rule: What counts as a change.
    """
    found = {split.at: split.p for split in change_points(values, rule.level)}
    begin = max(found, default=0)
    if (runs := step_runs(values[begin:], rule)) is not None:
        # How often chance would put these runs at one end of all, by their size.
        found[len(values) - runs] = min(1.0, 2 / math.comb(len(values) - begin, runs))
    ends = [0, *sorted(found), len(values)]
    return [
        _change(values, (before, index, end), found[index], better)
        for before, index, end in zip(ends[:-2], ends[1:-1], ends[2:], strict=True)
    ]


def shift(before: Floats, after: Floats) -> Size:
    """Return how large a change is, whatever the noise: Hodges and Lehmann's estimate.

    Args:
        before: Logarithms of the figure, at least one.
        after: The same, after the change.

    Examples:
        >>> print(shift(np.log([10.0, 10.1, 9.9] * 4), np.log([11.0, 11.1, 10.9] * 4)))
        +10.0% (+9.0% to +11.0%)
    """
    apart = np.sort((after[:, None] - before[None, :]).ravel())
    spread = math.sqrt(len(apart) * (len(before) + len(after) + 1) / 12)
    rank = max(0, math.floor(len(apart) / 2 - _BOUND * spread))
    low, high = apart[rank], apart[-1 - rank]
    return Size(*(float(np.expm1(each)) for each in (np.median(apart), low, high)))


def step_runs(values: Floats, rule: HistoryRule) -> int | None:
    """Return how many runs ago a history made a large step; None if it did not.

    Args:
        values: Logarithms of the figure, finite, oldest run first.
        rule: What counts as a large step.
    """
    if abs(_newest_off(values, rule)) < rule.step_deviations:
        return None
    newest = np.median(values[-rule.newest_runs :])
    before = np.median(values[: -rule.newest_runs])
    near = np.abs(values - newest) < np.abs(values - before)
    return int(np.argmin(near[::-1]))


def _change(values: Floats, ends: tuple[int, int, int], p: float, better: Better) -> Change:
    before, index, end = ends
    size = shift(values[before:index], values[index:end])
    direction = _direction(size.ratio, better)
    return Change(index, size, p, index - before, end - index, direction)


def _judge_change(
    values: Floats, fresh: Sequence[Change], better: Better, rule: HistoryRule
) -> HistoryVerdict:
    """Judge runs after changes that are news: what is left of all of them together."""
    first, last = fresh[0], fresh[-1]
    before = values[first.index - first.runs_before : first.index]
    size = shift(before, values[last.index :])
    since = f"since {_runs(len(values) - first.index)} ago, after {_runs(len(before))}"
    limit = math.log1p(rule.threshold_ratio)
    low, high = math.log1p(size.low), math.log1p(size.high)
    if (low > 0 and high >= limit) or (high < 0 and low <= -limit):
        verdict = _direction(size.ratio, better)
        return HistoryVerdict(verdict, size, (), _found(size, since, rule), first.index)
    return replace(_small(size, since, rule), since=first.index)


def _judge_steady(values: Floats, better: Better, rule: HistoryRule) -> HistoryVerdict:
    """Judge runs among which nothing changed that is news."""
    if abs(off := _newest_off(values, rule)) >= rule.suspect_deviations:
        size = shift(values[: -rule.newest_runs], values[-rule.newest_runs :])
        since = f"in the newest {_runs(rule.newest_runs)}"
        reason = (
            f"perhaps {_direction(off, better)}: {size} {since}, each by more than "
            f"{rule.suspect_deviations:g} deviations (limit {rule.step_deviations:g}); run more"
        )
        return HistoryVerdict("inconclusive", size, (), reason, suspected=True)
    newest = min(_MOST_NEWEST, len(values) // _NEWEST_SHARE)
    size = shift(values[:-newest], values[-newest:])
    since = f"in the newest {_runs(newest)}, after {_runs(len(values) - newest)}"
    return _small(size, since, rule)


def _small(size: Size, since: str, rule: HistoryRule) -> HistoryVerdict:
    """Judge what is no change, or is so small or so unsure that it is none to call."""
    limit = math.log1p(rule.threshold_ratio)
    found = _found(size, since, rule)
    if -limit <= math.log1p(size.low) and math.log1p(size.high) <= limit:
        return HistoryVerdict("same", size, (), found)
    reason = f"{found}; run more to tell, or on a quieter host"
    return HistoryVerdict("inconclusive", size, (), reason)


def _found(size: Size, since: str, rule: HistoryRule) -> str:
    return f"{size} {since} (limit {rule.threshold_ratio:.0%})"


def _newest_off(values: Floats, rule: HistoryRule) -> float:
    """Return by how many deviations the newest runs are off, all to one side and by enough.

    Returns:
        Those of the one that is off least, with its sign; 0 if they are not, or too few.
    """
    if len(values) < rule.fewest_runs:
        return 0.0
    before, newest = values[: -rule.newest_runs], values[-rule.newest_runs :]
    middle = np.median(before)
    off = newest - middle
    least = float(off[np.argmin(np.abs(off))])
    one_side = (np.sign(off) == np.sign(least)).all()
    if not one_side or np.median(np.abs(off)) < math.log1p(rule.threshold_ratio):
        return 0.0
    spread = _DEVIATIONS_PER_MAD * float(np.median(np.abs(before - middle)))
    return least / spread if spread > 0 else math.copysign(math.inf, least)


def _direction(change: float, better: Better) -> Literal["better", "worse"]:
    return "better" if (change > 0) == (better == "higher") else "worse"


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
