"""How latency follows the volume of records: a slope with its interval, and a word for it.

Measured points go in; where they are too few to tell, a refusal comes out, with its reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agentmem_observe.analysis.scaling import CONFIDENCE_RATIO, Estimate, Refusal

Floats = npt.NDArray[np.float64]

FEWEST_VOLUMES = 3
"""Distinct volumes of a degradation curve: two make a line of anything."""

LEAST_SLOPE_CONFIDENCE = 0.9
"""Four volumes, each measured once, give 0.917 at best; three give 0.667."""

_GROWTH_EDGES = (-0.05, 0.05, 0.25, 0.85, 1.15)
_GROWTH_WORDS = ("falling", "constant", "logarithmic", "sublinear", "linear", "superlinear")
"""A thousandfold volume changes a latency by up to 1.4 times at an exponent of 0.05. That of a
logarithm is 1/ln(volume): 0.25 at 55 records, 0.07 at a million. n log n has 1.1 from a thousand
records to a million, too near to 1 to be told from it."""


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast a latency grows with volume: latency ~ volume ** exponent.

    Attributes:
        exponent: 0 is constant, 1 linear.
        confidence_ratio: How often such an interval holds the truth: at least `CONFIDENCE_RATIO`
            if there are points enough, or what there is.
        growth: ``falling``, ``constant``, ``logarithmic``, ``sublinear``, ``linear`` or
            ``superlinear`` if the whole interval says so, else a span such as
            ``constant to linear``. Slow growth is not proof of a logarithm, only like one.
    """

    exponent: Estimate
    confidence_ratio: float
    growth: str


def log_log_slope(volumes: Sequence[float], latencies: Sequence[float]) -> Slope | Refusal:
    """Return the slope of log latency against log volume, after Theil and Sen.

    The median of the slopes between all pairs of points shrugs off one outlier among five. The
    interval is Sen's, with Kendall's distribution taken exactly.

    A fixed cost under a growing one makes the slope rise with volume; one number then says what
    lies between. Leave out small volumes to see the far end.

    Args:
        volumes: Records held at each measurement, > 0; repeats are welcome if they are
            independent, such as rounds.
        latencies: A typical latency (a median) of each measurement in seconds, > 0.

    Returns:
        The slope, or a refusal if there are too few volumes for an interval.

    Raises:
        ValueError: If lengths differ or a figure is not positive.

    Examples:
        >>> slope = log_log_slope([1e3, 1e4, 1e5, 1e6], [2e-5, 2e-4, 2e-3, 2e-2])
        >>> round(slope.exponent.value, 6), slope.growth, round(slope.confidence_ratio, 3)
        (1.0, 'linear', 0.917)
    """
    if len(volumes) != len(latencies):
        raise ValueError(
            f"{len(volumes)} volumes and {len(latencies)} latencies; give one for one"
        )
    if not all(0 < figure < math.inf for figure in (*volumes, *latencies)):
        raise ValueError("volumes and latencies must be > 0 and finite; leave the empty store out")
    sizes = np.unique(np.asarray(volumes, np.float64), return_counts=True)[1].tolist()
    if len(sizes) < FEWEST_VOLUMES:
        return Refusal(f"{len(sizes)} volumes; a degradation curve takes at least 4")
    outside, confidence = _pairs_outside(sizes)
    if confidence < LEAST_SLOPE_CONFIDENCE:
        return Refusal(
            f"{len(volumes)} measurements at {len(sizes)} volumes give an interval that holds in "
            f"only {confidence:.0%} of cases; add volumes (at least 4) or repeats"
        )
    slopes = _pair_slopes(np.log(volumes), np.log(latencies))
    low, high = float(slopes[outside]), float(slopes[-1 - outside])
    return Slope(Estimate(float(np.median(slopes)), low, high), confidence, _growth(low, high))


def _pair_slopes(xs: Floats, ys: Floats) -> Floats:
    first, second = np.triu_indices(len(xs), 1)
    run = xs[second] - xs[first]
    differ = run != 0
    slopes: Floats = np.sort((ys[second] - ys[first])[differ] / run[differ])
    return slopes


def _pairs_outside(sizes: Sequence[int]) -> tuple[int, float]:
    """Return how many pair slopes to leave out at each end, and the confidence that leaves.

    Args:
        sizes: How many measurements each distinct volume has.
    """
    below = np.cumsum(_discordance(sizes))
    tail = (1 - CONFIDENCE_RATIO) / 2
    outside = max(0, int(np.searchsorted(below, tail, side="right")) - 1)
    return outside, float(1 - 2 * below[outside])


def _discordance(sizes: Sequence[int]) -> Floats:
    """Return the distribution of falling pairs if latency does not depend on volume.

    Its generating function is the q-multinomial of the sizes: a product over measurements of
    (1 - q^a) / (1 - q^b), multiplied and divided here one by one.
    """
    chances: Floats = np.ones(1)
    placed = 0
    for size in sizes:
        for b in range(1, size + 1):
            a = placed + b
            longer = np.concatenate([chances, np.zeros(a)])
            longer[a:] -= chances
            rows = -(-len(longer) // b)
            padded = np.concatenate([longer, np.zeros(rows * b - len(longer))])
            divided = np.cumsum(padded.reshape(rows, b), axis=0).ravel()
            chances = divided[: len(longer) - b] * (b / a)
        placed += size
    return chances


def _growth(low: float, high: float) -> str:
    first, last = (
        _GROWTH_WORDS[sum(edge <= slope for edge in _GROWTH_EDGES)] for slope in (low, high)
    )
    return first if first == last else f"{first} to {last}"
