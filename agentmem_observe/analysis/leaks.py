"""Whether a target leaks: counted per cycle in this process, or seen in the floor of its memory.

Numbers go in, a verdict with its reasons comes out; nothing is measured here. How often each
detector is wrong is measured by the ``leak_detection`` benchmark and told in docs/leaks.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from agentmem_observe.analysis.floors import (
    CONSECUTIVE_LOOKS,
    PASSIVE,
    STEP_SECONDS,
    Floats,
    Floors,
    Growth,
    Rule,
    grows,
    reduce_samples,
)
from agentmem_observe.units import format_bytes, format_seconds

Verdict: TypeAlias = Literal["none", "suspected", "leak", "unknown"]
"""``leak``: growth that is steady, not explained by load or data, and not settling. ``suspected``:
it looks like one, but not for long enough. ``none``: no such growth. ``unknown``: not enough was
observed to say."""

FLOOR_CONFIDENCE = 0.98
"""Share of simulated leak-free six-hour soaks in which the floor detector stays silent, at least;
with a load that waves over the day as well."""

CYCLES_CONFIDENCE = 0.9
"""The same for clean runs of cycles: none of 30 alarmed, which is at least 0.9 at 95 %."""

WARM_UP_CYCLES = 2
"""Cycles whose growth does not count: first imports, tables that reach their size."""

FEWEST_INCREMENTS = 3
"""Cycles after warm-up that must all grow. Two could be the two halves of one jump."""

FEWEST_BLOCKS_PER_OPERATION = 0.5e-3
"""Half a block in a thousand operations; an object per thousand operations is at least one."""

_SLOWEST_KEPT_SHARE = 0.5
"""Of the growth of the first half of the cycles, what the second half must still have."""

_LARGEST_GAP_SHARE = 0.25
_MIN_CYCLES = WARM_UP_CYCLES + FEWEST_INCREMENTS
_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True)
class LeakVerdict:
    """The judgement on one target.

    Attributes:
        verdict: See `Verdict`.
        slope_bytes_per_second: Steady growth; None if not known.
        slope_interval: The slope less and plus 1.96 standard errors, bytes per second.
        bytes_per_operation: What one operation leaves behind on average, None if not known.
        blocks_per_operation: The same in blocks of Python's allocator; exact, None if not counted.
        confidence: Share of leak-free runs in which this detector stays silent. It is not the
            probability that this is a leak. None without an alarm.
        reasons: Sentences with figure, limit and next step.
    """

    verdict: Verdict
    slope_bytes_per_second: float | None = None
    slope_interval: tuple[float, float] | None = None
    bytes_per_operation: float | None = None
    blocks_per_operation: float | None = None
    confidence: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """When memory reaches a limit if it goes on as it did lately. A forecast, not a verdict.

    Attributes:
        slope_bytes_per_second: Median slope of the second half of the samples.
        seconds: Time from the last sample to the limit; infinite if memory does not grow, 0 if it
            is there.
        earliest_seconds: The same with the upper end of the slope's 95 % interval.
    """

    slope_bytes_per_second: float
    seconds: float
    earliest_seconds: float


def judge_cycles(
    blocks: Sequence[int], operations_per_cycle: int, bytes_per_cycle: float | None = None
) -> LeakVerdict:
    """Judge a target by the blocks that are allocated after each of some identical cycles.

    Args:
        blocks: Blocks after each cycle, as from `measure.cycles.run_cycles`.
        operations_per_cycle: Operations in a cycle, >= 1.
        bytes_per_cycle: What a cycle keeps, as from `measure.cycles.traced_bytes_per_cycle`.

    Raises:
        ValueError: If ``operations_per_cycle`` is less than 1.

    Examples:
        >>> judge_cycles([900, 990, 992, 994, 996, 998], 2000).verdict
        'leak'
        >>> judge_cycles([900, 990, 991, 991, 991, 991], 2000).verdict
        'none'
    """
    if operations_per_cycle < 1:
        raise ValueError(f"operations_per_cycle is {operations_per_cycle!r}; it must be >= 1")
    if len(blocks) < _MIN_CYCLES:
        return LeakVerdict(
            "unknown",
            reasons=(f"{len(blocks)} cycles are too few (limit {_MIN_CYCLES}); run more",),
        )
    increments = np.diff(np.asarray(blocks, dtype=np.int64))[WARM_UP_CYCLES - 1 :]
    least = FEWEST_BLOCKS_PER_OPERATION * operations_per_cycle
    half = len(increments) // 2
    slows = increments[-half:].mean() < _SLOWEST_KEPT_SHARE * increments[:half].mean()
    growing = increments >= np.float64(least)
    per_operation = float(increments.mean()) / operations_per_cycle
    figures = (
        f"{increments.mean():+.1f} blocks per cycle of {operations_per_cycle:,} operations, "
        f"{increments.min():+d} to {increments.max():+d} (limit +{least:.1f} in every cycle)"
    )
    if growing.all() and not slows:
        reason = f"the target keeps {figures}; look for what holds them with tracemalloc"
        verdict: Verdict = "leak"
    elif np.median(increments) >= least:
        reason = f"most cycles grow, but not all or ever less: {figures}; run more cycles"
        verdict = "suspected"
    else:
        reason, verdict = f"blocks do not grow from cycle to cycle: {figures}", "none"
    return LeakVerdict(
        verdict,
        bytes_per_operation=None
        if bytes_per_cycle is None
        else bytes_per_cycle / operations_per_cycle,
        blocks_per_operation=per_operation,
        confidence=CYCLES_CONFIDENCE if verdict == "leak" else None,
        reasons=(reason,),
    )


def judge_floor(
    at_seconds: npt.ArrayLike,
    resident_bytes: npt.ArrayLike,
    *,
    load: npt.ArrayLike | None = None,
    stored_bytes: npt.ArrayLike | None = None,
    rule: Rule = PASSIVE,
) -> LeakVerdict:
    """Judge a target by samples of its memory from the start of a soak on.

    Args:
        at_seconds: Times of the samples, ascending, from any origin; repeated times and gaps are
            fine.
        resident_bytes: RSS or USS at these times, > 0; with `QUIESCED` the heap in use.
        load: Operations per second at these times, so that memory that follows the load is not
            taken for a leak, and to state bytes per operation.
        stored_bytes: What the target holds for its users, so that a data set that grows is not.
        rule: What counts as growth.

    Raises:
        ValueError: If a series is NaN or infinite, not of one length, or times descend.
    """
    at, resident = _series("at_seconds", at_seconds), _series("resident_bytes", resident_bytes)
    loads = None if load is None else _series("load", load)
    stored = None if stored_bytes is None else _series("stored_bytes", stored_bytes)
    for name, values in (("resident_bytes", resident), ("load", loads), ("stored_bytes", stored)):
        if values is not None and len(values) != len(at):
            raise ValueError(f"{name} has {len(values)} samples, at_seconds {len(at)}")
    if (np.diff(at) < 0).any():
        raise ValueError("at_seconds must ascend; sort the samples by time")
    observed = float(at[-1] - at[0]) if len(at) else 0.0
    looks = CONSECUTIVE_LOOKS - 1
    if observed < rule.shortest_seconds + looks * STEP_SECONDS:
        needed = format_seconds(rule.shortest_seconds + looks * STEP_SECONDS)
        return _unknown(
            f"observed for {format_seconds(observed)} (limit {needed}): until then a leak can't "
            "be told from warm-up or a cache that fills; soak longer"
        )
    floors = reduce_samples(
        at,
        resident[None],
        None if loads is None else loads[None],
        None if stored is None else stored[None],
    )
    gaps = float(np.isnan(floors.resident_bytes).mean())
    if gaps > _LARGEST_GAP_SHARE:
        return _unknown(
            f"{gaps:.0%} of the soak has no sample (limit {_LARGEST_GAP_SHARE:.0%}); sample at "
            f"least every {format_seconds(STEP_SECONDS)}"
        )
    return _floor_verdict(floors, rule, None if loads is None else float(loads.mean()))


def theil_sen(at_seconds: Floats, values: Floats) -> tuple[float, float, float]:
    """Return the median slope of all pairs, and a 95 % interval by Mann and Kendall's variance.

    Args:
        at_seconds: Times, at least two of them different.
        values: One value per time.

    Returns:
        Slope, lower and upper end, per second.

    Examples:
        >>> theil_sen(np.arange(5.0), np.array([0.0, 2.0, 4.0, 6.0, 99.0]))[0]
        2.0
    """
    first, second = np.triu_indices(len(values), 1)
    apart = at_seconds[second] - at_seconds[first]
    slopes = np.sort((values[second] - values[first])[apart > 0] / apart[apart > 0])
    count = len(values)
    spread = _TWO_SIDED_95 * np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, int((len(slopes) - spread) // 2))
    high = min(len(slopes) - 1, int((len(slopes) + spread) // 2))
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


def time_to_limit(
    at_seconds: npt.ArrayLike, resident_bytes: npt.ArrayLike, limit_bytes: float
) -> Forecast:
    """Forecast when memory reaches a limit, whatever makes it grow; early, and not a verdict.

    Args:
        at_seconds: Times of the samples, ascending.
        resident_bytes: Memory at these times.
        limit_bytes: The limit, such as a container's, > 0.

    Raises:
        ValueError: If there are fewer than four samples at different times, or NaN among them.

    Examples:
        >>> time_to_limit([0, 10, 20, 30, 40, 50], [100, 110, 120, 130, 140, 150], 250).seconds
        100.0
    """
    at, resident = _series("at_seconds", at_seconds), _series("resident_bytes", resident_bytes)
    at, resident = _thinned(at, resident)
    if len(np.unique(at)) < 2:
        raise ValueError("a forecast needs at least four samples at different times")
    slope, _, steepest = theil_sen(at, resident)
    left = max(0.0, limit_bytes - float(resident[-1]))

    def seconds(rate: float) -> float:
        return 0.0 if left == 0 else left / rate if rate > 0 else float("inf")

    return Forecast(slope, seconds(slope), seconds(steepest))


_MOST_PAIRED = 200
"""Samples that a forecast compares with one another: 20,000 pairs take a millisecond."""


def _thinned(at: Floats, resident: Floats) -> tuple[Floats, Floats]:
    """Return the second half of the samples, evenly thinned and with the last one."""
    half = slice(len(at) // 2, None)
    at, resident = at[half], resident[half]
    every = -(-len(at) // _MOST_PAIRED)
    return at[::-1][::every][::-1], resident[::-1][::every][::-1]


def _series(name: str, values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one series, not an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinite samples; leave out what is not known")
    return array


def _unknown(reason: str) -> LeakVerdict:
    return LeakVerdict("unknown", reasons=(reason,))


def _floor_verdict(floors: Floors, rule: Rule, mean_load: float | None) -> LeakVerdict:
    looks = [grows(floors, floors.steps - ago, rule) for ago in range(CONSECUTIVE_LOOKS)]
    agreeing = [bool(growing[0]) for growing, _ in looks]
    growth = looks[0][1]
    slope, error = float(growth.slope[0]), float(growth.error[0])
    if all(agreeing):
        verdict: Verdict = "leak"
    else:
        verdict = "suspected" if agreeing[0] else "none"
    return LeakVerdict(
        verdict,
        slope_bytes_per_second=slope,
        slope_interval=(slope - _TWO_SIDED_95 * error, slope + _TWO_SIDED_95 * error),
        bytes_per_operation=slope / mean_load if mean_load else None,
        confidence=FLOOR_CONFIDENCE if verdict == "leak" else None,
        reasons=_floor_reasons(floors, growth, verdict),
    )


def _floor_reasons(floors: Floors, growth: Growth, verdict: Verdict) -> tuple[str, ...]:
    slope, error = float(growth.slope[0]), float(growth.error[0])
    plain = float(growth.unsettled_slope[0])
    figures = (
        f"the floor grows by {_per_hour(slope)} ± {_per_hour(_TWO_SIDED_95 * error)} that neither "
        f"settles nor follows what is known of load and stored bytes ({_per_hour(plain)} if "
        f"nothing settles); {float(growth.rising_share[0]):.0%} of the pairs of windows rise"
    )
    if verdict == "leak":
        return (f"{figures}; compare heap snapshots an hour apart",)
    if verdict == "suspected":
        return (f"{figures}, but not at {CONSECUTIVE_LOOKS} looks in a row; soak longer",)
    if not growth.independent[0]:
        return (
            f"growth of {_per_hour(plain)} goes with the load or the stored bytes from start "
            "to end: a leak in step with them can't be told; soak with a constant set of records",
        )
    stored = "" if floors.stored_bytes is not None else "; stored bytes are not known"
    return (f"{figures}: too little, too unsteady or too uncertain for a leak{stored}",)


def _per_hour(bytes_per_second: float) -> str:
    sign = "-" if bytes_per_second < 0 else ""
    return f"{sign}{format_bytes(abs(bytes_per_second) * 3600)}/h"
