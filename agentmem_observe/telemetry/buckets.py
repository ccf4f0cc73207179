"""The classic histogram buckets: for backends that know no native histograms."""

from bisect import bisect_left
from typing import Final

_STEPS = (1, 2.5, 5)

BOUNDS_SECONDS: Final = (
    *(float(f"{step}e{exponent}") for exponent in range(-6, 2) for step in _STEPS),
    100.0,
)
"""Inclusive upper bounds from 1 µs to 100 s, three per decade; the last bucket is +Inf's."""


def bucket_of(seconds: float) -> int:
    """Return the index of the bucket that a duration belongs to; ``len(BOUNDS_SECONDS)`` is +Inf.

    Examples:
        >>> bucket_of(1e-6), bucket_of(0.3), bucket_of(1000.0)
        (0, 17, 25)
    """
    return bisect_left(BOUNDS_SECONDS, seconds)
