"""Random figures of many simulated soaks at once: a row per soak."""

import numpy as np

from agentmem_observe.analysis.floors import Floats


def uniform(random: np.random.Generator, soaks: int, low: float, high: float) -> Floats:
    """Return a figure for each soak, evenly spread; shape (soaks, 1)."""
    return random.uniform(low, high, (soaks, 1))


def log_uniform(random: np.random.Generator, soaks: int, low: float, high: float) -> Floats:
    """Return a figure for each soak, evenly spread over the orders of magnitude."""
    values: Floats = np.exp(uniform(random, soaks, np.log(low), np.log(high)))
    return values


def wander(
    random: np.random.Generator, soaks: int, samples: int, memory: float | Floats
) -> Floats:
    """Return noise of unit size that forgets exponentially (AR 1), soaks by samples.

    Args:
        random: Where it comes from.
        soaks: Rows.
        samples: Columns.
        memory: Samples after which 1/e is left: one figure, or one for each soak, (soaks, 1).
    """
    keep = np.broadcast_to(np.exp(-1 / np.asarray(memory)), (soaks, 1))
    noise = random.normal(size=(soaks, samples))
    noise[:, 1:] *= np.sqrt(1 - keep**2)
    for sample in range(1, samples):
        noise[:, sample] += keep[:, 0] * noise[:, sample - 1]
    return noise
