"""What a comparison may say, and the rule by which an interval becomes a verdict."""

import math
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["better", "worse", "same", "inconclusive"]
"""``better``, ``worse``: a change that is there beyond doubt, and not surely smaller than the
threshold. ``same``: surely smaller than the threshold. ``inconclusive``: neither is known."""

Better: TypeAlias = Literal["lower", "higher"]
"""Which direction of a figure people want."""

LogInterval: TypeAlias = tuple[float, float]
"""Of the logarithm of candidate over baseline: (0, 0) is no change."""


def verdict_of(evident: bool, interval: LogInterval, limit: float, better: Better) -> Verdict:
    """Return what an interval says.

    For logarithms the limit of a threshold of 10 % is ``log1p(0.1)``: a factor of 1.1 in either
    direction, so that a verdict turns around when the sides change places. -9.1 % is as far as
    +10 %.

    Args:
        evident: Whether it is beyond doubt that something changed.
        interval: What the change can be.
        limit: The change that matters, > 0.
        better: Which direction is wanted.

    Examples:
        >>> verdict_of(True, (0.04, 0.12), 0.1, "lower")
        'worse'
        >>> verdict_of(True, (0.04, 0.06), 0.1, "lower")
        'same'
        >>> verdict_of(False, (-0.04, 0.12), 0.1, "lower")
        'inconclusive'
    """
    low, high = interval
    if -limit < low and high < limit:
        return "same"
    if not evident or low <= 0 <= high:
        return "inconclusive"
    return "worse" if (low > 0) == (better == "lower") else "better"


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is none.

    Raises:
        ValueError: If it is not positive and finite.
    """
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold is {threshold!r}; it must be > 0, as 0.1 for 10 %")
