"""Whether metrics changed between two sets of rounds: a verdict for each, and how sure it is.

The sampling unit is the round, a run in a fresh process; Welch's t compares the logarithms of
both sides. Mann-Whitney finds 10 % less often where many metrics are judged at once, and t alone
is blinded by one spoilt round in ten; so rounds far off are pulled in first. All metrics of one
call are a family: together they raise a false alarm in at most 1 % of comparisons. How often it is
wrong is measured by the ``judging_errors`` benchmark and told in docs/statistics.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, median

from agentmem_observe.analysis.location import t_quantile, t_tails
from agentmem_observe.analysis.verdicts import Better, Verdict, check_threshold, verdict_of
from agentmem_observe.units import format_change

EVIDENCE = 0.01
"""Chance of a false alarm in a whole family: an adjusted p up to this is evidence."""

INTERVAL_LEVEL = 0.05

FEWEST_TO_PULL_IN = 8
"""Rounds of a side that say well enough what is far off."""

_FAR_DEVIATIONS = 4.0
"""From the median, in deviations that the median absolute deviation makes out. With 3, rounds of a
cloud that are not spoilt lose more than spoilt ones win."""

_FREEDOM_LEFT = 0.82
"""Of the degrees of freedom, when rounds may have been pulled in: simulated, 0.82 to 0.9 for 6 to
20 rounds a side at levels of 0.05 to 0.00005."""

_LEAST_NOISE = 0.005
"""Relative noise of a round, at least. Figures that never vary, such as counts, are not known
better than this: two hosts or two days differ by more."""

_LARGE, _VAST = math.log(10), math.log(1e6)
"""Rounds that find no less than tenfold find nothing; an interval that reaches a million says
nothing."""

_TO_DEVIATION = 1.4826
_POWER = 0.8
_MOST_ROUNDS = 1000
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class MetricRounds:
    """What the rounds of both sides measured of one metric.

    Attributes:
        name: What it is called.
        baseline: A figure for each round; NaN and infinite ones are left out, and counted.
        candidate: The same for the other side, of which the verdict is.
        better: Which direction is wanted.
        threshold: The change that matters, relative, > 0.
    """

    name: str
    baseline: Sequence[float]
    candidate: Sequence[float]
    better: Better = "lower"
    threshold: float = 0.1


@dataclass(frozen=True, slots=True)
class MetricChange:
    """The judgement on one metric.

    Attributes:
        name: What it is called.
        verdict: Of the candidate.
        weak: Whether it is by size alone, since each side has but one round.
        baseline: Typical figure of the baseline; None if it has none.
        candidate: Typical figure of the candidate.
        change_ratio: Candidate over baseline less 1; None if the baseline may be 0.
        interval: What that can be, with 95 % confidence; None if not known.
        p: Chance of a change as large as this between equals; None without evidence either way.
        adjusted_p: The same for the largest of all changes of the family.
        least_change_ratio: Smallest change that so many rounds find in four of five comparisons;
            None if not even tenfold.
        rounds_needed: Rounds a side that find the threshold as often; only if ``inconclusive``
            and known.
        reasons: Sentences with figure, limit and next step.
    """

    name: str
    verdict: Verdict
    weak: bool = False
    baseline: float | None = None
    candidate: float | None = None
    change_ratio: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    adjusted_p: float | None = None
    least_change_ratio: float | None = None
    rounds_needed: int | None = None
    reasons: tuple[str, ...] = ()


def compare_metrics(metrics: Sequence[MetricRounds]) -> tuple[MetricChange, ...]:
    """Judge the metrics of two result sets as one family.

    Positive figures are compared by their ratio. Where one is zero or negative the difference is
    compared, and set against the baseline unless that may be 0 itself.

    Args:
        metrics: All that are judged at once: each one more costs all others some evidence.

    Returns:
        A judgement for each, in their order.

    Raises:
        ValueError: If a threshold is not positive and finite.

    Examples:
        >>> slower = MetricRounds("p50_seconds", [1.00, 1.01, 0.99, 1.0], [1.3, 1.31, 1.29, 1.3])
        >>> [change] = compare_metrics([slower])
        >>> change.verdict, round(change.change_ratio, 3)
        ('worse', 0.3)
        >>> [change] = compare_metrics([MetricRounds("p50_seconds", [1.0], [1.3])])
        >>> change.verdict, change.weak
        ('worse', True)
    """
    for metric in metrics:
        check_threshold(metric.threshold)
    tests = [_tested(metric) for metric in metrics]
    adjusted = iter(holm([test.p for test in tests if test is not None]))
    family = sum(test is not None for test in tests)
    return tuple(
        _by_size(metric) if test is None else _by_evidence(metric, test, next(adjusted), family)
        for metric, test in zip(metrics, tests, strict=True)
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Return p adjusted for all that were asked at once, after Holm.

    Right whatever the metrics of a run have in common, and never less sharp than Bonferroni.

    Examples:
        >>> [round(p, 4) for p in holm([0.01, 0.0001, 0.5])]
        [0.02, 0.0003, 0.5]
    """
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


@dataclass(frozen=True, slots=True)
class _Side:
    """The rounds of one side: logarithms, or plain figures where one is not positive."""

    count: int
    middle: float
    variance: float
    pulled_in: bool


@dataclass(frozen=True, slots=True)
class _Test:
    """Welch's t on one metric."""

    baseline: _Side
    candidate: _Side
    logarithms: bool
    error: float
    freedom: float
    p: float

    @property
    def difference(self) -> float:
        return self.candidate.middle - self.baseline.middle

    @property
    def scale(self) -> float | None:
        """What a difference is set against; None if the baseline may be 0."""
        if self.logarithms:
            return 1.0
        half = t_quantile(INTERVAL_LEVEL, self.freedom) * math.sqrt(
            self.baseline.variance / self.baseline.count
        )
        middle = abs(self.baseline.middle)
        return middle if middle > half else None


def _finite(figures: Sequence[float]) -> list[float]:
    """Sorted, so that the order of rounds does not change as much as the last digit."""
    return sorted(float(figure) for figure in figures if math.isfinite(figure))


def _tested(metric: MetricRounds) -> _Test | None:
    """Return the test, or None if a side has no round or both have but one."""
    before, after = _finite(metric.baseline), _finite(metric.candidate)
    if not before or not after or len(before) + len(after) < 3:
        return None
    logarithms = before[0] > 0 and after[0] > 0
    least_noise = _LEAST_NOISE
    if logarithms:
        before, after = list(map(math.log, before)), list(map(math.log, after))
    else:
        least_noise *= max(abs(fmean(before)), abs(fmean(after)))
    baseline, candidate = _side(before, least_noise), _side(after, least_noise)
    error, freedom = _error(baseline, candidate)
    difference = candidate.middle - baseline.middle
    p = t_tails(difference / error, freedom) if error else 1.0
    return _Test(baseline, candidate, logarithms, error, freedom, p)


def _side(figures: Sequence[float], least_noise: float) -> _Side:
    """Reduce a side to mean and variance, rounds far off pulled in."""
    middle = median(figures)
    far = _FAR_DEVIATIONS * _TO_DEVIATION * median(abs(figure - middle) for figure in figures)
    pulled_in = len(figures) >= FEWEST_TO_PULL_IN and far > 0
    if pulled_in:
        figures = [min(max(figure, middle - far), middle + far) for figure in figures]
    mean = fmean(figures)
    squares = math.fsum((figure - mean) ** 2 for figure in figures)
    variance = squares / (len(figures) - 1) if len(figures) > 1 else 0.0
    return _Side(len(figures), mean, max(variance, least_noise**2), pulled_in)


def _error(baseline: _Side, candidate: _Side) -> tuple[float, float]:
    """Return the standard error of the difference, and its degrees of freedom, after Welch.

    A side of one round has no variance of its own: it is taken to be that of the other.
    """
    counts = baseline.count, candidate.count
    freedom: float
    if 1 in counts:
        larger = max(baseline, candidate, key=lambda side: side.count)
        squares = [larger.variance / count for count in counts]
        freedom = larger.count - 1
    else:
        squares = [side.variance / side.count for side in (baseline, candidate)]
        shares = sum(
            square**2 / (count - 1) for square, count in zip(squares, counts, strict=True)
        )
        freedom = sum(squares) ** 2 / shares if shares else sum(counts) - 2
    if baseline.pulled_in or candidate.pulled_in:
        freedom *= _FREEDOM_LEFT
    return math.sqrt(sum(squares)), freedom


def _by_size(metric: MetricRounds) -> MetricChange:
    """Judge what has no evidence: one round a side, or none."""
    before, after = _finite(metric.baseline), _finite(metric.candidate)
    missing = tuple(_left_out(metric))
    if not before or not after:
        return MetricChange(metric.name, "inconclusive", reasons=missing or ("no rounds",))
    [old], [new] = before, after
    if old > 0 and new > 0:
        size, limit = math.log(new / old), math.log1p(metric.threshold)
    else:
        size = (new - old) / abs(old) if old else math.copysign(math.inf, new) if new else 0.0
        limit = metric.threshold
    verdict = verdict_of(True, (size, size), limit, metric.better)
    change = (new - old) / abs(old) if old else None if new else 0.0
    said = f"{_text(change)}, one round a side"
    if verdict in ("better", "worse"):
        said += ": by size alone, noise may well be as large"
    else:
        verdict = "inconclusive"
        said += ": less than the threshold, but noise may hide more"
    reasons = (f"{said}; measure 10 rounds a side", *missing)
    return MetricChange(metric.name, verdict, True, old, new, change, reasons=reasons)


def _by_evidence(
    metric: MetricRounds, test: _Test, adjusted_p: float, family: int
) -> MetricChange:
    half = t_quantile(INTERVAL_LEVEL, test.freedom) * test.error
    ends = test.difference - half, test.difference + half
    scale = test.scale if test.error else 1.0  # without any noise both sides are 0
    if scale:
        ends = ends[0] / scale, ends[1] / scale
    elif ends[0] > 0:  # how large is not known, only that it is not nothing
        ends = ends[0], math.inf
    else:
        ends = -math.inf, ends[1] if ends[1] < 0 else math.inf
    limit = math.log1p(metric.threshold) if test.logarithms else metric.threshold
    verdict = verdict_of(adjusted_p <= EVIDENCE, ends, limit, metric.better)
    found = MetricChange(
        metric.name,
        verdict,
        baseline=_plain(test.baseline.middle, test),
        candidate=_plain(test.candidate.middle, test),
        p=test.p,
        adjusted_p=adjusted_p,
        rounds_needed=_rounds_needed(metric, test, family) if verdict == "inconclusive" else None,
    )
    if scale:
        least = _least_found(test, family) / scale
        found = replace(
            found,
            change_ratio=_ratio(test.difference / scale, test),
            interval=(_ratio(ends[0], test), _ratio(ends[1], test)) if ends[1] < _VAST else None,
            least_change_ratio=_ratio(least, test) if least < _LARGE else None,
        )
    reasons = (*_reasons(metric, found, test, family), *_left_out(metric))
    return replace(found, reasons=reasons)


def _plain(middle: float, test: _Test) -> float:
    return math.exp(middle) if test.logarithms else middle


def _ratio(size: float, test: _Test) -> float:
    return math.expm1(min(size, 700.0)) if test.logarithms else size


def _least_found(test: _Test, family: int) -> float:
    quantile = t_quantile(EVIDENCE / family, test.freedom) + _NORMAL.inv_cdf(_POWER)
    return quantile * test.error


def _rounds_needed(metric: MetricRounds, test: _Test, family: int) -> int | None:
    """Return how many rounds a side find the threshold, with noise like this."""
    if not test.logarithms or test.baseline.count == 1 or test.candidate.count == 1:
        return None
    deviation = math.sqrt(test.baseline.variance + test.candidate.variance)
    per_limit = deviation / math.log1p(metric.threshold)
    power = _NORMAL.inv_cdf(_POWER)
    # With t for the normal distribution it would be this many; so it is more, but few more.
    fewest = (_NORMAL.inv_cdf(1 - EVIDENCE / family / 2) + power) * per_limit
    for count in range(max(2, math.ceil(fewest**2)), _MOST_ROUNDS + 1):
        freedom = 2 * (count - 1) * (_FREEDOM_LEFT if count >= FEWEST_TO_PULL_IN else 1.0)
        if (t_quantile(EVIDENCE / family, freedom) + power) * per_limit <= math.sqrt(count):
            return count
    return None


def _reasons(metric: MetricRounds, found: MetricChange, test: _Test, family: int) -> list[str]:
    threshold = f"the threshold of {100 * metric.threshold:g} %"
    said = _text(found.change_ratio)
    if found.interval is not None:
        low, high = (format_change(end) for end in found.interval)
        said += f" (95 % interval {low} to {high})"
    said += f", {test.baseline.count} against {test.candidate.count} rounds"
    adjusted_p = found.adjusted_p or 0.0
    among = "p < 1e-6" if adjusted_p < 1e-6 else f"p {adjusted_p:.2g}"
    among += f" among {family} metrics" if family > 1 else ""
    if found.verdict in ("better", "worse"):
        return [f"{said}, {among}"]
    if found.verdict == "same":
        if adjusted_p <= EVIDENCE:
            return [f"{said}: a change, but less than {threshold}; {among}"]
        return [f"{said}: if there is a change, it is less than {threshold}"]
    reasons = [f"{said}, {among}: it may be none, and may reach {threshold}"]
    finds = "next to nothing"
    if found.least_change_ratio is not None:
        finds = format_change(found.least_change_ratio).lstrip("+")
    needed = ""
    if found.rounds_needed is not None:
        needed = f"; {100 * metric.threshold:g} % takes about {found.rounds_needed} a side"
    if found.change_ratio is not None:
        reasons.append(f"so many rounds find {finds} in four of five comparisons{needed}")
    return reasons


def _text(change: float | None) -> str:
    if change is None:
        return "no relative change, since the baseline may be 0"
    return format_change(change)


def _left_out(metric: MetricRounds) -> list[str]:
    sides = (("baseline", metric.baseline), ("candidate", metric.candidate))
    return [
        f"{len(figures) - known} of {len(figures)} rounds of the {side} have no finite figure"
        for side, figures in sides
        if (known := len(_finite(figures))) < len(figures)
    ]
