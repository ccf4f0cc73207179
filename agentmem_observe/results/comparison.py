"""Two sides of results, matched by what they are of and judged figure by figure."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from agentmem_observe.analysis.compare import MetricChange
from agentmem_observe.analysis.verdicts import Verdict
from agentmem_observe.results.figures import Figure, figure_of, last_key
from agentmem_observe.results.identity import RunIdentity, differing
from agentmem_observe.results.judging import Measured, judge, not_comparable
from agentmem_observe.results.metric_rules import MetricRule, check_rules, judged
from agentmem_observe.results.sides import Side, SideRound

VERDICTS: tuple[Verdict, ...] = ("worse", "better", "inconclusive", "same")
"""In the order in which people want to know."""

EXIT_FINE, EXIT_ERROR, EXIT_REGRESSION = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Criteria:
    """What counts as a change.

    Attributes:
        threshold: From what relative change on it matters.
        rules: Which figures are judged, and how; all that the catalog knows if there are none.
        force: Whether to judge results of different hosts or versions too.
    """

    threshold: float = 0.1
    rules: Sequence[MetricRule] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One figure on both sides.

    Attributes:
        identity: What it is of.
        path: The figure's path in results.
        figure: Its unit, and which way is better.
        threshold: From what relative change on it matters.
        baseline: Its value in each round there.
        current: Its value in each round here.
        judgement: What was made of it.
    """

    identity: RunIdentity
    path: str
    figure: Figure
    threshold: float
    baseline: tuple[float, ...]
    current: tuple[float, ...]
    judgement: MetricChange

    @property
    def verdict(self) -> Verdict:
        """Return what it comes to."""
        return self.judgement.verdict

    @property
    def size(self) -> float:
        """Return how large the change is, the same for a factor and its inverse."""
        ratio = self.judgement.change_ratio
        return math.inf if ratio is None or ratio <= -1 else abs(math.log1p(ratio))

    @property
    def middles(self) -> tuple[float, float]:
        """Return the medians of its rounds, there and here."""
        return statistics.median(self.baseline), statistics.median(self.current)


@dataclass(frozen=True, slots=True)
class Alone:
    """What only one side has.

    Attributes:
        identity: What it is of.
        reason: Why the other side has none, as far as it shows; "" if nothing does.
        failed: Whether it was tried there and failed each time.
    """

    identity: RunIdentity
    reason: str
    failed: bool = False


@dataclass
class Comparison:
    """What there is to say about two sides.

    Attributes:
        current: The side that is judged.
        baseline: The side that it is compared with.
        criteria: What counts as a change.
        changes: All judged figures, by verdict, the largest change first.
        missing: Benchmarks that only the baseline has figures of.
        new: Benchmarks that only the current side has figures of.
        missing_figures: Judged figures, with their benchmark's, that only the baseline has.
        new_figures: Those that only the current side has.
        unknown: Names of figures on both sides that are in no table, and how many of each.
        described: How many figures on both sides are not judged by their nature or by rules.
        differences: What differs between the sides that should not, by benchmark.
    """

    current: Side
    baseline: Side
    criteria: Criteria
    changes: list[Change] = field(default_factory=list)
    missing: list[Alone] = field(default_factory=list)
    new: list[Alone] = field(default_factory=list)
    missing_figures: list[tuple[RunIdentity, str]] = field(default_factory=list)
    new_figures: list[tuple[RunIdentity, str]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    described: int = 0
    differences: dict[RunIdentity, list[str]] = field(default_factory=dict)

    def of(self, verdict: Verdict) -> list[Change]:
        """Return the changes of a verdict, the largest first."""
        return [change for change in self.changes if change.verdict == verdict]

    @cached_property
    def counts(self) -> dict[Verdict, int]:
        """Return how many changes there are of each verdict."""
        found = Counter(change.verdict for change in self.changes)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def matched(self) -> list[RunIdentity]:
        """Return what both sides have figures of."""
        return [one for one in self.baseline.rounds if one in self.current.rounds]

    @cached_property
    def labels(self) -> dict[RunIdentity, str]:
        """Return what each benchmark of either side is called here."""
        return labels_of([*self.baseline.rounds, *self.current.rounds])

    @cached_property
    def errors(self) -> list[str]:
        """Return what keeps a clean bill of health from being worth something."""
        damaged = [*self.current.damaged, *self.baseline.damaged]
        found = [f"damaged: {one.reason}" for one in damaged]
        found += [
            f"{self.labels[one.identity]} failed: {one.reason}"
            for one in self.missing
            if one.failed
        ]
        if not self.changes:
            found.append("nothing to compare: the two sides have no judged figure in common")
        return found

    @property
    def exit_code(self) -> int:
        """Return the command's exit code: 2 of a regression, whatever else is wrong."""
        if self.counts["worse"]:
            return EXIT_REGRESSION
        return EXIT_ERROR if self.errors else EXIT_FINE

    @property
    def weak(self) -> int:
        """Return how many changes are judged by size alone."""
        return sum(change.judgement.weak for change in self.changes)


def compare_sides(current: Side, baseline: Side, criteria: Criteria | None = None) -> Comparison:
    """Compare two sides.

    Args:
        current: The side that is judged.
        baseline: What it is compared with.
        criteria: What counts as a change.

    Raises:
        UsageError: If a rule is about nothing that both sides have.
    """
    comparison = Comparison(current, baseline, criteria or Criteria())
    comparison.missing.extend(_alone(baseline, current))
    comparison.new.extend(_alone(current, baseline))
    check_rules(comparison.criteria.rules, list(_in_common(comparison)))
    for identity in comparison.matched:
        if found := _differences(current.rounds[identity], baseline.rounds[identity]):
            comparison.differences[identity] = found
    measured = [each for one in comparison.matched for each in _measured(comparison, one)]
    comparison.changes.extend(_judged(comparison, measured))
    return comparison


def labels_of(identities: Iterable[RunIdentity]) -> dict[RunIdentity, str]:
    """Return a name for each benchmark, no longer than it takes to tell them apart.

    Args:
        identities: Which.

    Examples:
        >>> one = RunIdentity("storage", "read_latency", "embedded", '{"n":1}')
        >>> list(labels_of([one]).values())
        ['storage.read_latency']
        >>> list(labels_of([one, one._replace(params='{"n":2}')]).values())
        ['storage.read_latency (n=1)', 'storage.read_latency (n=2)']
    """
    alike: dict[str, list[RunIdentity]] = {}
    for identity in dict.fromkeys(identities):
        alike.setdefault(f"{identity.category}.{identity.benchmark}", []).append(identity)
    return {
        one: f"{name} ({', '.join(_particulars(one, ones))})" if len(ones) > 1 else name
        for name, ones in alike.items()
        for one in ones
    }


def _particulars(identity: RunIdentity, others: Sequence[RunIdentity]) -> Iterator[str]:
    """Yield what tells one benchmark from others of its name."""
    if len({other.target for other in others}) > 1:
        yield identity.target or "target unknown"
    every = [json.loads(other.params) for other in others]
    for name, value in json.loads(identity.params).items():
        if any(name not in params or params[name] != value for params in every):
            yield f"{name}={json.dumps(value, separators=(',', ':'))}"


def _in_common(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield name and path of every figure that both sides have."""
    for identity in comparison.matched:
        here = paths_of_rounds(comparison.current.rounds[identity])
        for path in paths_of_rounds(comparison.baseline.rounds[identity]):
            if path in here:
                yield figure_name(identity, path), path


def _alone(side: Side, other: Side) -> Iterator[Alone]:
    """Yield what a side has and the other has not, with the reason."""
    for identity in side.rounds:
        if identity in other.rounds:
            continue
        found = [one for one in other.left_out if one.identity == identity]
        if found:
            causes = Counter(one.cause for one in found)
            reason = ", ".join(f"{count} {cause}" for cause, count in causes.items())
            failed = other.causes(identity) == {"failed"}
            yield Alone(identity, f"{reason}: {found[-1].reason}", failed)
        else:
            yield Alone(identity, _nearest(identity, other.rounds))


def _nearest(identity: RunIdentity, others: Iterable[RunIdentity]) -> str:
    """Say of a benchmark that the other side has it otherwise, if it has."""
    for other in others:
        if other[:2] == identity[:2]:
            here, there = (
                label.partition(" ")[2] for label in labels_of([identity, other]).values()
            )
            return f"the other side has it otherwise: {there}, not {here}"
    return ""


def _differences(ours: Sequence[SideRound], theirs: Sequence[SideRound]) -> list[str]:
    return differing([one.circumstances for one in ours], [one.circumstances for one in theirs])


def paths_of_rounds(rounds: Iterable[SideRound]) -> Mapping[str, None]:
    """Return the paths of all figures that any of some rounds has, in order."""
    return {path: None for one in rounds for path in one.figures}


def figure_name(identity: RunIdentity, path: str) -> str:
    """Return what rules see of a figure: ``category.benchmark.path``."""
    return f"{identity.category}.{identity.benchmark}.{path}"


def _measured(
    comparison: Comparison, identity: RunIdentity
) -> Iterator[tuple[RunIdentity, str, Measured]]:
    """Yield the figures of a benchmark that are to be judged, and note all others."""
    criteria = comparison.criteria
    ours, theirs = comparison.current.rounds[identity], comparison.baseline.rounds[identity]
    here, there = paths_of_rounds(ours), paths_of_rounds(theirs)
    for path in {**there, **here}:
        how = judged(figure_name(identity, path), path, criteria.rules, criteria.threshold)
        if path in here and path in there:
            if how:
                sample = Measured(
                    how.figure, how.threshold, values_of(theirs, path), values_of(ours, path)
                )
                yield identity, path, sample
            elif figure_of(path) or criteria.rules:
                comparison.described += 1
            else:
                comparison.unknown[last_key(path)] += 1
        elif how:
            alone = comparison.new_figures if path in here else comparison.missing_figures
            alone.append((identity, path))


def values_of(rounds: Iterable[SideRound], path: str) -> tuple[float, ...]:
    """Return a figure's value in each round that has it."""
    return tuple(one.figures[path] for one in rounds if path in one.figures)


def _judged(
    comparison: Comparison, measured: Sequence[tuple[RunIdentity, str, Measured]]
) -> list[Change]:
    judgements = judge([each for _, _, each in measured])
    changes = []
    for (identity, path, each), judgement in zip(measured, judgements, strict=True):
        found = judgement
        if not comparison.criteria.force and identity in comparison.differences:
            found = not_comparable(judgement)
        changes.append(
            Change(identity, path, each.figure, each.threshold, each.baseline, each.current, found)
        )
    changes.sort(key=lambda change: (VERDICTS.index(change.verdict), -change.size))
    return changes
