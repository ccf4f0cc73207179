"""What a number of samples can say about a quantile."""

import math
from fractions import Fraction

SAMPLES_BEYOND = 10
"""Samples that must lie beyond a quantile, on its thinner side. Their number is a count with a
relative error of 1/sqrt(10) = 32 %: a p99 of 1,000 samples is somewhere from p98.7 to p99.3. With
one beyond (p99 of 100) it is the maximum in disguise, and rises with every run that is longer."""


def fewest_samples_for(quantile: float) -> int:
    """Return how many operations it takes before a quantile may be reported.

    Args:
        quantile: The quantile as a share, in (0, 1); 0.99 is p99.

    Returns:
        The smallest count with `SAMPLES_BEYOND` samples expected beyond the quantile.

    Raises:
        ValueError: If ``quantile`` is not between 0 and 1.

    Examples:
        >>> [fewest_samples_for(q) for q in (0.5, 0.95, 0.99, 0.999, 0.9999)]
        [20, 200, 1000, 10000, 100000]
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile is {quantile!r}; it must be between 0 and 1, as 0.99 for p99")
    # Exact, as written: 1 - 0.9999 in floats is a hair below 1e-4 and would ask for one too many.
    exact = Fraction(str(quantile))
    return math.ceil(SAMPLES_BEYOND / min(exact, 1 - exact))
