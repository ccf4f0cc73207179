"""Where a series changes: the energy statistic, with a p that knows the split was chosen.

E-divisive (Matteson and James, 2014) on normal scores: a series is cut where its two parts differ
most, and each part again, as long as chance would not do that. The scores are made of ranks, so
that how the noise is distributed does not matter: what chance does depends on the length alone,
and stands in a table. No outlier counts for more than its rank.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from agentmem_observe.analysis.energy_null import LENGTHS, PROBABILITIES, QUANTILES
from agentmem_observe.analysis.floors import Floats

LEAST_SIDE = 4
"""Values on either side of a split, at least."""

FEWEST = LENGTHS[0]
"""A shorter series is not split: nothing in it could be rarer than chance."""

_SHORTEST_PART = 24
"""A part of a series that is looked at for itself: shorter ones see less than they cost."""

_ROUNDING = 1e-9

_SMALLEST_P = 1e-6
"""What lies further out was not simulated, and is not told apart."""


class Split(NamedTuple):
    """Where a series is cut.

    Attributes:
        at: Index of the first value after it.
        p: How often chance alone splits a series of this length as clearly somewhere.
    """

    at: int
    p: float


def change_points(values: Floats, level: float) -> list[Split]:
    """Return where a series changes, oldest first.

    Args:
        values: The series, finite.
        level: Largest p of a change, in (0, 1).

    Raises:
        ValueError: If a value is not finite.

    Examples:
        >>> change_points(np.r_[np.arange(20) % 5, np.arange(20) % 5 + 9.0], 0.001)
        [Split(at=20, p=1e-06)]
        >>> change_points(np.ones(40), 0.001)
        []
    """
    if not np.isfinite(values).all():
        raise ValueError(f"values are {values!r}; each must be finite")
    cuts = list(_cuts(values, 0, level))
    # A cut is made among more than its own change; between its neighbours alone it is seen better.
    for _ in cuts:
        settled = list(_settled(values, cuts, level))
        if [split.at for split in settled] == cuts:
            return settled
        cuts = [split.at for split in settled]
    return list(_settled(values, cuts, level))


def best_split(values: Floats) -> Split | None:
    """Return where two parts of a series differ most; None if it is too short.

    Args:
        values: The series, finite.
    """
    if len(values) < FEWEST:
        return None
    found = energies(normal_scores(values))
    most = found.max()
    # A value just in the middle may belong to either side by its rank, and not by what it is.
    alike = np.flatnonzero(found >= most - _ROUNDING * abs(most)) + LEAST_SIDE
    at = max(alike.tolist(), key=lambda at: abs(values[at:].mean() - values[:at].mean()))
    return Split(at, chance(float(most), len(values)))


def energies(scores: Floats) -> Floats:
    """Return how much the two parts of series differ, for each split: the energy statistic.

    Args:
        scores: A series; or many, as rows.

    Returns:
        For each split from `LEAST_SIDE` values on the left to as many on the right.
    """
    length = scores.shape[-1]
    apart = np.triu(np.abs(scores[..., :, None] - scores[..., None, :]))
    left = np.cumsum(apart.sum(axis=-2), axis=-1)  # all pairs up to here
    right = np.cumsum(apart.sum(axis=-1)[..., ::-1], axis=-1)[..., ::-1]  # all from here on
    before = np.arange(LEAST_SIDE, length - LEAST_SIDE + 1)
    after = length - before
    within_left, within_right = left[..., before - 1], right[..., before]
    across = left[..., -1:] - within_left - within_right
    found: Floats = (2 / length) * (
        across - after / (before - 1) * within_left - before / (after - 1) * within_right
    )
    return found


def normal_scores(values: Floats) -> Floats:
    """Return what the ranks of some values would be of normal noise; equal values share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    twice_rank = 2 * np.cumsum(count) - count + 1
    scores: Floats = _scores(len(values))[twice_rank[place] - 2]
    return scores


def chance(statistic: float, length: int) -> float:
    """Return how often the best split of a series without a change reaches a statistic.

    Args:
        statistic: The largest of `energies`.
        length: Of the series, at least `FEWEST`.
    """
    quantiles = _quantiles(length)
    logs = np.log(PROBABILITIES)
    if statistic <= quantiles[-1]:
        return float(np.exp(np.interp(statistic, quantiles, logs)))
    slope = (logs[-1] - logs[-3]) / (quantiles[-1] - quantiles[-3])
    return max(_SMALLEST_P, math.exp(logs[-1] + slope * (statistic - quantiles[-1])))


def null_maxima(length: int, count: int, random: np.random.Generator) -> Floats:
    """Return the statistic of the best split of series without a change.

    Args:
        length: Of each series.
        count: How many.
        random: Shuffles them.
    """
    scores = normal_scores(np.arange(float(length)))
    rows = random.permuted(np.tile(scores, (count, 1)), axis=1)
    maxima: Floats = energies(rows).max(axis=1)
    return maxima


def _cuts(values: Floats, offset: int, level: float) -> Iterator[int]:
    cut = _cut(values, level)
    if cut is None:
        return
    yield from _cuts(values[:cut], offset, level)
    yield offset + cut
    yield from _cuts(values[cut:], offset + cut, level)


def _cut(values: Floats, level: float) -> int | None:
    """Return where a series is to be cut first; None if it is not.

    A change that was taken back is hidden in the whole series, and plain in a part of it. Parts
    are looked at that are half as long, and again, overlapping by half (seeded binary
    segmentation: Kovács and others, 2023); each length has the level for all its parts together.
    """
    length, parts = len(values), 1
    while length >= max(FEWEST, _SHORTEST_PART if parts > 1 else 0):
        best = min(_splits(values, length, parts), key=lambda split: split.p)
        if best.p * parts <= level:
            return best.at
        length, parts = len(values) * 2 // (parts + 3), 2 * parts + 1
    return None


def _splits(values: Floats, length: int, parts: int) -> Iterator[Split]:
    for part in range(parts):
        begin = part * (len(values) - length) // max(1, parts - 1)
        if (split := best_split(values[begin : begin + length])) is not None:
            yield Split(begin + split.at, split.p)


def _settled(values: Floats, cuts: list[int], level: float) -> Iterator[Split]:
    ends = [0, *cuts, len(values)]
    for begin, end in zip(ends[:-2], ends[2:], strict=True):
        split = best_split(values[begin:end])
        if split is not None and split.p <= level:
            yield Split(begin + split.at, split.p)


@lru_cache(maxsize=512)
def _scores(length: int) -> Floats:
    """Return the score of each rank, and of each half rank between two."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile((half / 2 - 0.5) / length) for half in range(2, 2 * length + 1)])


@lru_cache(maxsize=512)
def _quantiles(length: int) -> Floats:
    """Return the quantiles of a length: between those of the table over 1/length."""
    places = [1 / each for each in reversed(LENGTHS)]
    columns = zip(*reversed(QUANTILES), strict=True)
    return np.array([np.interp(1 / length, places, column) for column in columns])
