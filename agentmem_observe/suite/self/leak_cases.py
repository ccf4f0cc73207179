"""Seeded soaks whose truth is known: what RSS looks like without a leak, and with one."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from agentmem_observe.analysis import floors
from agentmem_observe.analysis.floors import PASSIVE, QUIESCED, Floats, Floors, Rule
from agentmem_observe.analysis.leaks import Verdict, judge_cycles
from agentmem_observe.measure.cycles import run_cycles, store_and_delete
from agentmem_observe.suite.self.draws import log_uniform, uniform, wander
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.targets.registry import build_target

_MIB = 2.0**20
SAMPLE_SECONDS = 10.0
SOAK_SECONDS = 6 * 3600.0

CYCLES = 10
CYCLE_OPERATIONS = 2_000
"""A thousand records at a time: the embedded memory keeps no more per agent in short-term memory,
and beyond it the module sqlite3 prunes what it remembers of cursors only once in 200."""

Part: TypeAlias = Callable[[np.random.Generator, int, Floats], Floats]
"""Makes one component of RSS in MiB, soaks by samples, at the given times in seconds."""


@dataclass(frozen=True, slots=True)
class Soaks:
    """Samples of many soaks.

    Attributes:
        at_seconds: Times, common to all.
        resident_bytes: Soaks by samples.
        load: Operations per second as counted, soaks by samples.
        stored_bytes: Bytes stored in the target; None where the stored set does not change.
    """

    at_seconds: Floats
    resident_bytes: Floats
    load: Floats
    stored_bytes: Floats | None = None

    def with_leak(self, *bytes_per_hour: float) -> Floors:
        """Return the five-minute minima with steady leaks on top: all soaks with each in turn."""

        def repeated(values: Floats) -> Floats:
            return np.tile(values, (len(bytes_per_hour), 1))

        leaked = np.outer(bytes_per_hour, self.at_seconds / 3600)
        return floors.reduce_samples(
            self.at_seconds,
            repeated(self.resident_bytes) + np.repeat(leaked, len(self.load), axis=0),
            repeated(self.load),
            None if self.stored_bytes is None else repeated(self.stored_bytes),
        )


def passive(model: str, soaks: int, seed: int) -> Soaks:
    """Return RSS as it is seen from outside, without a leak.

    Args:
        model: One of `PASSIVE_MODELS`.
        soaks: How many, >= 1.
        seed: The same seed gives the same soaks.
    """
    random = np.random.default_rng([seed, list(PASSIVE_MODELS).index(model)])
    at = np.arange(0.0, SOAK_SECONDS, SAMPLE_SECONDS)
    resident = _warm_up(random, soaks, at)
    for part in PASSIVE_MODELS[model]:
        resident = resident + part(random, soaks, at)
    load = _load(random, soaks, at, diurnal=model == "diurnal")
    stored = None
    if model == "diurnal":
        resident = resident + _follows(random, load, at)
    if model == "growing_data":
        stored = _stored(random, soaks, at)
        resident = resident + uniform(random, soaks, 1.2, 3.0) * stored / _MIB
    counted = random.poisson(load * SAMPLE_SECONDS) / SAMPLE_SECONDS
    return Soaks(at, resident * _MIB, counted, stored)


def quiesced(model: str, soaks: int, seed: int) -> Soaks:
    """Return the heap in use after a collection and a trim: no teeth, no arenas, little noise.

    Args:
        model: One of `QUIESCED_MODELS`.
        soaks: How many, >= 1.
        seed: The same seed gives the same soaks.
    """
    random = np.random.default_rng([seed, 100 + list(QUIESCED_MODELS).index(model)])
    at = np.arange(0.0, SOAK_SECONDS, SAMPLE_SECONDS)
    live = _settling(random, soaks, at) + random.normal(0, 0.1, (soaks, at.size))
    for part in QUIESCED_MODELS[model]:
        live = live + part(random, soaks, at)
    return Soaks(at, live * _MIB, np.full(live.shape, 100.0))


def _wander(
    random: np.random.Generator, soaks: int, at: Floats, spread: float, memory_seconds: float
) -> Floats:
    """Return noise that forgets exponentially (AR 1)."""
    return spread * wander(random, soaks, at.size, memory_seconds / SAMPLE_SECONDS)


def _settling(random: np.random.Generator, soaks: int, at: Floats) -> Floats:
    """Imports and first allocations: 30 to 250 MiB with a time constant of 3 to 45 minutes."""
    rises: Floats = 1 - np.exp(-at / (60 * log_uniform(random, soaks, 3, 45)))
    return uniform(random, soaks, 150, 600) + uniform(random, soaks, 30, 250) * rises


def _warm_up(random: np.random.Generator, soaks: int, at: Floats) -> Floats:
    noise = _wander(random, soaks, at, 1.0, 300) + random.normal(0, 0.2, (soaks, at.size))
    return _settling(random, soaks, at) + noise


def _sawtooth(random: np.random.Generator, soaks: int, at: Floats) -> Floats:
    """Garbage piles up and is collected every 2 to 30 minutes, 5 to 80 MiB at a time."""
    period = 60 * log_uniform(random, soaks, 2, 30)
    pace = np.exp(_wander(random, soaks, at, 0.3, 600)) / period
    phase = np.cumsum(pace * SAMPLE_SECONDS, axis=1) + uniform(random, soaks, 0, 1)
    tooth = np.floor(phase).astype(np.int64)
    shape = (soaks, int(tooth.max()) + 1)
    height = np.take_along_axis(random.uniform(0.6, 1.4, shape), tooth, axis=1)
    kept = np.take_along_axis(np.abs(random.normal(0, 0.05, shape)), tooth, axis=1)
    teeth: Floats = uniform(random, soaks, 5, 80) * (height * (phase - tooth) + kept)
    return teeth


def _arena_steps(random: np.random.Generator, soaks: int, at: Floats) -> Floats:
    """The allocator takes and returns 1 to 6 MiB, 2 to 12 times an hour, within bounds."""
    chance = uniform(random, soaks, 2, 12) * SAMPLE_SECONDS / 3600
    size, looseness = uniform(random, soaks, 1, 6), uniform(random, soaks, 1, 4)
    happens = random.random((soaks, at.size)) < chance
    direction, amount = random.random((2, soaks, at.size))
    levels = np.empty((soaks, at.size))
    level = random.integers(0, 2, soaks).astype(np.float64)
    for sample in range(at.size):
        up = direction[:, sample] < 1 / (1 + np.exp(level / looseness[:, 0]))
        step = np.where(up, 1, -1) * (0.5 + amount[:, sample]) * happens[:, sample]
        level = np.maximum(level + step, -3.0)
        levels[:, sample] = level
    return size * levels


def _filling_cache(random: np.random.Generator, soaks: int, at: Floats) -> Floats:
    """A bounded cache of 20 to 200 MiB fills, with a time constant of 5 to 60 minutes."""
    since = np.maximum(at - 60 * uniform(random, soaks, 0, 30), 0)
    full: Floats = 1 - np.exp(-since / (60 * log_uniform(random, soaks, 5, 60)))
    return uniform(random, soaks, 20, 200) * full


def _load(random: np.random.Generator, soaks: int, at: Floats, *, diurnal: bool) -> Floats:
    """Operations per second: 5 to 200, and a wave of 30 to 90 % over the day if diurnal."""
    load = log_uniform(random, soaks, 5, 200) * np.exp(_wander(random, soaks, at, 0.05, 600))
    if diurnal:
        turns = at / 86_400 + uniform(random, soaks, 0, 1)
        load = load * (1 + uniform(random, soaks, 0.3, 0.9) * np.sin(2 * np.pi * turns))
    return load


def _follows(random: np.random.Generator, load: Floats, at: Floats) -> Floats:
    """20 to 120 MiB follow the load 1 to 20 minutes behind it, and not quite in proportion."""
    soaks = len(load)
    relative: Floats = (load / load.mean(axis=1, keepdims=True)) ** uniform(
        random, soaks, 0.8, 1.2
    )
    keep = np.exp(-SAMPLE_SECONDS / (60 * log_uniform(random, soaks, 1, 20)))[:, 0]
    for sample in range(1, at.size):
        relative[:, sample] *= 1 - keep
        relative[:, sample] += keep * relative[:, sample - 1]
    return uniform(random, soaks, 20, 120) * relative


def _stored(random: np.random.Generator, soaks: int, at: Floats) -> Floats:
    """A data set grows by 1 to 20 MiB an hour, in bursts of some minutes and at no steady pace."""
    pace = np.exp(_wander(random, soaks, at, 0.5, 1800))
    per_sample = log_uniform(random, soaks, 1, 20) * _MIB * SAMPLE_SECONDS / 3600
    return np.cumsum(per_sample * pace, axis=1)


PASSIVE_MODELS: dict[str, tuple[Part, ...]] = {
    "plain": (),
    "sawtooth": (_sawtooth,),
    "steps": (_arena_steps,),
    "filling_cache": (_filling_cache,),
    "mixed": (_sawtooth, _arena_steps, _filling_cache),
    "diurnal": (),
    "growing_data": (),
}
"""What comes on top of a warm-up and noise; ``diurnal`` adds what follows a load that waves, and
``growing_data`` what a growing set of records needs."""

QUIESCED_MODELS: dict[str, tuple[Part, ...]] = {
    "plain": (),
    "filling_cache": (_filling_cache,),
}
"""What of it is left when the process has collected and trimmed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How often one rule called the soaks of one model a leak.

    Attributes:
        probe: ``passive`` or ``quiesced``.
        model: The model.
        leak_mib_per_hour: The leak that was there, in MiB per hour; 0 for none.
        alarm_ratio: Share of soaks called a leak.
        median_seconds: Median time to the call, None if there was none.
    """

    probe: str
    model: str
    leak_mib_per_hour: float
    alarm_ratio: float
    median_seconds: float | None


Maker: TypeAlias = Callable[[str, int, int], Soaks]

PROBES: dict[str, tuple[Maker, Rule, tuple[str, ...]]] = {
    "passive": (passive, PASSIVE, tuple(PASSIVE_MODELS)),
    "quiesced": (quiesced, QUIESCED, tuple(QUIESCED_MODELS)),
}
"""By what is looked at: what makes the soaks, the rule that judges them, and their models."""


def cell_count(leaks: int) -> int:
    """Return how many cells `simulate` yields for that many leaks."""
    return leaks * sum(len(models) for *_, models in PROBES.values())


def simulate(soaks: int, seed: int, leaks_mib_per_hour: Sequence[float]) -> Iterator[Cell]:
    """Judge simulated soaks every five minutes, as a soak test would, and count the alarms.

    Args:
        soaks: Six-hour soaks per cell, >= 1.
        seed: The same seed gives the same soaks.
        leaks_mib_per_hour: Leaks to put on top, in MiB per hour; 0 for none.

    Yields:
        A cell per probe, model and leak.
    """
    for probe, (make, rule, models) in PROBES.items():
        for model in models:
            leaks = [leak * _MIB for leak in leaks_mib_per_hour]
            soaked = make(model, soaks, seed).with_leak(*leaks)
            alarms = floors.first_alarm_seconds(soaked, rule).reshape(len(leaks), soaks)
            for leak, alarm in zip(leaks_mib_per_hour, alarms, strict=True):
                called = alarm[np.isfinite(alarm)]
                median = float(np.median(called)) if called.size else None
                yield Cell(probe, model, leak, called.size / soaks, median)


def table(cells: Iterable[Cell]) -> dict[str, Any]:
    """Return the figures of a result: rates by leak, probe and model.

    ``passive_detection_ratio`` is the mean over the passive models but ``growing_data``.
    """
    figures: dict[str, Any] = {
        "false_alarm_ratio": {},
        "detection_ratio": {},
        "detection_median_seconds": {},
    }
    passive_rates: dict[str, list[float]] = {}
    for cell in cells:
        if cell.leak_mib_per_hour == 0:
            false_alarms = figures["false_alarm_ratio"].setdefault(cell.probe, {})
            false_alarms[cell.model] = cell.alarm_ratio
            continue
        leak = f"leak_{cell.leak_mib_per_hour:g}_mib_per_hour"
        _within(figures["detection_ratio"], leak, cell.probe)[cell.model] = cell.alarm_ratio
        if cell.median_seconds is not None:
            medians = _within(figures["detection_median_seconds"], leak, cell.probe)
            medians[cell.model] = cell.median_seconds
        if cell.probe == "passive" and cell.model != "growing_data":
            passive_rates.setdefault(leak, []).append(cell.alarm_ratio)
    figures["passive_detection_ratio"] = {
        leak: sum(rates) / len(rates) for leak, rates in passive_rates.items()
    }
    return figures


def _within(figures: dict[str, Any], leak: str, probe: str) -> dict[str, float]:
    rates: dict[str, float] = figures.setdefault(leak, {}).setdefault(probe, {})
    return rates


CYCLE_TARGETS = {
    "embedded": "embedded",
    "clean_fake": "fake",
    "leaking_fake": "fake?leaks_one_in=1000",
}
"""Real targets: two that keep nothing, and one that keeps an object every thousand operations."""


@contextmanager
def open_target(spec: str, directory: Path) -> Iterator[MemoryTarget]:
    """Open a target in a directory of its own; close and remove it after."""
    with tempfile.TemporaryDirectory(dir=directory) as own:
        target = build_target(spec, Path(own))
        target.open()
        try:
            yield target
        finally:
            target.close()


def cycle_verdicts(target: MemoryTarget, runs: int) -> Iterator[Verdict]:
    """Judge a target in this process, again and again, by 20,000 operations in ten cycles.

    Args:
        target: An open target that holds nothing of the agent ``benchmark_agent``.
        runs: How often, >= 1.
    """
    cycle = store_and_delete(target, CYCLE_OPERATIONS // 2)
    for _ in range(runs):
        readings = run_cycles(cycle, CYCLES)
        yield judge_cycles(readings.blocks, CYCLE_OPERATIONS).verdict
