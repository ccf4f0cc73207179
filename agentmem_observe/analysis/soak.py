"""Whether a target leaks, judged after each window of a steady soak that goes on for months.

Windows go in, oldest first; a verdict with its reasons comes out. Blocks of Python's allocator are
judged where they were counted, the floor of RSS elsewhere. How often it is wrong is measured by
the ``leak_detection`` benchmark and told in docs/leaks.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from agentmem_observe.analysis.floors import STEP_SECONDS, Bools, Floats
from agentmem_observe.analysis.leaks import (
    FEWEST_BLOCKS_PER_OPERATION,
    WARM_UP_CYCLES,
    LeakVerdict,
    judge_floor,
    theil_sen,
)
from agentmem_observe.units import format_bytes

MOST_WINDOWS = 2_000
"""Windows that are judged at most: of a minute each, 33 hours, or three weeks if thinned."""

_LONGEST_SECONDS = 1800.0
"""Of a merged window: longer ones would hide from `drift` how much half hours differ."""

LEAST_WINDOWS = 30
"""Windows that growth must last to be called a leak. A cache that fills for longer looks like one;
raise the number until it does not."""

FEWEST_BLOCKS = 500
"""Blocks that growth must come to as well. The module sqlite3 forgets dead cursors 200 at a time:
windows with equally many operations see that as a ramp of 200 to 450 blocks over any number of
windows, which then drops."""

SOAK_CONFIDENCE = 0.97
"""Share of simulated clean soaks of a day that are never called a leak, at least: 1 % of 300 were
in the worst model, and 1.3 % of caches that take longer to fill than growth must last."""

STRETCHES = 10
"""Stretches of equal length that growth is divided into. All must rise: of ten, chance alone does
that once in three million times."""

_LEAST_VARIATION = 0.05
"""Of its mean, what the load must vary by to drive anything: most soaks have a constant one, and
fitting it takes three quarters of the time."""

_FLOOR_SECONDS = 24 * 3600.0
"""Length of RSS that is judged: whole days of a load that waves, and bounded work."""

_LEAST_SHARE = 0.6
"""Of the median rise, what each stretch must rise by: growth is steady or it is no leak."""

_LEAST_KEPT_SHARE = 0.9
"""Of the rise in the first half, what the second half must keep; else it slows down."""

_SOME_KEPT_SHARE = 0.5
_MOST_RISES = 7
"""Of the nine, and what the second half must keep, to suspect a leak that noise hides: a weak one
would be called and called off from window to window."""

_LONGER = 1.25
"""Each span that is judged is so much longer than the one before."""

_EARLIER_PEAKS = 2
"""The end of the span must be higher than all earlier windows but one: a level that was held once
and given back is a tooth, not a leak; but one odd window hides no leak."""

_BYTES_PER_BLOCK = 4.0
"""Stored bytes that may take a block, at least: as small as they come, so that what a growing data
set needs is never called a leak."""


@dataclass(frozen=True, slots=True)
class SoakWindow:
    """One window of a steady open-loop load; all of one life of the process that has the target.

    Attributes:
        at_seconds: When it ended, from any origin; ascending from window to window.
        seconds: Its length, > 0.
        operations: Operations sent in it, those of the cycle that ends it included, >= 0.
        blocks: Blocks of Python's allocator after it, one identical cycle of store, read, search
            and delete, and a garbage collection; None if they cannot be counted.
        resident_bytes: Least RSS seen in it of the process that has the target; None if not known.
        stored_bytes: What the target says it holds for its users; None if it does not say.
        load: Operations per second in it, >= 0.
        service_p50_seconds: Median service time; None if nothing succeeded.
        service_p99_seconds: The 99th percentile, the same way.
        trusted: Whether its measurement was not void.
    """

    at_seconds: float
    seconds: float
    operations: int
    blocks: int | None
    resident_bytes: float | None
    stored_bytes: float | None
    load: float
    service_p50_seconds: float | None
    service_p99_seconds: float | None
    trusted: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Blocks after the windows of many soaks that share their windows.

    Attributes:
        operations: Operations up to the end of each window, ascending.
        blocks: Blocks after each window, soaks by windows.
        stored_bytes: Bytes stored at the same times; None if not known.
    """

    operations: Floats
    blocks: Floats
    stored_bytes: Floats | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """What the newest windows of many soaks show.

    Attributes:
        windows: How many there are of them.
        operations: Operations sent in them.
        blocks: By how many blocks they grow, first tenth to last, one figure per soak.
        per_operation: Median growth, blocks per operation, one figure per soak.
        stored_per_operation: Growth of the stored bytes, bytes per operation.
        grows: Whether growth is steady, does not slow down, and is more than the data's.
        mostly: Whether it would but for a few stretches, or slows down somewhat.
        follows_data: Whether it would grow but for the stored bytes.
    """

    windows: int
    operations: float
    blocks: Floats
    per_operation: Floats
    stored_per_operation: Floats
    grows: Bools
    mostly: Bools
    follows_data: Bools


def judge_leak(
    windows: Sequence[SoakWindow], *, least_windows: int = LEAST_WINDOWS
) -> LeakVerdict:
    """Judge a target by the windows of a soak so far.

    Give the newest 2,000 at most, as they are or thinned by `thin_windows`: they may differ in
    length and operations, and none need be there for the time in which the soak was paused. If
    windows with operations are left out, a leak comes out too large.

    Args:
        windows: Oldest first, of one life of the process that has the target.
        least_windows: Windows that growth must last to be called a leak, >= 1; fewer than ten
            count as ten.

    Raises:
        ValueError: If a figure is NaN or infinite, times do not ascend, a length is not positive,
            or ``least_windows`` is less than 1.

    Examples:
        >>> def window(number: int, blocks: int) -> SoakWindow:
        ...     return SoakWindow(
        ...         60.0 * number, 60.0, 3000, blocks, None, None, 50.0, 1e-3, 2e-3, trusted=True
        ...     )
        >>> judge_leak([window(number, 90_000 + 30 * number) for number in range(40)]).verdict
        'leak'
        >>> judge_leak([window(number, 90_000 + number % 2) for number in range(40)]).verdict
        'none'
    """
    if least_windows < 1:
        raise ValueError(f"least_windows is {least_windows!r}; it must be >= 1")
    windows = list(windows)  # slices of it are taken, which a deque has not
    check_windows(windows)
    if not windows:
        return LeakVerdict("unknown", reasons=("no window has ended yet; soak longer",))
    counts = _counts(windows)
    if counts is None:
        return _judge_resident(windows)
    return _judge_blocks(windows, counts, least_windows)


def check_windows(windows: Sequence[SoakWindow]) -> None:
    """Refuse windows that cannot be judged.

    Raises:
        ValueError: If a figure is NaN or infinite, times do not ascend, or a length is not
            positive.
    """
    before = -math.inf
    for number, window in enumerate(windows):
        for field in fields(window):
            value = getattr(window, field.name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{field.name} of window {number} is {value!r}; give None")
        if window.at_seconds <= before:
            raise ValueError(
                f"window {number} ended at {window.at_seconds!r}, the one before at {before!r}: "
                "times must ascend; sort the windows, and give each once"
            )
        if window.seconds <= 0 or window.operations < 0:
            raise ValueError(
                f"window {number} has {window.operations!r} operations in {window.seconds!r} s; "
                "neither may be negative, nor the time 0"
            )
        before = window.at_seconds


def thin_windows(windows: Sequence[SoakWindow], most: int = MOST_WINDOWS) -> list[SoakWindow]:
    """Merge old windows into half hours if there are too many, then forget the oldest.

    Call it after each window with what it returned before. The newest half stays as it is; of
    windows of a minute, 2,000 reach three weeks back.

    Args:
        windows: Oldest first.
        most: How many may be left, >= 2.

    Raises:
        ValueError: If ``most`` is less than 2.
    """
    if most < 2:
        raise ValueError(f"most is {most!r}; it must be >= 2")
    windows = list(windows)
    if len(windows) <= most:
        return windows
    old = len(windows) - most // 2
    merged = [windows[0]]
    for window in windows[1:old]:
        if merged[-1].seconds + window.seconds <= _LONGEST_SECONDS:
            merged[-1] = _merged(merged[-1], window)
        else:
            merged.append(window)
    return [*merged, *windows[old:]][-most:]


def _merged(first: SoakWindow, second: SoakWindow) -> SoakWindow:
    # A host that was noisy in one half of the time says nothing about the other.
    told = [each for each in (first, second) if each.trusted] or [first, second]
    seconds = first.seconds + second.seconds
    resident = [each.resident_bytes for each in (first, second) if each.resident_bytes is not None]
    return replace(
        second,
        seconds=seconds,
        operations=first.operations + second.operations,
        resident_bytes=min(resident, default=None),
        load=(first.load * first.seconds + second.load * second.seconds) / seconds,
        service_p50_seconds=_mean([(e.service_p50_seconds, e.seconds) for e in told]),
        service_p99_seconds=_mean([(e.service_p99_seconds, e.seconds) for e in told]),
        trusted=first.trusted or second.trusted,
    )


def _mean(weighed: Sequence[tuple[float | None, float]]) -> float | None:
    known = [(value, weight) for value, weight in weighed if value is not None]
    whole = math.fsum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / whole if known else None


def tails(counts: Counts, least_windows: int) -> list[Tail]:
    """Look at the newest windows: spans from half of ``least_windows`` to all of them.

    Args:
        counts: The soaks.
        least_windows: Windows that growth must last, >= 1.

    Returns:
        Shortest first; empty if there are too few windows for any.
    """
    judged = len(counts.operations) - WARM_UP_CYCLES
    return [_tail(counts, each) for each in _sizes(judged, least_windows)]


def _sizes(judged: int, least_windows: int) -> list[int]:
    """Return how many windows each stretch has, for each span that is judged."""
    each, most = _each(least_windows / 2), judged // STRETCHES
    sizes = {each, _each(least_windows), most}
    while each < most:
        each = max(each + 1, round(each * _LONGER))
        sizes.add(each)
    return sorted(size for size in sizes if 0 < size <= most)


def _each(least_windows: float) -> int:
    return math.ceil(least_windows / STRETCHES)


def is_leak(tail: Tail, least_windows: int) -> Bools:
    """Say of each soak whether this growth has come far enough to be called a leak."""
    lasted = tail.windows >= least_windows
    return np.asarray(tail.grows & lasted & (tail.blocks >= FEWEST_BLOCKS))


def _tail(counts: Counts, each: int) -> Tail:
    span = slice(-each * STRETCHES, None)
    at = counts.operations[span].reshape(STRETCHES, each)[:, each // 4]
    level = _levels(counts.blocks[:, span], each)
    apart = np.maximum(np.diff(at), 1.0)
    rises = np.diff(level, axis=1) / apart
    typical = np.median(rises, axis=1)
    half = len(apart) // 2
    first, second = np.median(rises[:, :half], axis=1), np.median(rises[:, -half:], axis=1)
    earlier = counts.blocks[:, WARM_UP_CYCLES : span.start]
    peak = np.full_like(typical, -np.inf)
    if earlier.shape[1] >= _EARLIER_PEAKS:
        peak = np.partition(earlier, -_EARLIER_PEAKS, axis=1)[:, -_EARLIER_PEAKS]
    new: Bools = level[:, -1] > peak
    steady: Bools = (
        (rises >= _LEAST_SHARE * typical[:, None]).all(axis=1)
        & (second >= _LEAST_KEPT_SHARE * first)
        & new
    )
    stored = np.zeros_like(typical)
    if counts.stored_bytes is not None:
        held = _levels(counts.stored_bytes[:, span], each)
        stored = (held[:, -1] - held[:, 0]) / apart.sum()
    explained = np.maximum(stored, 0.0) / _BYTES_PER_BLOCK
    least = rises.min(axis=1)
    return Tail(
        windows=each * STRETCHES,
        operations=float(counts.operations[-1] - counts.operations[span][0]),
        blocks=level[:, -1] - level[:, 0],
        per_operation=typical,
        stored_per_operation=stored,
        grows=steady & (least - explained >= FEWEST_BLOCKS_PER_OPERATION),
        mostly=new
        & (second >= _SOME_KEPT_SHARE * first)
        & ((rises - explained[:, None] >= FEWEST_BLOCKS_PER_OPERATION).sum(axis=1) >= _MOST_RISES),
        follows_data=steady
        & (least >= FEWEST_BLOCKS_PER_OPERATION)
        & (least - explained < FEWEST_BLOCKS_PER_OPERATION),
    )


def _levels(values: Floats, each: int) -> Floats:
    """Return the lower quartile of each stretch: below teeth, and not one odd window's."""
    stretches = values.reshape(len(values), STRETCHES, each)
    return np.partition(stretches, each // 4, axis=2)[:, :, each // 4]


def _counts(windows: Sequence[SoakWindow]) -> Counts | None:
    counted = [number for number, window in enumerate(windows) if window.blocks is not None]
    if not counted:
        return None
    operations = np.cumsum([window.operations for window in windows], dtype=np.float64)
    chosen = [windows[number] for number in counted]
    held = [window.stored_bytes for window in chosen if window.stored_bytes is not None]
    return Counts(
        operations[counted],
        np.array([[window.blocks for window in chosen]], dtype=np.float64),
        np.array([held]) if len(held) == len(chosen) else None,
    )


def _judge_blocks(
    windows: Sequence[SoakWindow], counts: Counts, least_windows: int
) -> LeakVerdict:
    looks = tails(counts, least_windows)
    leaks = [tail for tail in looks if is_leak(tail, least_windows)[0]]
    growing = [tail for tail in looks if tail.grows[0]]
    leaning = [tail for tail in looks if tail.mostly[0] and tail.windows >= least_windows]
    if leaks:
        reason = (
            f"{_figures(leaks[-1])}, and do not slow down; look for what holds them with "
            "tracemalloc"
        )
        found = _with_slope(windows, leaks[-1], LeakVerdict("leak", reasons=(reason,)))
        return replace(found, confidence=SOAK_CONFIDENCE)
    if growing:
        reason = (
            f"{_figures(growing[-1])}: not far enough (limits {least_windows} windows and "
            f"{FEWEST_BLOCKS} blocks); a cache that fills looks the same, soak longer"
        )
        return _with_slope(windows, growing[-1], LeakVerdict("suspected", reasons=(reason,)))
    if leaning:
        reason = (
            f"{_figures(leaning[-1], 'most tenths')}, but not in all alike, or ever more slowly: "
            "noise hides a weak leak, and a cache that fills looks the same; soak longer"
        )
        return _with_slope(windows, leaning[-1], LeakVerdict("suspected", reasons=(reason,)))
    have, need = len(counts.operations), _needed(least_windows)
    if have < need:
        return LeakVerdict(
            "unknown",
            reasons=(f"blocks were counted after {have} windows (limit {need}); soak longer",),
        )
    following = [tail for tail in looks if tail.follows_data[0]]
    if following:
        stored = following[-1].stored_per_operation[0] * following[-1].operations
        reason = (
            f"{_figures(following[-1])}, but stored bytes grow by {format_bytes(stored)}: a leak "
            "in step with them can't be told; soak with a constant set of records"
        )
    else:
        reason = (
            "blocks do not grow in step with the operations: "
            f"{_change(counts, looks[-1].windows)}; the limit is "
            f"{FEWEST_BLOCKS_PER_OPERATION * 1000:g} per 1,000 operations in each tenth of them"
        )
    return LeakVerdict(
        "none", blocks_per_operation=float(looks[-1].per_operation[0]), reasons=(reason,)
    )


def _needed(least_windows: int) -> int:
    return STRETCHES * _each(least_windows) + WARM_UP_CYCLES


def _figures(tail: Tail, where: str = "each tenth") -> str:
    return (
        f"blocks grow by {tail.per_operation[0] * 1000:.3g} per 1,000 operations (limit "
        f"{FEWEST_BLOCKS_PER_OPERATION * 1000:g}) and {tail.blocks[0]:,.0f} in all, in "
        f"{where} of the newest {tail.windows} windows"
    )


def _change(counts: Counts, windows: int) -> str:
    change = counts.blocks[0, -1] - counts.blocks[0, -windows]
    operations = counts.operations[-1] - counts.operations[-windows]
    return f"{change:+,.0f} in the newest {windows} windows ({operations:,.0f} operations)"


def _with_slope(windows: Sequence[SoakWindow], tail: Tail, verdict: LeakVerdict) -> LeakVerdict:
    """Add what the growth comes to in RSS, over the same windows."""
    per_operation = float(tail.per_operation[0])
    verdict = replace(verdict, blocks_per_operation=per_operation)
    span = [window for window in windows[-tail.windows :] if window.resident_bytes is not None]
    each = len(span) // STRETCHES
    if not each:
        return verdict
    span = span[-each * STRETCHES :]
    at = np.array([window.at_seconds for window in span]).reshape(STRETCHES, each)
    resident = np.array([window.resident_bytes for window in span], dtype=np.float64)
    levels = resident.reshape(STRETCHES, each).min(axis=1)
    slope, low, high = theil_sen(at.mean(axis=1), levels)
    load = float(np.mean([window.load for window in span]))
    return replace(
        verdict,
        slope_bytes_per_second=slope,
        slope_interval=(low, high),
        bytes_per_operation=slope / load if load else None,
    )


def _judge_resident(windows: Sequence[SoakWindow]) -> LeakVerdict:
    """Judge by the floor of RSS, over the newest day."""
    since = windows[-1].at_seconds - _FLOOR_SECONDS
    known = [
        window
        for window in windows
        if window.resident_bytes is not None and window.at_seconds > since
    ]
    if not known:
        return LeakVerdict(
            "unknown",
            reasons=(
                "neither blocks nor RSS are known: the target is not in the worker's process; "
                "name its process id, if it is on this host",
            ),
        )
    # The least RSS of a long window is a floor of each five minutes of it.
    repeats = [math.ceil(window.seconds / STEP_SECONDS) for window in known]
    at = np.concatenate(
        [
            window.at_seconds - window.seconds * (count - 1 - np.arange(count)) / count
            for window, count in zip(known, repeats, strict=True)
        ]
    )
    held = [window.stored_bytes for window in known if window.stored_bytes is not None]
    load = np.array([window.load for window in known])
    verdict = judge_floor(
        np.maximum.accumulate(at),
        np.repeat([window.resident_bytes for window in known], repeats),
        load=np.repeat(load, repeats) if load.std() > _LEAST_VARIATION * load.mean() else None,
        stored_bytes=np.repeat(held, repeats) if len(held) == len(known) else None,
    )
    slope, mean = verdict.slope_bytes_per_second, float(load.mean())
    return replace(verdict, bytes_per_operation=slope / mean if slope and mean else None)
