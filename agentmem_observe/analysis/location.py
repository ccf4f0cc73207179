"""Where the middle of a few noisy figures is: an estimate, and an interval at any level.

Up to eleven figures by Student's t, which has the sharpest word that so few can have, if they
scatter about like a bell. From twelve on by signed ranks, after Wilcoxon, Hodges and Lehmann:
exact for any symmetric noise, and hardly moved by rounds that a neighbour has spoilt.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr, stdtrit

from agentmem_observe.analysis.floors import Floats
from agentmem_observe.analysis.verdicts import LogInterval

Indices: TypeAlias = npt.NDArray[np.intp]

FEWEST_FOR_RANKS = 12
"""Twelve figures of one sign have a chance of 1 in 2,048: before, ranks are never sure at 1 %
over all looks of a duel."""


def center(values: Sequence[float]) -> float:
    """Return the estimated middle: the mean of a few figures, their pseudo-median if many.

    Args:
        values: At least one.

    Examples:
        >>> center([1.0, 2.0, 6.0])
        3.0
        >>> center([1.0] * 11 + [500.0])
        1.0
    """
    if len(values) < FEWEST_FOR_RANKS:
        return float(np.mean(values))
    return float(np.median(_pair_means(values)))


def interval(values: Sequence[float], level: float) -> LogInterval:
    """Return an interval that misses the true middle with a chance of at most ``level``.

    Args:
        values: Independent figures; with fewer than two, everything is possible.
        level: Two-sided, in (0, 1): 0.05 for an interval of 95 %.

    Returns:
        Both ends, infinite where so few figures can't have any at that level.

    Examples:
        >>> low, high = interval([0.9, 1.0, 1.1], 0.05)
        >>> round(low, 3), round(high, 3)
        (0.752, 1.248)
    """
    count = len(values)
    if count < 2:
        return -math.inf, math.inf
    if count < FEWEST_FOR_RANKS:
        spread = float(np.std(values, ddof=1)) / math.sqrt(count)
        half = t_quantile(level, count - 1) * spread
        middle = float(np.mean(values))
        return middle - half, middle + half
    outside = _ranks_outside(count, level)
    if outside < 0:
        return -math.inf, math.inf
    ends = np.partition(_pair_means(values), (outside, -1 - outside))
    return float(ends[outside]), float(ends[-1 - outside])


def width_quantile(level: float, count: int) -> float:
    """Return half the width of such an interval, in standard deviations of the middle."""
    if count < FEWEST_FOR_RANKS:
        return t_quantile(level, count - 1)
    return float(-ndtri(level / 2))


def t_quantile(level: float, freedom: float) -> float:
    """Return the t that is exceeded, on either side, with a chance of ``level``.

    Args:
        level: Two-sided, in (0, 1).
        freedom: Degrees of freedom, > 0.
    """
    return float(-stdtrit(freedom, level / 2))


def t_tails(t: float, freedom: float) -> float:
    """Return the chance of a t as far from 0 as this one, on either side."""
    return float(2 * stdtr(freedom, -abs(t)))


def _pair_means(values: Sequence[float]) -> Floats:
    """Return the means of all pairs, each figure with itself too (Walsh)."""
    figures = np.asarray(values, dtype=np.float64)
    first, second = _pairs(len(figures))
    return np.asarray((figures[first] + figures[second]) / 2, dtype=np.float64)


@cache
def _pairs(count: int) -> tuple[Indices, Indices]:
    first, second = np.triu_indices(count)
    return first, second


def _ranks_outside(count: int, level: float) -> int:
    """Return how many pair means may be left out at each end, less one; -1 if not even that."""
    return int(np.searchsorted(2 * _rank_sums(count), level, side="right")) - 1


@cache
def _rank_sums(count: int) -> Floats:
    """Return the chance of each sum of signed ranks, or a lower one, if signs are tossed."""
    chances: Floats = np.ones(1)
    for rank in range(1, count + 1):
        tossed = np.zeros(len(chances) + rank)
        tossed[: len(chances)] += chances / 2
        tossed[rank:] += chances / 2
        chances = tossed
    return np.cumsum(chances)
