"""When operations are due: start times as pure functions of rate, duration and seed.

Start times come in blocks, because the driver folds and reports once per block: a block is never
empty, holds at the most `BLOCK_SIZE` times, and spans less than `BLOCK_SECONDS` of the schedule.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np

from agentmem_observe.model import Float64Array

BLOCK_SIZE = 65_536
"""Most start times in a block: half a megabyte."""

BLOCK_SECONDS = 1.0
"""What a block spans of the schedule at the most, in seconds: progress is shown once a second."""


class Arrivals(Protocol):
    """A schedule of operations."""

    @property
    def name(self) -> str:
        """Short name of the process, such as ``poisson``."""
        ...

    @property
    def rate(self) -> float:
        """Offered load in operations per second, on average over the run."""
        ...

    @property
    def duration(self) -> float:
        """Length of the run in seconds; infinite for a soak without end."""
        ...

    def blocks(self) -> Iterator[Float64Array]:
        """Yield start times in seconds from the start of the run, ascending, in [0, duration)."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Evenly spaced operations; the i-th is due at i / rate, so a long run does not drift.

    Attributes:
        rate: Offered load in operations per second, > 0.
        duration: Length of the run in seconds, >= 0 or infinite.

    Raises:
        ValueError: If rate or duration is out of range.

    Examples:
        >>> [block.tolist() for block in Constant(rate=2, duration=2).blocks()]
        [[0.0, 0.5], [1.0, 1.5]]
    """

    rate: float
    duration: float
    name = "constant"

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_duration(self.duration)

    def blocks(self) -> Iterator[Float64Array]:
        """Yield start times in seconds from the start of the run, ascending, in [0, duration)."""
        size = _draw_size(self.rate)
        draws = (np.arange(start, start + size) / self.rate for start in count(0, size))
        return _blocks(draws, self.duration)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Operations that are independent of each other, as from many users: exponential gaps.

    Attributes:
        rate: Offered load in operations per second on average, > 0.
        duration: Length of the run in seconds, >= 0 or infinite.
        seed: The same seed gives the same start times, >= 0.

    Raises:
        ValueError: If rate, duration or seed is out of range.

    Examples:
        >>> [block.round(2).tolist() for block in Poisson(rate=2, duration=4, seed=1).blocks()]
        [[0.54, 0.69], [3.38, 3.56], [3.62]]
    """

    rate: float
    duration: float
    seed: int
    name = "poisson"

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_duration(self.duration)
        if self.seed < 0:
            raise ValueError(f"the seed must be 0 or more, not {self.seed!r}")

    def blocks(self) -> Iterator[Float64Array]:
        """Yield start times in seconds from the start of the run, ascending, in [0, duration)."""
        return _blocks(self._draws(), self.duration)

    def _draws(self) -> Iterator[Float64Array]:
        random = np.random.default_rng(self.seed)
        size = _draw_size(self.rate)
        last = 0.0
        while True:
            times = last + np.cumsum(random.exponential(1 / self.rate, size))
            last = float(times[-1])
            yield times


@dataclass(frozen=True, slots=True)
class Ramp:
    """Operations whose rate rises or falls evenly; the i-th is due when the load adds up to i.

    Attributes:
        start_rate: Offered load at the start in operations per second, >= 0.
        end_rate: Offered load at the end, >= 0; one of the two is > 0.
        duration: Length of the run in seconds, > 0 and finite.

    Raises:
        ValueError: If a rate or the duration is out of range.

    Examples:
        >>> [block.round(2).tolist() for block in Ramp(0, 4, duration=2).blocks()]
        [[0.0], [1.0, 1.41, 1.73]]
    """

    start_rate: float
    end_rate: float
    duration: float
    name = "ramp"

    def __post_init__(self) -> None:
        for rate in (self.start_rate, self.end_rate):
            if not 0 <= rate < math.inf:
                raise ValueError(f"a ramp's rates must be 0 or more and finite, not {rate!r}")
        _check_rate(self.rate)
        if not 0 < self.duration < math.inf:
            raise ValueError(
                f"a ramp's duration must be above 0 and finite, not {self.duration!r}"
            )

    @property
    def rate(self) -> float:
        """Offered load in operations per second, on average over the run."""
        return (self.start_rate + self.end_rate) / 2

    def blocks(self) -> Iterator[Float64Array]:
        """Yield start times in seconds from the start of the run, ascending, in [0, duration)."""
        size = _draw_size(max(self.start_rate, self.end_rate))
        draws = (
            self._times_of(np.arange(start, start + size, dtype=float)) for start in count(0, size)
        )
        return _blocks(draws, self.duration)

    def _times_of(self, load: Float64Array) -> Float64Array:
        # The load until t is start t + slope t^2 / 2; solved for t in the form that stays exact
        # when the slope is nearly zero.
        slope = (self.end_rate - self.start_rate) / self.duration
        root = np.sqrt(np.maximum(self.start_rate**2 + 2 * slope * load, 0))
        times: Float64Array = 2 * load / np.maximum(self.start_rate + root, np.finfo(float).tiny)
        return times


def _blocks(draws: Iterator[Float64Array], duration: float) -> Iterator[Float64Array]:
    """Cut ascending draws of at most `BLOCK_SIZE` times at the duration and into blocks."""
    for times in draws:
        inside = times[: np.searchsorted(times, duration)]
        start = 0
        while start < inside.size:
            end = int(np.searchsorted(inside, inside[start] + BLOCK_SECONDS))
            end = max(end, start + 1)
            yield inside[start:end]
            start = end
        if inside.size < times.size:
            return


def _draw_size(rate: float) -> int:
    return int(min(max(rate * BLOCK_SECONDS, 1), BLOCK_SIZE))


def _check_rate(rate: float) -> None:
    if not 0 < rate < math.inf:
        raise ValueError(f"the rate must be above 0 and finite, not {rate!r}")


def _check_duration(duration: float) -> None:
    if not duration >= 0:
        raise ValueError(f"the duration must be 0 or more, not {duration!r}")
