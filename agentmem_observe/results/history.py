"""Results over time: of each benchmark with its parameters, the newest runs and their figures."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.flatten import flatten
from agentmem_observe.results.identity import RunIdentity, circumstances, identity_of
from agentmem_observe.results.metric_rules import MetricRule, judged
from agentmem_observe.results.schema import ended_at
from agentmem_observe.results.sides import LeftOut, flaw_of, validity_of

MOST_RUNS = 400
"""Of one identity; older ones are counted and not looked at."""


_TOO_LARGE = 1e300


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run, or all rounds of one: these are no more independent of each other than one run.

    Attributes:
        path: Its file; that of the last round.
        at: When it ended, in seconds since 1970; the last round.
        commit: Of the code that was run; "" if it is not known.
        circumstances: By `results.identity.circumstances`.
        figures: What is judged, by path; the median of the rounds.
    """

    path: str
    at: float
    commit: str
    circumstances: Mapping[str, str]
    figures: Mapping[str, float]


@dataclass(slots=True)
class History:
    """What some results hold of the past.

    Attributes:
        runs: The newest of each identity, oldest first.
        left_out: Files that are no use.
        degraded: How many files something was in the way of, and are used all the same.
        older: How many files are of runs before the newest.
        figures: All names, ``category.benchmark.path``, each with its path: whether it is judged.
            It is not if nobody asked for it, or says which way it is better.
    """

    runs: dict[RunIdentity, tuple[PastRun, ...]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    degraded: int = 0
    older: int = 0
    figures: dict[tuple[str, str], bool] = field(default_factory=dict)

    def causes(self) -> Counter[str]:
        """Return how many files are left out, by cause."""
        return Counter(each.cause for each in self.left_out)


Document = Mapping[str, Any]


def read_history(
    documents: Iterable[tuple[str, Document | ResultFormatError]],
    metrics: Sequence[MetricRule] = (),
    most_runs: int = MOST_RUNS,
) -> History:
    """Read results.

    Of each only the figures that can be judged are kept, and of each identity only the newest
    runs, so that memory does not grow with the number of files.

    Args:
        documents: Path and content of each, oldest first; or why it cannot be read.
        metrics: What somebody says of some figures; if anything, others are left out.
        most_runs: Of each identity.
    """
    history = History()
    reader = _Reader(history, metrics)
    kept: dict[RunIdentity, deque[_Rounds]] = {}
    for path, document in documents:
        read = reader.read(path, document)
        if read is None:
            continue
        identity, series, run = read
        runs = kept.setdefault(identity, deque(maxlen=most_runs))
        if series and runs and runs[-1].series == series:
            runs[-1].rounds.append(run)
            continue
        if len(runs) == most_runs:
            history.older += len(runs[0].rounds)
        runs.append(_Rounds(series, [run]))
    history.runs = {
        identity: tuple(_as_one(each.rounds) for each in runs) for identity, runs in kept.items()
    }
    return history


@dataclass(frozen=True, slots=True)
class _Rounds:
    series: str
    rounds: list[PastRun]


class _Reader:
    """Turns documents into runs, and notes in a history what comes of the others."""

    def __init__(self, history: History, metrics: Sequence[MetricRule]) -> None:
        self._history, self._metrics = history, metrics
        # Of thousands of runs nearly all share these.
        self._known: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def read(
        self, path: str, document: Document | ResultFormatError
    ) -> tuple[RunIdentity, str, PastRun] | None:
        """Return a run with its identity and the series of rounds that it is of, if any."""
        try:
            if isinstance(document, ResultFormatError):
                raise document
            at = ended_at(document)
        except ResultFormatError as error:
            self._history.left_out.append(LeftOut(path, "damaged", str(error)))
            return None
        identity, metadata = identity_of(document), document["metadata"]
        if flaw := flaw_of(metadata):
            self._history.left_out.append(LeftOut(path, *flaw, identity))
            return None
        self._history.degraded += validity_of(metadata) == "degraded"
        found = circumstances(document)
        shared = self._known.setdefault(tuple(found.items()), found)
        figures = dict(self._figures(identity, document))
        run = PastRun(path, at, _commit(metadata), shared, figures)
        rounds = metadata.get("rounds")
        series = rounds.get("series") if isinstance(rounds, Mapping) else None
        return identity, str(series or ""), run

    def _figures(self, identity: RunIdentity, document: Document) -> Iterator[tuple[str, float]]:
        known = self._history.figures
        for path, value in flatten(document["results"]).items():
            name = name_of(identity, path)
            if (wanted := known.get((name, path))) is None:
                wanted = judged(name, path, self._metrics, 1.0) is not None
                known[name, path] = wanted
            # JSON takes whole numbers of any length; no figure is as large as that.
            if wanted and abs(value) < _TOO_LARGE:
                yield path, float(value)


def name_of(identity: RunIdentity, path: str) -> str:
    """Return what people call a figure: ``category.benchmark.path``."""
    return f"{identity.category}.{identity.benchmark}.{path}"


def _as_one(rounds: Sequence[PastRun]) -> PastRun:
    """Return the rounds of a run as that run."""
    last = rounds[-1]
    if len(rounds) == 1:
        return last
    paths = dict.fromkeys(path for each in rounds for path in each.figures)
    figures = {
        path: median(each.figures[path] for each in rounds if path in each.figures)
        for path in paths
    }
    return PastRun(last.path, last.at, last.commit, last.circumstances, figures)


def _commit(metadata: Mapping[str, Any]) -> str:
    vcs = metadata.get("vcs")
    return str(vcs.get("commit") or "") if isinstance(vcs, Mapping) else ""
