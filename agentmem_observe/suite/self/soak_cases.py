"""Seeded steady soaks whose truth is known: blocks after each window, with and without a leak."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.analysis.floors import Floats
from agentmem_observe.analysis.soak import LEAST_WINDOWS, Counts, is_leak, tails
from agentmem_observe.suite.self.draws import log_uniform, uniform, wander

WINDOWS_PER_HOUR = 60

_OPERATIONS = 3_000.0
"""In a window: fifty a second."""


def clean(model: str, soaks: int, seed: int, windows: int) -> Counts:
    """Return blocks after each window of soaks that do not leak.

    Args:
        model: One of `MODELS`.
        soaks: How many, >= 1.
        seed: The same seed gives the same soaks.
        windows: Windows of each, >= 1.
    """
    random = np.random.default_rng([seed, 200 + MODELS.index(model)])
    shortened = random.random(windows) < 0.05
    share = np.where(shortened, random.uniform(0.05, 1.0, windows), 1.0)
    operations: Floats = np.cumsum(random.poisson(_OPERATIONS * share) + 80.0)
    at = np.arange(windows, dtype=np.float64)[None]
    warm_up: Floats = 1 - np.exp(-at / log_uniform(random, soaks, 0.5, 5))
    jitter = log_uniform(random, soaks, 0.1, 40) * random.normal(size=(soaks, windows))
    blocks: Floats = 50_000 + log_uniform(random, soaks, 100, 20_000) * warm_up + jitter
    stored = None
    if model == "growing_data":
        pace = np.exp(random.normal(0, 0.3, (soaks, windows)))
        stored = np.cumsum(log_uniform(random, soaks, 1e3, 1e6) * pace, axis=1)
        blocks = blocks + stored / log_uniform(random, soaks, 8, 60)
    elif model != "plain":
        blocks = blocks + _extra(model, random, soaks, operations)
    return Counts(operations, np.round(blocks), stored)


def _extra(model: str, random: np.random.Generator, soaks: int, operations: Floats) -> Floats:
    """Return what a model has that others have not, soaks by windows."""
    windows = operations.size
    if model == "wander":
        memory = log_uniform(random, soaks, 2, 30)
        return log_uniform(random, soaks, 5, 60) * wander(random, soaks, windows, memory)
    if model == "teeth":
        # What is kept per operation, and cleaned up all at once, as cursors of sqlite3 are.
        kept = operations[None] % log_uniform(random, soaks, 300, 4_000)
        return np.asarray(log_uniform(random, soaks, 0.05, 1) * kept)
    if model == "steps":
        happens = random.random((soaks, windows)) < log_uniform(random, soaks, 0.002, 0.03)
        sizes = np.exp(random.uniform(2, 9, (soaks, windows)))
        return np.asarray(np.cumsum(happens * sizes, axis=1))
    since = np.maximum(np.arange(windows)[None] - uniform(random, soaks, 0, 200), 0)
    size = log_uniform(random, soaks, 100, 100_000)
    if model == "linear_cache":
        return size * np.minimum(since / (LEAST_WINDOWS * uniform(random, soaks, 1 / 3, 1 / 2)), 1)
    low, high = (1 / 6, 1 / 2) if model == "random_cache" else (1 / 2, 3 / 2)
    settled: Floats = 1 - np.exp(-since / (LEAST_WINDOWS * uniform(random, soaks, low, high)))
    return size * settled


MODELS = (
    "plain",
    "wander",
    "teeth",
    "steps",
    "linear_cache",
    "random_cache",
    "slow_cache",
    "growing_data",
)
"""What comes on top of a warm-up and jitter; docs/leaks.md describes them."""


def first_leak(counts: Counts) -> Floats:
    """Judge after each window, as `judge_leak` does.

    Returns:
        How many windows each soak had when it was first called a leak, infinite where it never is.
    """
    called = np.full(len(counts.blocks), np.inf)
    for end in range(1, counts.operations.size + 1):
        open_ones = np.flatnonzero(np.isinf(called))
        if not open_ones.size:
            break
        seen = Counts(
            counts.operations[:end],
            counts.blocks[open_ones, :end],
            None if counts.stored_bytes is None else counts.stored_bytes[open_ones, :end],
        )
        for tail in tails(seen, LEAST_WINDOWS):
            called[open_ones[is_leak(tail, LEAST_WINDOWS)]] = end
    return called


@dataclass(frozen=True, slots=True)
class SoakCell:
    """How often the soaks of one model were called a leak.

    Attributes:
        model: The model.
        leaks_per_thousand: Blocks that a thousand operations leak; 0 for none.
        alarm_ratio: Share of soaks called a leak.
        median_windows: Median number of windows to the call, None if there was none.
    """

    model: str
    leaks_per_thousand: float
    alarm_ratio: float
    median_windows: float | None


def simulate(
    soaks: int, seed: int, hours: float, leaks_per_thousand: Sequence[float]
) -> Iterator[SoakCell]:
    """Judge simulated soaks after each window of a minute, and count the alarms.

    Args:
        soaks: Soaks per model and leak, >= 1.
        seed: The same seed gives the same soaks.
        hours: Length of the soaks, > 0.
        leaks_per_thousand: Leaks to put on top, in blocks per 1,000 operations; 0 for none.

    Yields:
        A cell per model and leak.
    """
    for model in MODELS:
        without = clean(model, soaks, seed, max(1, round(hours * WINDOWS_PER_HOUR)))
        for leak in leaks_per_thousand:
            leaked = np.floor(without.operations * leak / 1000)
            counts = Counts(without.operations, without.blocks + leaked, without.stored_bytes)
            called = first_leak(counts)
            called = called[np.isfinite(called)]
            median = float(np.median(called)) if called.size else None
            yield SoakCell(model, leak, called.size / soaks, median)


def cell_count(leaks: int) -> int:
    """Return how many cells `simulate` yields for that many leaks."""
    return leaks * len(MODELS)


def table(cells: Sequence[SoakCell]) -> dict[str, Any]:
    """Return the figures of a result: rates by leak and model."""
    figures: dict[str, Any] = {
        "soak_false_alarm_ratio": {},
        "soak_detection_ratio": {},
        "soak_detection_median_windows": {},
    }
    for cell in cells:
        if cell.leaks_per_thousand == 0:
            figures["soak_false_alarm_ratio"][cell.model] = cell.alarm_ratio
            continue
        leak = f"leak_{cell.leaks_per_thousand:g}_per_1000"
        figures["soak_detection_ratio"].setdefault(leak, {})[cell.model] = cell.alarm_ratio
        if cell.median_windows is not None:
            medians = figures["soak_detection_median_windows"].setdefault(leak, {})
            medians[cell.model] = cell.median_windows
    return figures
