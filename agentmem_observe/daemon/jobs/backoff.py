"""How long to wait before something that failed is tried again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling delays with jitter, so that many who lost the same server do not return at once.

    Attributes:
        first_seconds: Longest delay after the first failure, > 0.
        longest_seconds: Longest delay of all.

    Examples:
        >>> 2 <= Backoff(first_seconds=4, longest_seconds=60).seconds(1, random.Random(1)) <= 4
        True
        >>> 30 <= Backoff(first_seconds=4, longest_seconds=60).seconds(99, random.Random(1)) <= 60
        True
    """

    first_seconds: float = 5.0
    longest_seconds: float = 300.0

    def seconds(self, failures: int, random: random.Random) -> float:
        """Return the delay after so many failures in a row (>= 1): half to all of the longest."""
        doublings = min(failures - 1, 64)  # beyond any limit; a float has room for no more
        longest = min(self.first_seconds * 2.0**doublings, self.longest_seconds)
        return longest * random.uniform(0.5, 1.0)
