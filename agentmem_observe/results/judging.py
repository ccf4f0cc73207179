"""Figures of two sides handed to the statistics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agentmem_observe.analysis.compare import MetricChange, MetricRounds, compare_metrics
from agentmem_observe.analysis.verdicts import Better
from agentmem_observe.results.figures import Figure

NOT_COMPARABLE: Final = "not comparable"


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure as both sides measured it.

    Attributes:
        figure: Its unit, and which way is better: "lower" or "higher".
        threshold: From what relative change on it matters.
        baseline: Its value in each round there.
        current: Its value in each round here.
    """

    figure: Figure
    threshold: float
    baseline: tuple[float, ...]
    current: tuple[float, ...]


def judge(measured: Sequence[Measured]) -> list[MetricChange]:
    """Judge figures together: the more there are, the more evidence each of them needs.

    What is the same in all rounds of both sides, as a codec's bytes are, needs no evidence and so
    takes none from the others.

    Args:
        measured: All figures of a comparison.
    """
    rounds = [_rounds(each) for each in measured if not _is_constant(each)]
    tested = iter(compare_metrics(rounds))
    return [_constant(each) if _is_constant(each) else next(tested) for each in measured]


def not_comparable(judgement: MetricChange) -> MetricChange:
    """Return it for sides that differ in more than what is to be judged."""
    return replace(judgement, verdict="inconclusive", reasons=(NOT_COMPARABLE,))


def _is_constant(each: Measured) -> bool:
    several = min(len(each.baseline), len(each.current)) > 1
    return several and len({*each.baseline, *each.current}) == 1


def _constant(each: Measured) -> MetricChange:
    value = float(each.baseline[0])
    return MetricChange(
        each.figure.name,
        "same",
        baseline=value,
        candidate=value,
        change_ratio=0.0,
        interval=(0.0, 0.0),
        p=1.0,
        adjusted_p=1.0,
        reasons=("the same in every round",),
    )


def _rounds(each: Measured) -> MetricRounds:
    better: Better = "lower" if each.figure.better == "lower" else "higher"
    return MetricRounds(each.figure.name, each.baseline, each.current, better, each.threshold)
