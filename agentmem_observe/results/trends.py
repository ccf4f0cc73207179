"""Each figure of a history over time: where it changed, and how the newest runs are judged."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from agentmem_observe.analysis.changes import (
    STANDARD,
    Change,
    HistoryRule,
    HistoryVerdict,
    Verdict,
    judge_history,
    moved,
)
from agentmem_observe.results.figures import Figure
from agentmem_observe.results.history import History, PastRun, name_of
from agentmem_observe.results.identity import RunIdentity, differing
from agentmem_observe.results.metric_rules import MetricRule, judged

_HOST = ("host", "CPU model", "cores", "usable cores", "machine", "container")
"""Of the circumstances of a run: where one of these changes, a history begins anew. Versions, that
of Python and of the kernel too, are what a history is there to judge."""


@dataclass(frozen=True, slots=True)
class Break:
    """Where a history begins anew.

    Attributes:
        index: Of the first run on the other host.
        differences: What is different there, for people.
    """

    index: int
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """One figure over time.

    Attributes:
        identity: What the runs are of.
        path: The figure's, in the results.
        figure: Its name, unit and direction.
        runs: Those that have it, oldest first.
        breaks: Where the history began anew.
        judgement: Of the newest runs, with all changes since the last break; indices are of
            ``runs``.
        earlier: Changes before the last break.
        threshold_ratio: From what change on it matters.
    """

    identity: RunIdentity
    path: str
    figure: Figure
    runs: tuple[PastRun, ...]
    breaks: tuple[Break, ...]
    judgement: HistoryVerdict
    earlier: tuple[Change, ...]
    threshold_ratio: float

    @property
    def name(self) -> str:
        """Return ``category.benchmark.path``."""
        return name_of(self.identity, self.path)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on the newest runs."""
        return self.judgement.verdict

    @property
    def values(self) -> list[float]:
        """Return the figure in each run."""
        return [run.figures[self.path] for run in self.runs]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return all changes, oldest first."""
        return self.earlier + self.judgement.changes

    @property
    def times_worse(self) -> float:
        """Return how many times worse the newest runs are; below 1 if they are better."""
        size = self.judgement.size
        if size is None:
            return 1.0
        return 1 + size.ratio if self.figure.better == "lower" else 1 / (1 + size.ratio)

    @property
    def since(self) -> PastRun | None:
        """Return the first run after the first change that is fresh; None without one."""
        index = self.judgement.since
        return None if index is None else self.runs[index]

    def also_changed(self, change: Change) -> list[str]:
        """Return what else is different from a change on, such as versions, for people."""
        before, after = self.runs[change.index - 1], self.runs[change.index]
        return differing([after.circumstances], [before.circumstances])


def trends_of(
    history: History, metrics: Sequence[MetricRule] = (), rule: HistoryRule = STANDARD
) -> Iterator[Trend]:
    """Judge every figure of a history.

    A figure that is not above 0 in every run has no relative change, and is left out.

    Args:
        history: What was read.
        metrics: What somebody says of some figures; if anything, others are left out.
        rule: What counts as a change; a figure may have a threshold of its own.
    """
    for identity, runs in history.runs.items():
        for path in dict.fromkeys(path for run in runs for path in run.figures):
            having = tuple(run for run in runs if path in run.figures)
            if all(run.figures[path] > 0 for run in having):
                asked = judged(name_of(identity, path), path, metrics, rule.threshold_ratio)
                assert asked is not None  # it was when it was read
                own = replace(rule, threshold_ratio=asked.threshold)
                yield _trend(identity, path, asked.figure, having, own)


def overall(trends: Sequence[Trend]) -> Verdict:
    """Return the verdict on many figures together.

    One that is worse makes all worse; else one that is better makes them better. Those that are
    too noisy to tell say nothing beside others that are the same.
    """
    given = {trend.verdict for trend in trends}
    order: tuple[Verdict, ...] = ("worse", "better", "same")
    return next((verdict for verdict in order if verdict in given), "inconclusive")


def by_importance(trends: Sequence[Trend]) -> list[Trend]:
    """Return trends, those first that people should look at first: the worst, then the best."""
    order: dict[Verdict, int] = {"worse": 0, "better": 1, "inconclusive": 2, "same": 3}
    return sorted(
        trends,
        key=lambda trend: (
            order[trend.verdict],
            not trend.changes,
            -abs(math.log(trend.times_worse)),
            trend.name,
        ),
    )


def _trend(
    identity: RunIdentity,
    path: str,
    figure: Figure,
    runs: tuple[PastRun, ...],
    rule: HistoryRule,
) -> Trend:
    assert figure.better != ""  # only what can be judged is read
    breaks = tuple(_breaks(runs))
    ends = [0, *(each.index for each in breaks), len(runs)]
    verdicts = []
    for begin, end in pairwise(ends):
        levels = [math.log(run.figures[path]) for run in runs[begin:end]]
        verdicts.append(moved(judge_history(levels, figure.better, rule), begin))
    *past, newest = verdicts
    earlier = tuple(change for verdict in past for change in verdict.changes)
    return Trend(identity, path, figure, runs, breaks, newest, earlier, rule.threshold_ratio)


def _breaks(runs: Sequence[PastRun]) -> Iterator[Break]:
    for index, (before, after) in enumerate(pairwise(runs), 1):
        # Nearly always the very same object: reading shares them.
        if before.circumstances is not after.circumstances and (
            found := differing([_host(after.circumstances)], [_host(before.circumstances)])
        ):
            yield Break(index, tuple(found))


def _host(found: Mapping[str, str]) -> dict[str, str]:
    """Return what tells one host from another; a container's name is a new one each time."""
    return {
        name: found[name]
        for name in _HOST
        if name in found and not (name == "host" and "container" in found)
    }
