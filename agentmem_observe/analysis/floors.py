"""What the floor of a memory curve says about steady growth, for one soak or many at once.

Samples become five-minute minima, those become windows, and a line through the windows, less what
settles and less what load and stored bytes explain, becomes evidence. Arrays have a row per soak.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

STEP_SECONDS = 300.0
"""The grid: samples are reduced to minima of five minutes, and a look is taken at each."""

CONSECUTIVE_LOOKS = 3
"""Looks in a row that must agree: one look in sixty is right by chance sooner or later."""

_WINDOW_STEPS = (2, 4, 6)
"""Windows of 10, 20 and 30 minutes. A sawtooth longer than a window leaves teeth in the floor; one
much shorter wastes samples. For each soak the window with the smallest error of slope counts."""

_WARM_UP_SHARE = 0.25
"""Share of the soak that is not looked at. The curve settles in it or not at all."""

_LOAD_LAGS_STEPS = (0.0, 2.0, 5.0)
"""How slowly memory may follow the load: at once, over 10 or 25 minutes; the best fit counts."""

_PAIR_SHARE = 8
"""Pairs of windows an eighth of the judged span apart are compared: far enough to see growth, too
close together for one jump of the allocator to lift most of them."""

_PLAUSIBLE_SQUARES = 2.0
"""A curve with twice the squared residuals of the best one does not describe the soak."""

_LARGEST_AUTOCORRELATION = 0.9
_FEWEST_WINDOWS = 6
_LEAST_INDEPENDENT = 1e-3
"""Share of the time axis that load and stored bytes must leave unexplained to judge growth."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Growth that is called a leak. All of it must be reached.

    Attributes:
        observed_seconds: Length of the soak, warm-up included.
        growth_per_day_ratio: Growth in 24 hours over the size of the floor.
        rising_share: Share of pairs of windows of which the later is higher, as in a Mann-Kendall
            test; 0.5 is chance.
        kept_share: None: what counts is the growth left when all that may settle has settled, and
            it must be certain. A share: growth counts as it is, if this share of it is left then.
    """

    observed_seconds: float
    growth_per_day_ratio: float
    rising_share: float
    kept_share: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """When a floor grows steadily.

    Attributes:
        limits: Reaching one of them is enough.
        errors: How many standard errors a slope must be above zero to be certain.
        settling_shares: Time constants of growth that dies out, as shares of the soak: a curve is
            fitted for each, and of those that fit the least certain growth counts.
    """

    limits: tuple[Limit, ...]
    errors: float
    settling_shares: tuple[float, ...]

    @property
    def shortest_seconds(self) -> float:
        """Return how long a soak must be to be judged."""
        return min(limit.observed_seconds for limit in self.limits)


_HOUR = 3600.0

PASSIVE = Rule(
    limits=(
        Limit(3.5 * _HOUR, growth_per_day_ratio=0.7, rising_share=0.70),
        Limit(5.0 * _HOUR, growth_per_day_ratio=0.1, rising_share=0.84),
        Limit(5.25 * _HOUR, growth_per_day_ratio=0.4, rising_share=0.80, kept_share=0.2),
    ),
    errors=3.0,
    settling_shares=(0.1, 0.2),
)
"""For RSS or USS of a process that is left alone: large growth early, small growth later and only
if steadier, and medium growth even if noise hides how much of it may still settle. Chosen on seeds
1 and 3 of the ``leak_detection`` benchmark; docs/leaks.md has the rates on another."""

QUIESCED = Rule(
    limits=(Limit(4.5 * _HOUR, growth_per_day_ratio=0.01, rising_share=0.80),),
    errors=8.0,
    settling_shares=(0.05, 0.1, 0.2, 0.3, 0.5),
)
"""For the heap in use after a garbage collection: a tenth of the noise, so smaller growth counts,
and growth that dies out is told by its shape. Chosen on the same seeds."""


@dataclass(frozen=True, slots=True)
class Floors:
    """Five-minute minima, oldest first, on a grid that ends with the last sample.

    Attributes:
        resident_bytes: Minima, soaks by steps; NaN where a step has no sample, for all alike.
        loads: Mean load of each step in any unit, once per lag with which memory may follow it;
            empty if not known.
        stored_bytes: Minima of the bytes stored; None if not known.
    """

    resident_bytes: Floats
    loads: tuple[Floats, ...] = ()
    stored_bytes: Floats | None = None

    @property
    def steps(self) -> int:
        """Return how many steps there are."""
        return int(self.resident_bytes.shape[1])


@dataclass(frozen=True, slots=True)
class Growth:
    """The evidence at one look; each an array with one figure per soak.

    Attributes:
        slope: Growth that neither settles nor follows load or stored bytes, bytes per second.
        error: Its standard error, widened for windows that resemble their neighbours.
        unsettled_slope: The same if nothing is taken to settle.
        floor_bytes: Mean size of the floor.
        rising_share: Share of pairs of which the later is higher.
        independent: Whether load and stored bytes leave anything to judge.
    """

    slope: Floats
    error: Floats
    unsettled_slope: Floats
    floor_bytes: Floats
    rising_share: Floats
    independent: Bools


@dataclass(frozen=True, slots=True)
class _Line:
    slope: Floats
    error: Floats
    residuals: Floats
    independent: Bools
    rises_with_last_driver: Bools


def reduce_samples(
    at_seconds: Floats,
    resident_bytes: Floats,
    load: Floats | None = None,
    stored_bytes: Floats | None = None,
) -> Floors:
    """Reduce samples to five-minute minima.

    Args:
        at_seconds: Times of the samples, ascending, common to all soaks; gaps are fine.
        resident_bytes: Soaks by samples.
        load: The same for the load.
        stored_bytes: The same for the bytes stored.
    """
    before_end = at_seconds[-1] - at_seconds
    # The last step is the one that ends with the last sample: a look never has a partial step.
    from_end = np.floor(before_end / STEP_SECONDS + 1e-9).astype(np.int64)
    steps = int(from_end[0]) + 1
    place = steps - 1 - from_end
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    filled = place[starts]
    minima = np.full((len(resident_bytes), steps), np.nan)
    minima[:, filled] = np.minimum.reduceat(resident_bytes, starts, axis=1)
    # The first step is whole only by luck; what is left of it is warm-up anyway.

    def without_gaps(reduced: Floats) -> Floats:
        return np.stack([np.interp(np.arange(steps), filled, row) for row in reduced])

    loads: tuple[Floats, ...] = ()
    least = None
    if load is not None:
        counts = np.diff(starts, append=len(at_seconds))
        means = without_gaps(np.add.reduceat(load, starts, axis=1) / counts)
        loads = tuple(_lagged(means, lag) for lag in _LOAD_LAGS_STEPS)
    if stored_bytes is not None:
        least = without_gaps(np.minimum.reduceat(stored_bytes, starts, axis=1))
    return Floors(minima, loads, least)


def grows(floors: Floors, steps: int, rule: Rule) -> tuple[Bools, Growth]:
    """Look once: say of each soak whether its first steps grow beyond a limit, and the evidence.

    Args:
        floors: The soaks.
        steps: How many of their steps to look at, enough for the rule's shortest limit.
        rule: What counts as growth.

    Raises:
        ValueError: If there are too few steps for a single window.
    """
    growth = _growth(floors, steps, rule)
    reached = np.zeros(len(floors.resident_bytes), dtype=np.bool_)
    for limit in rule.limits:
        if steps * STEP_SECONDS >= limit.observed_seconds:
            reached |= _reaches(growth, limit, rule.errors)
    growing: Bools = reached & growth.independent
    return growing, growth


def first_alarm_seconds(floors: Floors, rule: Rule) -> Floats:
    """Look at soaks every five minutes as they go on; return when each is first called a leak.

    Returns:
        Seconds since the start, infinite where it never is.
    """
    soaks = len(floors.resident_bytes)
    in_a_row = np.zeros(soaks, dtype=np.int64)
    alarm = np.full(soaks, np.inf)
    for steps in range(round(rule.shortest_seconds / STEP_SECONDS), floors.steps + 1):
        growing, _ = grows(floors, steps, rule)
        in_a_row = np.where(growing, in_a_row + 1, 0)
        now = (in_a_row >= CONSECUTIVE_LOOKS) & np.isinf(alarm)
        alarm[now] = steps * STEP_SECONDS
    return alarm


def _reaches(growth: Growth, limit: Limit, errors: float) -> Bools:
    if limit.kept_share is None:
        slope, real = growth.slope, growth.slope > errors * growth.error
    else:
        slope = growth.unsettled_slope
        real = (slope > 0) & (growth.slope > limit.kept_share * slope)
    steady = growth.rising_share >= limit.rising_share
    large = slope * 86_400 >= limit.growth_per_day_ratio * growth.floor_bytes
    reached: Bools = real & steady & large
    return reached


def _growth(floors: Floors, steps: int, rule: Rule) -> Growth:
    by_window = [
        _window_growth(floors, steps, rule, window)
        for window in _WINDOW_STEPS
        if _window_count(steps, window) >= _FEWEST_WINDOWS
    ]
    if not by_window:
        raise ValueError(f"{steps} steps are too few for {_FEWEST_WINDOWS} windows")
    best = np.argmin([error for error, _ in by_window], axis=0)

    def chosen(name: str) -> npt.NDArray[Any]:
        return np.asarray(np.choose(best, [getattr(growth, name) for _, growth in by_window]))

    return Growth(*(chosen(field.name) for field in fields(Growth)))


def _window_count(steps: int, window: int) -> int:
    return (steps - int(steps * _WARM_UP_SHARE) - (window - 1)) // window


def _window_growth(floors: Floors, steps: int, rule: Rule, window: int) -> tuple[Floats, Growth]:
    """Average over all ways to lay windows of one width; return the plain line's error too."""
    count = _window_count(steps, window)
    unsettled, rising, sizes = [], [], []
    settled: list[list[_Line]] = [[] for _ in rule.settling_shares]
    for offset in range(window):
        end = steps - offset
        span = slice(end - count * window, end)
        minima = np.fmin.reduce(_windows(floors.resident_bytes, span, window), axis=2)
        kept = ~np.isnan(minima[0])
        minima = minima[:, kept]
        time = (np.arange(count) * float(window))[kept]
        drivers = list(_drivers(floors, span, window, kept))
        line = _best_line(time, minima, [np.ones_like(time)], drivers)
        unsettled.append(line)
        for lines, share in zip(settled, rule.settling_shares, strict=True):
            basis = [np.ones_like(time), np.exp(-time / (share * steps))]
            lines.append(_best_line(time, minima, basis, drivers))
        explained = line.residuals + line.slope[:, None] * time
        lag = max(1, round(len(time) / _PAIR_SHARE))
        rising.append(explained[:, lag:] > explained[:, :-lag])
        sizes.append(minima.mean(axis=1))
    plain_slope, plain_error, _ = _mean(unsettled)
    slope, error = _least_settled([_mean(lines) for lines in (unsettled, *settled)])
    growth = Growth(
        slope=slope / STEP_SECONDS,
        error=error / STEP_SECONDS,
        unsettled_slope=plain_slope / STEP_SECONDS,
        floor_bytes=np.mean(sizes, axis=0),
        rising_share=np.concatenate(rising, axis=1).mean(axis=1),
        independent=np.all([line.independent for line in unsettled], axis=0),
    )
    return plain_error, growth


def _windows(values: Floats, span: slice, window: int) -> Floats:
    return values[:, span].reshape(len(values), -1, window)


def _mean(lines: Sequence[_Line]) -> tuple[Floats, Floats, Floats]:
    """Return slope, error and squared residuals, averaged over lines."""
    return (
        np.mean([line.slope for line in lines], axis=0),
        np.mean([line.error for line in lines], axis=0),
        np.mean([(line.residuals**2).sum(axis=1) for line in lines], axis=0),
    )


def _least_settled(fits: Sequence[tuple[Floats, Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return slope and error of the least certain growth among the curves that fit.

    Args:
        fits: Slope, error and squares; the straight line first, then those that settle.
    """
    best = np.min([squares for *_, squares in fits], axis=0)
    line_slope = fits[0][0]
    slope, error = np.full_like(best, np.inf), np.ones_like(best)
    for number, (other, other_error, squares) in enumerate(fits):
        fits_well = squares <= _PLAUSIBLE_SQUARES * best
        # Only growth that slows down settles; for growth that speeds up the line stands.
        counts = fits_well & (other < line_slope) if number else fits_well
        less = counts & (other * error < slope * other_error)
        slope, error = np.where(less, other, slope), np.where(less, other_error, error)
    # Nothing left but curves that speed up: the line, as growth that does not settle.
    none = np.isinf(slope)
    return np.where(none, line_slope, slope), np.where(none, fits[0][1], error)


def _drivers(floors: Floors, span: slice, window: int, kept: Bools) -> Iterator[list[Floats]]:
    """Yield sets of what may drive memory: first without the load, then with it at each lag."""
    stored = []
    if floors.stored_bytes is not None:
        stored = [_windows(floors.stored_bytes, span, window).min(axis=2)[:, kept]]
    yield stored
    for load in floors.loads:
        yield [*stored, _windows(load, span, window).mean(axis=2)[:, kept]]


def _lagged(load: Floats, lag_steps: float) -> Floats:
    """Return what follows the load exponentially."""
    if lag_steps == 0:
        return load
    keep = np.exp(-1 / lag_steps)
    followed = load.copy()
    for step in range(1, load.shape[1]):
        followed[:, step] = keep * followed[:, step - 1] + (1 - keep) * load[:, step]
    return followed


def _best_line(
    time: Floats, floor: Floats, basis: list[Floats], driver_sets: Sequence[list[Floats]]
) -> _Line:
    orthonormal, _ = np.linalg.qr(np.column_stack(basis))
    lines = [_line(time, floor, orthonormal, drivers) for drivers in driver_sets]
    if len(lines) == 1:
        return lines[0]
    # Memory that falls as the load rises follows something else, such as a leak in the evening.
    squares = [
        np.where(line.rises_with_last_driver, (line.residuals**2).sum(axis=1), np.inf)
        for line in lines[1:]
    ]
    best = np.where(np.isinf(squares).all(axis=0), 0, 1 + np.argmin(squares, axis=0))
    return _Line(
        np.choose(best, [line.slope for line in lines]),
        np.choose(best, [line.error for line in lines]),
        np.choose(best[:, None], [line.residuals for line in lines]),
        np.choose(best, [line.independent for line in lines]),
        np.ones(len(floor), dtype=np.bool_),
    )


def _line(time: Floats, floor: Floats, basis: Floats, drivers: Sequence[Floats]) -> _Line:
    """Fit floor = slope x time + basis + drivers by least squares, for all soaks at once.

    Time and floor are cleared of everything else first (Frisch-Waugh-Lovell), so that the soaks
    share the factorisation of what they have in common.
    """

    def cleared(values: Floats) -> Floats:
        return np.asarray(values - (values @ basis) @ basis.T)

    left, axis = cleared(floor), np.broadcast_to(cleared(time[None]), floor.shape)
    whole = (axis**2).sum(axis=1)
    floor_alone, axis_alone = left, axis
    directions: list[Floats] = []
    for driver in drivers:
        direction = cleared(driver)
        for earlier in directions:
            direction = direction - _along(direction, earlier)
        # A driver that does not vary drives nothing; what is left of it is rounding.
        varies = (direction**2).sum(axis=1) > 1e-18 * (driver**2).sum(axis=1)
        length = np.sqrt((direction**2).sum(axis=1, keepdims=True))
        direction = np.where(varies[:, None], direction / np.maximum(length, 1e-300), 0.0)
        left, axis = left - _along(left, direction), axis - _along(axis, direction)
        directions.append(direction)
    alone = np.maximum((axis**2).sum(axis=1), 1e-12 * whole)
    slope = (axis * left).sum(axis=1) / alone
    residuals = left - slope[:, None] * axis
    parameters = basis.shape[1] + len(drivers) + 1
    error = _standard_error(residuals, alone, parameters)
    explained = floor_alone - slope[:, None] * axis_alone
    rises = np.ones(len(floor), dtype=np.bool_)
    if directions:
        rises = (explained * directions[-1]).sum(axis=1) > 0
    return _Line(slope, error, residuals, alone > _LEAST_INDEPENDENT * whole, rises)


def _along(values: Floats, direction: Floats) -> Floats:
    return np.asarray((values * direction).sum(axis=1, keepdims=True) * direction)


def _standard_error(residuals: Floats, alone: Floats, parameters: int) -> Floats:
    """Return the error of the slope, as if windows were fewer the more neighbours resemble."""
    windows = residuals.shape[1]
    squares = (residuals**2).sum(axis=1)
    neighbours = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1)
    # The fit takes autocorrelation out of its residuals, about one part in n per parameter.
    alike = neighbours / np.maximum(squares, 1e-300) + parameters / windows
    alike = np.clip(alike, 0.0, _LARGEST_AUTOCORRELATION)
    variance = squares / max(windows - parameters, 1) / alone
    error: Floats = np.sqrt(variance * (1 + alike) / (1 - alike))
    # Never zero: a floor without noise is certain, not undefined.
    return np.maximum(error, 1e-300)
