"""The buckets of exported histograms: classic ones and native ones, of many histograms at once."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmem_observe.measure.histogram import EXPORT_SCHEMA, SCHEMA, Histogram
from agentmem_observe.model import Int64Array

_STEPS = (1, 2.5, 5)

BOUNDS_SECONDS: Final = (
    *(float(f"{step}e{exponent}") for exponent in range(-6, 2) for step in _STEPS),
    100.0,
)
"""Inclusive upper bounds from 1 µs to 100 s, three per decade; the last bucket is +Inf's."""

LE: Final = (*map(repr, BOUNDS_SECONDS), "+Inf")
"""The same as values of the label ``le``, with the last bucket's."""

_BOUND_INDICES = np.array([round(math.log2(bound) * 2**SCHEMA) for bound in BOUNDS_SECONDS])
_COARSER = SCHEMA - EXPORT_SCHEMA  # halvings of the resolution on the way out


def bucket_of(seconds: float) -> int:
    """Return the index of the bucket that a duration belongs to; ``len(BOUNDS_SECONDS)`` is +Inf.

    Examples:
        >>> bucket_of(1e-6), bucket_of(0.3), bucket_of(1000.0)
        (0, 17, 25)
    """
    return bisect_left(BOUNDS_SECONDS, seconds)


@dataclass(frozen=True, slots=True)
class NativeBuckets:
    """The filled buckets of many histograms at Prometheus' schema 5, one histogram after another.

    Attributes:
        owners: Which histogram a bucket belongs to, ascending, int64, shape (n,).
        indices: Number of the bucket, ascending within a histogram, shape (n,).
        counts: Values in the bucket, > 0, shape (n,).
    """

    owners: Int64Array
    indices: Int64Array
    counts: Int64Array


class HistogramStack:
    """Histograms side by side, so that numpy works on all at once: it costs the same for one."""

    def __init__(self, histograms: Sequence[Histogram]) -> None:
        """Stack histograms.

        Args:
            histograms: At least one; nobody may change them meanwhile.
        """
        buckets = [histogram.buckets for histogram in histograms]
        self._histograms = histograms
        self._offsets = np.array([each.offset for each in buckets])
        self._sizes = np.array([each.counts.size for each in buckets])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._counts = np.concatenate([each.counts for each in buckets])

    def classic(self) -> Int64Array:
        """Return how many values do not exceed each of `BOUNDS_SECONDS`.

        Returns:
            What `Histogram.cumulative_at` says, int64, shape (histograms, bounds).
        """
        zeros = np.array([each.zero_count for each in self._histograms])[:, None]
        passed = np.clip(_BOUND_INDICES - self._offsets[:, None] + 1, 0, self._sizes[:, None])
        starts = self._starts[:, None]
        cumulative = np.concatenate(([0], np.cumsum(self._counts)))
        counts: Int64Array = zeros + cumulative[starts + passed] - cumulative[starts]
        return counts

    def native(self) -> NativeBuckets:
        """Return the filled buckets at the resolution of exports."""
        filled = np.flatnonzero(self._counts)
        owners = np.repeat(np.arange(self._sizes.size), self._sizes)[filled]
        indices = filled + (self._offsets - self._starts)[owners]
        indices = -(-indices >> _COARSER)  # rounded up: (base**(i-1), base**i] lies in one whole
        first = np.flatnonzero(
            (np.diff(owners, prepend=-1) != 0) | (np.diff(indices, prepend=0) != 0)
        )
        counts = np.add.reduceat(self._counts[filled], first) if first.size else first
        return NativeBuckets(owners[first], indices[first], counts)
