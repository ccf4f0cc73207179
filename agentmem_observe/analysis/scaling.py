"""How throughput follows the number of agents.

Measured points go in, a law's parameters with intervals come out, or a refusal with its reason.

numpy is all it needs. Gunther's law is linear in its parameters once agents are divided by
throughput, so a fit is four least-squares solutions, not a search; and Student's distribution is
a short sum, where importing scipy.stats would cost most of a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from agentmem_observe.units import format_rate

Floats = npt.NDArray[np.float64]

CONFIDENCE_RATIO = 0.95
"""How often an interval shall hold the truth."""

FEWEST_AGENT_COUNTS = 4
"""Distinct numbers of agents. Three determine the law's three parameters and leave nothing to
tell how well they fit."""

LARGEST_MISFIT_RATIO = 0.10
"""Relative distance between law and measured throughput, root mean square over the numbers of
agents. Repeated runs scatter by 2 to 5 %; the hard knee of a serial share of 0.02 to 0.2, which
the law does not have, makes it miss by 11 to 22 % at 1, 10, 50, 100 and 500 agents."""

SATURATION_STRETCH = 2.0
"""Times its unloaded service time that an operation takes before its target counts as saturated.
By then a serial section never idles if its times are constant, and less than 2 % of the time if
they are exponential (machine-repairman formula, any share)."""

PLATEAU_RATIO = 0.10
"""Throughputs within this share of the highest make up the plateau. Below it the section was
not yet busy, or agents did more than wait for each other."""

_SMALLEST_NOISE_RATIO = 1e-6  # no throughput is known better; keeps rounding from looking certain


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the interval around it.

    Attributes:
        value: The best single figure.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer.

    Attributes:
        reason: One sentence: what is missing or contradicts, and what to do.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class UslFit:
    """Gunther's Universal Scalability Law, X(N) = rate N / (1 + c (N-1) + k N (N-1)).

    Attributes:
        rate: Throughput of one agent, operations per second.
        contention: c, also called sigma: the cost of waiting for each other, >= 0.
        coherence: k, also called kappa: the cost of agreeing with each other, >= 0.
        peak_agents: Agents at the highest throughput, >= 1; extrapolated if beyond those
            measured. None if ``coherence`` may be 0: then no peak is in sight.
        peak_throughput: Throughput there; None with ``peak_agents``.
        misfit_ratio: Relative distance between law and measured throughput, root mean square
            over the numbers of agents.
    """

    rate: Estimate
    contention: Estimate
    coherence: Estimate
    peak_agents: Estimate | None
    peak_throughput: Estimate | None
    misfit_ratio: float

    def throughput(self, agents: float) -> float:
        """Return what the law says of a number of agents (>= 1), in operations per second."""
        return usl_throughput(agents, self.rate.value, self.contention.value, self.coherence.value)


def usl_throughput(agents: float, rate: float, contention: float, coherence: float) -> float:
    """Return what the Universal Scalability Law says, in operations per second.

    Args:
        agents: How many, >= 1.
        rate: Throughput of one agent, operations per second.
        contention: The cost of waiting for each other, >= 0.
        coherence: The cost of agreeing with each other, >= 0.

    Examples:
        >>> usl_throughput(10, rate=100.0, contention=1.0, coherence=0.0)
        100.0
    """
    others = agents - 1
    return rate * agents / (1 + contention * others + coherence * agents * others)


def fit_usl(agents: Sequence[int], throughputs: Sequence[float]) -> UslFit | Refusal:
    """Fit the Universal Scalability Law to throughput in a closed loop.

    Relative errors count, so that 3 % at one agent weigh as much as 3 % at 500. Intervals
    (`CONFIDENCE_RATIO`) come from the delta method on the logarithm of the throughput, with
    Student's t for the few points there are: five points leave two residuals, too few to
    resample. They are cut off at 0, where they hold the truth more often than they say.

    Args:
        agents: Number of agents of each run, >= 1; repeated runs are welcome.
        throughputs: Operations per second of each run, >= 0.

    Returns:
        The fit, or a refusal if there are fewer than `FEWEST_AGENT_COUNTS` numbers of agents, if
        nothing was done in a run, or if the law misses by more than `LARGEST_MISFIT_RATIO`.

    Raises:
        ValueError: If lengths differ or a figure is out of its range.

    Examples:
        >>> agents = [1, 10, 50, 100, 500]
        >>> fit = fit_usl(agents, [100 * n / (1 + 0.1 * (n - 1)) for n in agents])
        >>> round(fit.rate.value, 3), round(fit.contention.value, 6), fit.peak_agents
        (100.0, 0.1, None)
        >>> fit_usl([1, 2, 3], [100, 190, 270])
        Refusal(reason='3 numbers of agents; the law has three parameters and takes at least 4')
    """
    counts, rates = _checked(agents, throughputs)
    distinct = np.unique(counts)
    if len(distinct) < FEWEST_AGENT_COUNTS:
        return Refusal(
            f"{len(distinct)} numbers of agents; the law has three parameters and takes at least "
            f"{FEWEST_AGENT_COUNTS}"
        )
    if idle := _nothing_done(counts, rates):
        return idle
    cost = _costs(counts, counts / rates)
    if cost[0] <= 0:
        return Refusal(
            "agents slow each other down so steeply that nothing would be left for one alone; "
            "measure with one agent"
        )
    residuals = np.log(rates) - np.log(counts / (_columns(counts) @ cost))
    misses = _mean_by(counts, residuals)
    misfit = float(np.sqrt(np.mean(misses**2)))
    if misfit > LARGEST_MISFIT_RATIO:
        return _contradiction(distinct, _mean_by(counts, np.log(rates)), misses, misfit)
    return _with_intervals(counts, cost, residuals, misfit)


def _checked(xs: Sequence[float], ys: Sequence[float]) -> tuple[Floats, Floats]:
    counts, rates = np.asarray(xs, np.float64), np.asarray(ys, np.float64)
    if counts.ndim != 1 or counts.shape != rates.shape:
        raise ValueError(
            f"{len(xs)} numbers of agents and {len(ys)} throughputs; give one for one"
        )
    if not (np.isfinite(counts) & (counts >= 1)).all():
        raise ValueError(f"numbers of agents must be >= 1, not {list(xs)!r}")
    if not (np.isfinite(rates) & (rates >= 0)).all():
        raise ValueError(f"throughputs must be >= 0 and finite, not {list(ys)!r}")
    return counts, rates


def _nothing_done(counts: Floats, rates: Floats) -> Refusal | None:
    idle = counts[rates == 0]
    if not len(idle):
        return None
    return Refusal(f"no operation succeeded with {idle[0]:.0f} agents; see the errors of that run")


def _columns(counts: Floats) -> Floats:
    others = counts - 1
    return np.column_stack([np.ones_like(counts), others, counts * others])


def _costs(counts: Floats, seconds: Floats) -> Floats:
    """Solve seconds = p + q (N-1) + r N (N-1) for p and for q, r >= 0, by relative least squares.

    ``seconds`` is N/X(N): what one operation takes in the whole. Leaving out each set of
    parameters in turn is exact, as for any non-negative least squares this small.
    """
    # Measured values as weights favour the small ones, for all parameters alike; the shift at the
    # end takes that out.
    relative = _columns(counts) / seconds[:, np.newaxis]
    scale = np.linalg.norm(relative, axis=0)
    scale[scale == 0] = 1
    best, least = np.array([1.0, 0.0, 0.0]), math.inf
    for kept in ([0, 1, 2], [0, 1], [0, 2], [0]):
        cost = np.zeros(3)
        chosen = relative[:, kept] / scale[kept]
        cost[kept] = np.linalg.lstsq(chosen, np.ones_like(seconds), rcond=None)[0] / scale[kept]
        error = float(np.sum((relative @ cost - 1) ** 2))
        if (cost[1:] >= 0).all() and error < least:
            best, least = cost, error
    if best[0] <= 0:
        return best
    best *= math.exp(np.mean(np.log(seconds / (_columns(counts) @ best))))
    return best


def _mean_by(counts: Floats, values: Floats) -> Floats:
    """Return the mean of the values of each distinct count, counts ascending."""
    _, place = np.unique(counts, return_inverse=True)
    means: Floats = np.bincount(place, weights=values) / np.bincount(place)
    return means


def _contradiction(distinct: Floats, logs: Floats, misses: Floats, misfit: float) -> Refusal:
    worst = int(np.argmax(np.abs(misses)))
    each = logs - np.log(distinct)
    superlinear = each.max() - each[0] > LARGEST_MISFIT_RATIO
    advice = (
        "throughput per agent grows, which no cost of sharing explains; warm up longer"
        if superlinear
        else "a single serial section bends more sharply than the law, and its share can still be "
        "named; or runs are too short or too noisy to agree"
    )
    return Refusal(
        f"the law misses the measured throughput by {misfit:.0%} (limit "
        f"{LARGEST_MISFIT_RATIO:.0%}), most at {distinct[worst]:.0f} agents: "
        f"{format_rate(math.exp(logs[worst]))} where it has "
        f"{format_rate(math.exp(logs[worst] - misses[worst]))}: {advice}"
    )


def _with_intervals(counts: Floats, cost: Floats, residuals: Floats, misfit: float) -> UslFit:
    rate, contention, coherence = 1 / cost[0], cost[1] / cost[0], cost[2] / cost[0]
    covariance = _covariance(counts, contention, coherence, residuals)
    widest = student_t(len(counts) - 3)
    spread = widest * np.sqrt(np.diag(covariance))
    sigma = _not_negative(contention, spread[1])
    kappa = _not_negative(coherence, spread[2])
    fit = UslFit(_scaled(rate, spread[0]), sigma, kappa, None, None, misfit)
    if kappa.low == 0:
        return fit
    peak = _peak(sigma, kappa, widest, covariance)
    # At the top a shift of the peak itself changes nothing: only the law's height is unsure.
    gradient = _gradient(np.array([peak.value]), contention, coherence)[0]
    spread_of_height = widest * math.sqrt(gradient @ covariance @ gradient)
    height = _scaled(fit.throughput(peak.value), spread_of_height)
    return replace(fit, peak_agents=peak, peak_throughput=height)


def _gradient(counts: Floats, contention: float, coherence: float) -> Floats:
    """Return how log X(N) moves with log rate, contention and coherence; a row per count."""
    columns = _columns(counts)
    moves: Floats = columns / -(columns @ np.array([1.0, contention, coherence]))[:, np.newaxis]
    moves[:, 0] = 1
    return moves


def _covariance(counts: Floats, contention: float, coherence: float, residuals: Floats) -> Floats:
    gradient = _gradient(counts, contention, coherence)
    repeats = np.unique(counts, return_counts=True)[1]
    variance = max(
        float(np.sum(residuals**2)) / (len(counts) - 3),
        # What the law misses is the same in all repeats of one count: they must not vote it down.
        float(np.sum(repeats * _mean_by(counts, residuals) ** 2)) / (len(repeats) - 3),
        _SMALLEST_NOISE_RATIO**2,
    )
    scale = np.linalg.norm(gradient, axis=0)
    unit = gradient / scale
    covariance: Floats = variance * np.linalg.inv(unit.T @ unit) / np.outer(scale, scale)
    return covariance


def _not_negative(value: float, spread: float) -> Estimate:
    return Estimate(float(value), float(max(0.0, value - spread)), float(value + spread))


def _scaled(value: float, spread: float) -> Estimate:
    return Estimate(
        float(value), float(value * math.exp(-spread)), float(value * math.exp(spread))
    )


def _peak(sigma: Estimate, kappa: Estimate, widest: float, covariance: Floats) -> Estimate:
    """Return sqrt((1 - sigma) / kappa), at least 1; ``kappa.low`` is positive."""
    if sigma.value >= 1:  # throughput falls from the second agent on
        return Estimate(1.0, 1.0, max(1.0, math.sqrt(max(0.0, 1 - sigma.low) / kappa.low)))
    gradient = np.array([0.0, -0.5 / (1 - sigma.value), -0.5 / kappa.value])
    spread = widest * math.sqrt(gradient @ covariance @ gradient)
    peak = _scaled(math.sqrt((1 - sigma.value) / kappa.value), spread)
    return Estimate(max(1.0, peak.value), max(1.0, peak.low), max(1.0, peak.high))


def student_t(freedom: int) -> float:
    """Return Student's t that a share of `CONFIDENCE_RATIO` lies within, on both sides of 0.

    Args:
        freedom: Degrees of freedom, >= 1.

    Examples:
        >>> [round(student_t(freedom), 3) for freedom in (1, 2, 5, 30)]
        [12.706, 4.303, 2.571, 2.042]
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _within(middle, freedom) < CONFIDENCE_RATIO:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Return P(|t| < sqrt(freedom) tan(angle)); Abramowitz and Stegun 26.7.3 and 26.7.4."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * step / (step + 1)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def scaling_efficiency(agents: Sequence[int], throughputs: Sequence[float]) -> list[float]:
    """Return X(N) / (N X(1)) of each run: 1 if agents do not slow each other down.

    Args:
        agents: Number of agents of each run, >= 1; at least one run with one agent.
        throughputs: Operations per second of each run, >= 0. That of one agent is the geometric
            mean of its runs.

    Raises:
        ValueError: If no operation is known to succeed with one agent, or as in `fit_usl`.

    Examples:
        >>> scaling_efficiency([1, 10, 50], [100.0, 900.0, 2500.0])
        [1.0, 0.9, 0.5]
    """
    counts, rates = _checked(agents, throughputs)
    alone = rates[counts == 1]
    if not len(alone) or not alone.all():
        raise ValueError("scaling efficiency needs the throughput of one agent")
    reference = alone[0] if len(alone) == 1 else math.exp(np.mean(np.log(alone)))
    return [float(ratio) for ratio in rates / (counts * reference)]


@dataclass(frozen=True, slots=True)
class SerialShare:
    """The part of an operation that only one agent at a time can be in.

    Attributes:
        ratio: Share of the unloaded service time, 0 to 1.
        low: Lower end of its interval; None if only one number of agents saturated the target.
        high: Upper end.
        agents: The numbers of agents it was read from.
    """

    ratio: float
    low: float | None
    high: float | None
    agents: tuple[int, ...]


def serial_share(
    agents: Sequence[int], throughputs: Sequence[float], service_seconds: float
) -> SerialShare | Refusal:
    """Name the serial section's share by the utilisation law, from a closed loop without pauses.

    A section that takes s of each operation's S seconds lets 1/(s S) operations a second through,
    whatever the distribution of the times, and with enough agents it does let that many through:
    on the plateau s = 1/(X S). The contention of `fit_usl` means the same, but assumes that all
    agents queue at once; where they do not, it misses by up to 80 % (docs/scaling.md).

    It is the share of the one resource that fills up first. If that is a CPU rather than a lock,
    n of them look like a share of 1/n; `bottleneck.find_bottleneck` tells which it is.

    Args:
        agents: Number of agents of each run, >= 1.
        throughputs: Operations per second of each run, >= 0.
        service_seconds: Mean service time with one agent, as measured, > 0. The scripted one
            will not do: sleeping overshoots.

    Returns:
        The share, or a refusal if the target was never saturated (`SATURATION_STRETCH`; the
        reason has an upper limit), or if agents cost each other more than waiting.

    Raises:
        ValueError: If a figure is out of its range.

    Examples:
        >>> agents = [1, 10, 50, 100]
        >>> share = serial_share(agents, [min(n / 0.02, 1 / 0.004) for n in agents], 0.02)
        >>> round(share.ratio, 6), share.agents
        (0.2, (10, 50, 100))
        >>> print(serial_share([1, 4], [100, 380], 0.01).reason)
        the target was never saturated: with 4 agents an operation takes 1.1 times as long as \
alone (2.0 needed); its serial share is at most 0.26; measure with 8 agents or more
    """
    counts, rates = _checked(agents, throughputs)
    if not 0 < service_seconds < math.inf:
        raise ValueError(f"service_seconds must be > 0, not {service_seconds!r}")
    if not len(counts):
        return Refusal("nothing was measured")
    if idle := _nothing_done(counts, rates):
        return idle
    distinct = np.unique(counts)
    shares = np.exp(-_mean_by(counts, np.log(rates))) / service_seconds
    stretches = distinct * shares
    saturated = stretches >= SATURATION_STRETCH
    at_most = float(shares.min())
    if not saturated.any():
        return Refusal(
            f"the target was never saturated: with {distinct[-1]:.0f} agents an operation takes "
            f"{stretches[-1]:.1f} times as long as alone ({SATURATION_STRETCH} needed); its "
            f"serial share is at most {at_most:.2g}; measure with "
            f"{math.ceil(SATURATION_STRETCH / at_most)} agents or more"
        )
    least = float(shares[saturated].min())
    if least > (1 + PLATEAU_RATIO) * min(1.0, at_most):
        return Refusal(
            f"a saturated target gets at most {min(1.0, at_most) / least:.0%} of the work done "
            "that fewer agents do: they cost each other more than waiting, which is no serial "
            "section"
        )
    plateau = saturated & (shares <= least * (1 + PLATEAU_RATIO))
    logs = np.log(shares[plateau])
    ratio = math.exp(logs.mean())
    low = high = None
    if len(logs) > 1:
        spread = student_t(len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
        low, high = (min(1.0, ratio * math.exp(side)) for side in (-spread, spread))
    return SerialShare(min(1.0, ratio), low, high, tuple(int(n) for n in distinct[plateau]))
