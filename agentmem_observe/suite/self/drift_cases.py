"""Seeded steady soaks whose truth is known: latency on noisy hosts, with and without drift."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.analysis.drift import STEADY, DriftRule, limit_at, shift
from agentmem_observe.analysis.floors import Bools, Floats
from agentmem_observe.suite.self.draws import log_uniform, uniform, wander

WINDOW_SECONDS = 60.0
SOAK_DAYS = 7
_HOUR = 3600.0
_DAY = 24 * _HOUR
_TIME = np.arange(WINDOW_SECONDS, SOAK_DAYS * _DAY + 1, WINDOW_SECONDS)

FIRST_DAY_SECONDS = STEADY.limits[1].observed_seconds
"""Until then only large changes are called."""

_SOON_SECONDS = _DAY
"""A change counts as found if it is called within a day after it began."""


def steady(model: str, soaks: int, seed: int) -> Floats:
    """Return logarithms of the median service time in each window of soaks that do not drift.

    Args:
        model: One of `MODELS`.
        soaks: How many, >= 1.
        seed: The same seed gives the same soaks.
    """
    random = np.random.default_rng([seed, 300 + MODELS.index(model)])
    shape = (soaks, _TIME.size)
    level = log_uniform(random, soaks, 0.005, 0.04) * random.normal(size=shape)
    level += 0.3 * np.exp(-_TIME / (60 * log_uniform(random, soaks, 5, 30)))
    if model == "quiet":
        return level
    memory = log_uniform(random, soaks, 2, 60)
    level += log_uniform(random, soaks, 0.01, 0.06) * wander(random, soaks, _TIME.size, memory)
    if model == "outliers":
        struck = random.random(shape) < log_uniform(random, soaks, 0.005, 0.05)
        level += struck * random.uniform(0.5, 2.5, shape)
    if model == "slow_mode":
        level += np.log(uniform(random, soaks, 1.05, 1.3)) * _slow_mode(random, soaks)
    if model == "regimes":
        level += log_uniform(random, soaks, 0.02, 0.08) * _regimes(random, soaks)
    if model == "diurnal":
        level += _daily_wave(random, soaks)
    return level


def _slow_mode(random: np.random.Generator, soaks: int) -> Floats:
    """15 % of the time, for 5 minutes to 2 hours on average."""
    bout = log_uniform(random, soaks, 5, 120)[:, 0]
    pause = bout * 0.85 / 0.15
    on = np.zeros(soaks, dtype=np.bool_)
    mode = np.empty((soaks, _TIME.size))
    for window, chance in enumerate(random.random((_TIME.size, soaks))):
        on = np.where(on, chance >= 1 / bout, chance < 1 / pause)
        mode[:, window] = on
    return mode


def _regimes(random: np.random.Generator, soaks: int) -> Floats:
    """Levels of unit spread that come and go: each stays for 1 to 12 hours on average."""
    changes = random.random((soaks, _TIME.size)) < 1 / log_uniform(random, soaks, 60, 720)
    which = np.cumsum(changes, axis=1, dtype=np.int64)
    levels = random.normal(size=(soaks, int(which.max()) + 1))
    return np.take_along_axis(levels, which, axis=1)


def _daily_wave(random: np.random.Generator, soaks: int) -> Floats:
    """Others keep the target busy for 2 to 20 % of the time, 30 to 90 % more or less by day."""
    busy, swing = log_uniform(random, soaks, 0.02, 0.2), uniform(random, soaks, 0.3, 0.9)
    turns = _TIME / _DAY + uniform(random, soaks, 0, 1)
    waited: Floats = -np.log(1 - busy * (1 + swing * np.sin(2 * np.pi * turns)))
    return waited


MODELS = ("quiet", "wander", "outliers", "slow_mode", "regimes", "diurnal")
"""What comes on top of noise and a warm-up; docs/drift.md describes them."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of latency that is put on top.

    Attributes:
        name: What it is called in the result.
        begin_seconds: When it begins.
        seconds: How long it takes to be there; 0 for a step.
    """

    name: str
    begin_seconds: float
    seconds: float

    def of(self, ratio: float) -> Floats:
        """Return the logarithm of what each window is multiplied by."""
        since = _TIME - self.begin_seconds
        share = np.clip(since / self.seconds, 0, 1) if self.seconds else since > 0
        return np.asarray(np.log1p((ratio - 1) * share), dtype=np.float64)


CHANGES = (
    Change("creep", 3 * _DAY, 6 * _HOUR),
    Change("step", 3 * _DAY, 0.0),
    Change("creep_on_second_day", 30 * _HOUR, 6 * _HOUR),
    Change("creep_at_once", 0.0, 6 * _HOUR),
)


@dataclass(frozen=True, slots=True)
class Calls:
    """What was said of soaks at each half hour, soaks by looks."""

    at_seconds: Floats
    slower: Bools
    faster: Bools


def judge(levels: Floats, rule: DriftRule = STEADY) -> Calls:
    """Judge soaks each time a block ends, as `judge_drift` does after each window.

    Args:
        levels: As from `steady`, soaks by windows.
        rule: What counts as drift; its blocks are a whole number of windows.
    """
    each = round(rule.block_seconds / WINDOW_SECONDS)
    soaks, windows = levels.shape
    blocks: Floats = np.median(
        levels[:, : windows // each * each].reshape(soaks, -1, each), axis=2
    )
    count = blocks.shape[1]
    warm = round(rule.warm_up_seconds / rule.block_seconds)
    newest = round(rule.newest_seconds / rule.block_seconds)
    slower = np.zeros((soaks, count), dtype=np.bool_)
    faster = np.zeros((soaks, count), dtype=np.bool_)
    for end in range(warm + 1, count + 1):
        reached = limit_at((end - warm) * rule.block_seconds, rule)
        if reached is not None:
            limit, length = reached
            first = int(np.ceil(length / rule.block_seconds))
            found = shift(blocks[:, warm : warm + first], blocks[:, end - newest : end])
            slower[:, end - 1], faster[:, end - 1] = found.slower(limit), found.faster(limit)
    at_seconds = np.arange(1.0, count + 1) * rule.block_seconds
    return Calls(at_seconds, slower, faster)


@dataclass(frozen=True, slots=True)
class DriftCell:
    """How the soaks of one model were judged.

    Attributes:
        model: The model.
        change: Name of the change on top, empty for none.
        ratio: Its size, 1 for none.
        first_day_ratio: Without a change: share of soaks called on the first day.
        per_day: Without a change: calls that began after it, per day of soak.
        found_ratio: With one: share of soaks called slower within a day after it began.
        median_seconds: Median time from its begin to the call, None if there was none.
    """

    model: str
    change: str
    ratio: float
    first_day_ratio: float = 0.0
    per_day: float = 0.0
    found_ratio: float = 0.0
    median_seconds: float | None = None


def simulate(soaks: int, seed: int, ratios: Sequence[float]) -> Iterator[DriftCell]:
    """Judge simulated soaks of a week, and count the calls.

    Args:
        soaks: Soaks per model and change, >= 1.
        seed: The same seed gives the same soaks.
        ratios: Sizes of the changes: what latency is multiplied by in the end, > 1.

    Yields:
        For each model a cell without a change, and one for each change and size.
    """
    for model in MODELS:
        levels = steady(model, soaks, seed)
        yield _false_alarms(model, judge(levels))
        for change in CHANGES:
            for ratio in ratios:
                yield _detections(model, change, ratio, judge(levels + change.of(ratio)))


def cell_count(ratios: int) -> int:
    """Return how many cells `simulate` yields for that many sizes."""
    return len(MODELS) * (1 + ratios * len(CHANGES))


def _false_alarms(model: str, calls: Calls) -> DriftCell:
    called = calls.slower | calls.faster
    early = calls.at_seconds - STEADY.warm_up_seconds < FIRST_DAY_SECONDS
    begins = called & ~np.pad(called, ((0, 0), (1, 0)))[:, :-1]
    days = float((~early).sum()) * STEADY.block_seconds / _DAY
    return DriftCell(
        model,
        "",
        1.0,
        first_day_ratio=float(called[:, early].any(axis=1).mean()),
        per_day=float(begins[:, ~early].sum()) / (days * len(called)),
    )


def _detections(model: str, change: Change, ratio: float, calls: Calls) -> DriftCell:
    since = calls.at_seconds - change.begin_seconds
    soon = calls.slower[:, (since > 0) & (since <= _SOON_SECONDS)]
    found = soon.any(axis=1)
    delays = (soon.argmax(axis=1)[found] + 1) * STEADY.block_seconds
    return DriftCell(
        model,
        change.name,
        ratio,
        found_ratio=float(found.mean()),
        median_seconds=float(np.median(delays)) if delays.size else None,
    )


def table(cells: Sequence[DriftCell]) -> dict[str, Any]:
    """Return the figures of a result: rates by change, size and model."""
    figures: dict[str, Any] = {
        "first_day_false_alarm_ratio": {},
        "false_alarms_per_day": {},
        "detection_ratio": {},
        "detection_median_seconds": {},
    }
    for cell in cells:
        if not cell.change:
            figures["first_day_false_alarm_ratio"][cell.model] = cell.first_day_ratio
            figures["false_alarms_per_day"][cell.model] = cell.per_day
            continue
        name = f"by_{(cell.ratio - 1) * 100:g}_percent"
        for key, value in (
            ("detection_ratio", cell.found_ratio),
            ("detection_median_seconds", cell.median_seconds),
        ):
            if value is not None:
                sizes = figures[key].setdefault(cell.change, {})
                sizes.setdefault(name, {})[cell.model] = value
    return figures
