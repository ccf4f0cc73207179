"""Whether the latency of a steady soak creeps up or down over hours and days, or has stepped.

Windows go in, a verdict comes out: half hours become medians, and the newest hours are compared
with the range of the oldest ones. How often it is wrong is measured by the ``drift_detection``
benchmark and told in docs/drift.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import numpy as np

from agentmem_observe.analysis.floors import Bools, Floats
from agentmem_observe.analysis.soak import SoakWindow, check_windows
from agentmem_observe.units import format_rate, format_seconds

Drift: TypeAlias = Literal["none", "slower", "faster", "unknown"]
"""``slower``, ``faster``: the newest hours lie outside of what the oldest ones saw, by enough.
``none``: they do not. ``unknown``: not enough was observed to say."""

Percentile: TypeAlias = Literal["p50", "p99"]

_HOUR = 3600.0

_EXTREMES = 0.05
"""Share of the half hours at each end that a range leaves out: one odd hour in a day."""

_MARGIN = 0.25
"""Of the limit, as a logarithm, what must lie between the two ranges."""

_REFERENCE_SHARE = 1 / 3
"""Of the soak, what the newest hours are compared with; the middle is for a creep to get there."""

_LEAST_COVERED = 0.5
"""Of the reference and of the newest hours, what trusted windows must cover."""

_HALF = 0.5
_LEAST_COVERED_BLOCK = 1 / 3
_FEWEST_BLOCKS = 3
_MOST_LOAD_CHANGE = 0.1
"""Latency follows the load: if that differs by more, nothing can be said."""


@dataclass(frozen=True, slots=True)
class DriftLimit:
    """How large a change must be, and from when on it is judged.

    Attributes:
        observed_seconds: Length of the soak, warm-up left out.
        reference_seconds: Least length of its beginning that is compared with.
        change_ratio: Newest over reference for ``slower``, and one over this for ``faster``; > 1.
    """

    observed_seconds: float
    reference_seconds: float
    change_ratio: float


@dataclass(frozen=True, slots=True)
class DriftRule:
    """What counts as drift.

    Attributes:
        limits: By length of the soak, shortest first; the last one that is reached counts.
        newest_seconds: How long a change must have lasted.
        block_seconds: Length of the stretches whose medians are compared: longer than what noise
            remembers.
        warm_up_seconds: What is left out at the beginning.
    """

    limits: tuple[DriftLimit, ...]
    newest_seconds: float
    block_seconds: float
    warm_up_seconds: float


STEADY = DriftRule(
    limits=(
        DriftLimit(5.5 * _HOUR, 1.5 * _HOUR, change_ratio=1.3),
        DriftLimit(27 * _HOUR, 24 * _HOUR, change_ratio=1.15),
        DriftLimit(72 * _HOUR, 36 * _HOUR, change_ratio=1.1),
    ),
    newest_seconds=3 * _HOUR,
    block_seconds=0.5 * _HOUR,
    warm_up_seconds=0.5 * _HOUR,
)
"""For a constant load on a host that may be shared: nobody knows on the first day what a day is
like, so only large changes count then. Chosen on other soaks of the models of the
``drift_detection`` benchmark than those whose rates are in docs/drift.md."""


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """The judgement on one figure of a soak.

    Attributes:
        verdict: See `Drift`.
        ratio: Median of the newest hours over the median of the reference, in total and not per
            day; None if not known.
        interval: Least and largest ratio of a half hour of the newest to one of the reference,
            the extreme 5 % of each left out.
        since_seconds: When the half hour began from which on at least half of the change was
            there, on the axis of the windows: the time of a step, the middle of a creep. None
            without drift.
        reasons: Sentences with figure, limit and next step.
    """

    verdict: Drift
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    since_seconds: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shift:
    """How the newest blocks differ from the reference, of many soaks: logarithms of ratios."""

    middle: Floats
    least: Floats
    largest: Floats

    def slower(self, limit: DriftLimit) -> Bools:
        """Say of each soak whether it became slower by the limit."""
        size = math.log(limit.change_ratio)
        return np.asarray((self.middle >= size) & (self.least > _MARGIN * size))

    def faster(self, limit: DriftLimit) -> Bools:
        """Say of each soak whether it became faster by the limit."""
        size = -math.log(limit.change_ratio)
        return np.asarray((self.middle <= size) & (self.largest < _MARGIN * size))


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Stretches of one soak that trusted windows cover, oldest first: a figure for each.

    The level is the logarithm of the median service time, so that twice and half weigh the same.
    """

    start_seconds: Floats
    covered_seconds: Floats
    level: Floats
    load: Floats

    def chosen(self, places: Bools) -> "_Blocks":
        return _Blocks(*(getattr(self, field.name)[places] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class _Look:
    """What is compared with what."""

    reference: _Blocks
    newest: _Blocks
    limit: DriftLimit
    reference_seconds: float


def judge_drift(
    windows: Sequence[SoakWindow], *, percentile: Percentile = "p50", rule: DriftRule = STEADY
) -> DriftVerdict:
    """Judge whether a soak became slower or faster than it was in its beginning.

    Give all windows of one life of the target, thinned by `soak.thin_windows`: with the newest
    day and a half alone no change of less than 15 % is ever called.

    Args:
        windows: Oldest first; windows that are not trusted, or in which nothing succeeded, are
            left out, and some may be missing.
        percentile: Which service time is judged.
        rule: What counts as drift.

    Raises:
        ValueError: If a figure is NaN or infinite, a service time is not positive, times do not
            ascend, or a length is not positive.
    """
    check_windows(windows)
    if not windows:
        return _unknown("no window has ended yet; soak longer")
    begin = windows[0].at_seconds - windows[0].seconds + rule.warm_up_seconds
    end = windows[-1].at_seconds // rule.block_seconds * rule.block_seconds
    reached = limit_at(end - begin, rule)
    if reached is None:
        return _unknown(
            f"observed for {format_seconds(max(end - begin, 0.0))} after the warm-up (limit "
            f"{format_seconds(rule.limits[0].observed_seconds)}); soak longer"
        )
    limit, length = reached
    warm = [window for window in windows if window.at_seconds - window.seconds >= begin]
    blocks = _blocks(warm, percentile, rule.block_seconds)
    blocks = blocks.chosen(blocks.start_seconds < end)  # the last one has not ended yet
    start = blocks.start_seconds
    look = _Look(
        blocks.chosen(start < begin + length),
        blocks.chosen(start >= end - rule.newest_seconds),
        limit,
        length,
    )
    missing = (
        _missing(look.reference, length, f"the first {format_seconds(length)}")
        or _missing(look.newest, rule.newest_seconds, _newest(rule))
        or _other_load(look)
    )
    return _unknown(missing) if missing else _verdict(look, blocks, percentile, rule)


def limit_at(observed_seconds: float, rule: DriftRule) -> tuple[DriftLimit, float] | None:
    """Return the limit for a soak of this length, and the length of its reference in seconds."""
    reached = [limit for limit in rule.limits if observed_seconds >= limit.observed_seconds]
    if not reached:
        return None
    length = max(reached[-1].reference_seconds, _REFERENCE_SHARE * observed_seconds)
    return reached[-1], length


def shift(reference: Floats, newest: Floats) -> Shift:
    """Compare blocks of many soaks.

    Args:
        reference: Logarithms of the medians, soaks by blocks.
        newest: The same for the newest blocks.
    """
    ends = (_EXTREMES, 1 - _EXTREMES)
    low, high = np.quantile(reference, ends, axis=1)
    least, largest = np.quantile(newest, ends, axis=1)
    return Shift(
        np.median(newest, axis=1) - np.median(reference, axis=1), least - high, largest - low
    )


def _blocks(
    windows: Sequence[SoakWindow], percentile: Percentile, block_seconds: float
) -> _Blocks:
    """Reduce trusted windows to medians of blocks, on a grid that does not move with the end."""
    name = f"service_{percentile}_seconds"
    known = [window for window in windows if window.trusted and getattr(window, name) is not None]
    service = np.array([getattr(window, name) for window in known], dtype=np.float64)
    if (service <= 0).any():
        raise ValueError(f"{name} is {service.min()!r} in a window; it must be > 0")
    seconds = np.array([window.seconds for window in known])
    middle = np.array([window.at_seconds for window in known]) - seconds / 2
    # A hair less: the middle of a window must not round up into the next block.
    block = np.floor(middle / block_seconds + 1e-9)
    order = np.lexsort((service, block))
    number, first, count = np.unique(block[order], return_index=True, return_counts=True)
    ranked = np.log(service[order])
    level = (ranked[first + (count - 1) // 2] + ranked[first + count // 2]) / 2
    place = np.searchsorted(number, block)
    covered = np.bincount(place, seconds, len(number)).astype(np.float64)
    load = np.array([window.load for window in known]) * seconds
    enough = covered >= _LEAST_COVERED_BLOCK * block_seconds
    found = _Blocks(
        number * block_seconds, covered, level, np.bincount(place, load, len(number)) / covered
    )
    return found.chosen(enough)


def _missing(blocks: _Blocks, seconds: float, which: str) -> str:
    """Say what is missing of a stretch of the soak, if too much is."""
    covered = float(blocks.covered_seconds.sum()) / seconds
    if covered >= _LEAST_COVERED and len(blocks.covered_seconds) >= _FEWEST_BLOCKS:
        return ""
    return (
        f"trusted windows cover {covered:.0%} of {which} (limit {_LEAST_COVERED:.0%}); soak "
        "longer, with fewer pauses or on a quieter host"
    )


def _other_load(look: _Look) -> str:
    before, now = float(np.median(look.reference.load)), float(np.median(look.newest.load))
    if abs(now - before) <= _MOST_LOAD_CHANGE * before:
        return ""
    return (
        f"the load was {format_rate(before)} and is {format_rate(now)} (limit "
        f"{_MOST_LOAD_CHANGE:.0%} of difference): latency follows it; soak at a constant rate"
    )


def _verdict(
    look: _Look, blocks: _Blocks, percentile: Percentile, rule: DriftRule
) -> DriftVerdict:
    found = shift(look.reference.level[None], look.newest.level[None])
    ratio = math.exp(found.middle[0])
    interval = (math.exp(found.least[0]), math.exp(found.largest[0]))
    verdict = _called(found, look.limit, rule)
    since = _since(look, blocks) if verdict in ("slower", "faster") else None
    which = "median" if percentile == "p50" else "99th percentile of the"
    figures = (
        f"the {which} service time is {_median(look.newest)} in {_newest(rule)} "
        f"and was {_median(look.reference)} in the first "
        f"{format_seconds(look.reference_seconds)}: {ratio:.3g} times as much, "
        f"{interval[0]:.3g} to {interval[1]:.3g} but for extremes (limit "
        f"{look.limit.change_ratio:g} after {format_seconds(look.limit.observed_seconds)})"
    )
    if since is not None:
        ago = format_seconds(blocks.start_seconds[-1] + rule.block_seconds - since)
        figures += f", half of it since {ago} ago; look at what changed: version, data, neighbours"
    elif verdict == "unknown":
        figures += ": it may be the time of day; soak longer"
    return DriftVerdict(verdict, ratio, interval, since, (figures,))


def _called(found: Shift, limit: DriftLimit, rule: DriftRule) -> Drift:
    if found.slower(limit)[0]:
        return "slower"
    if found.faster(limit)[0]:
        return "faster"
    small = rule.limits[-1]
    return "unknown" if (found.slower(small) | found.faster(small))[0] else "none"


def _since(look: _Look, blocks: _Blocks) -> float:
    """Return the start of the first block from which on half of the change was there for good."""
    before, now = np.median(look.reference.level), np.median(look.newest.level)
    changed = (blocks.level - before) / (now - before) > _HALF
    before_it = np.flatnonzero(~changed)[-1]
    return float(blocks.start_seconds[min(before_it + 1, len(changed) - 1)])


def _median(blocks: _Blocks) -> str:
    return format_seconds(math.exp(np.median(blocks.level)))


def _newest(rule: DriftRule) -> str:
    return f"the newest {format_seconds(rule.newest_seconds)}"


def _unknown(reason: str) -> DriftVerdict:
    return DriftVerdict("unknown", reasons=(reason,))
