"""A series as one word of little bars."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*#@"


def sparkline(values: Sequence[float], width: int, encoding: str = "utf-8") -> str:
    """Return a series as bars, oldest first, from the smallest to the largest of them.

    Args:
        values: Finite; at least one.
        width: The most bars, >= 1. Of more values some share one, as tall as their median.
        encoding: Of what shows it; where that has no bars there are characters like them.

    Examples:
        >>> sparkline([1, 2, 3, 8], 10), sparkline([5, 5], 10), sparkline(range(100), 4)
        ('▁▂▃█', '▄▄', '▁▃▆█')
        >>> sparkline([1, 2, 3, 8], 10, "ascii")
        '_.-@'
    """
    bars = _BARS if _has(encoding) else _ASCII_BARS
    count = min(width, len(values))
    ends = [place * len(values) // count for place in range(count + 1)]
    levels = [median(values[begin:end]) for begin, end in pairwise(ends)]
    low, high = min(levels), max(levels)
    if low == high:
        return bars[3] * count
    tall = len(bars) - 1
    return "".join(bars[round(tall * (level - low) / (high - low))] for level in levels)


def _has(encoding: str) -> bool:
    try:
        _BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
