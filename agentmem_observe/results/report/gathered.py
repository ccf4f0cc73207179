"""The results that a page is about: what was read, what could not be, and which are the newest."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.results.identity import RunIdentity, identity_of
from agentmem_observe.results.schema import Result

_CATEGORIES = (
    "storage",
    "retrieval",
    "compression",
    "memory_transition",
    "scalability",
    "integration",
)
"""In the order in which people ask; others follow by name."""

_SMALLEST, _LARGEST = 1e-30, 1e30

VALIDITIES = ("valid", "degraded", "void")


class Problem(NamedTuple):
    """Something that could not be read.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Durations:
    """What a run's operations of one kind took.

    Attributes:
        operation: Such as ``search_memory``.
        tier: Of the target; may be "".
        outcome: How they ended; ``ok`` or another.
        latency: From when they were due.
        service_time: From when they were sent; equal to the latency in a closed loop.
    """

    operation: str
    tier: str
    outcome: str
    latency: Histogram
    service_time: Histogram


@dataclass(frozen=True)
class Run:
    """One result and what was read of it.

    Attributes:
        path: Its file.
        result: Its content.
        durations: Its histograms, without damaged ones.
    """

    path: str
    result: Result
    durations: list[Durations] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, Any]:
        """Return what the benchmark found."""
        return self.result.results

    @property
    def status(self) -> str:
        """Return ``ok``, ``skipped`` or ``failed``."""
        return str(self.result.metadata.get("status", "ok"))

    @property
    def validity(self) -> str:
        """Return ``valid``, ``degraded`` or ``void``; "" where nobody judged."""
        verdict = mapping(self.result.metadata.get("validity")).get("verdict")
        return verdict if verdict in VALIDITIES else ""

    @property
    def reasons(self) -> list[str]:
        """Return why it is not valid."""
        return texts(mapping(self.result.metadata.get("validity")).get("reasons"))

    @property
    def warnings(self) -> list[str]:
        """Return what to know before any number."""
        return texts(self.result.metadata.get("warnings"))

    @cached_property
    def identity(self) -> RunIdentity:
        """Return what it is of: runs of the same can stand in one row of time."""
        return identity_of(self.result.to_dict())

    @property
    def target(self) -> str:
        """Return the name of what was measured; "" where it is not known."""
        return self.identity.target

    @property
    def subject(self) -> tuple[str, str, str]:
        """Return category, benchmark and target: of each the newest run is shown."""
        return self.identity[:3]

    @property
    def ended(self) -> str:
        """Return when it ended, in local time, to the minute."""
        stamp = self.result.timestamp
        return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}"

    @property
    def name(self) -> str:
        """Return category and benchmark, as people call it."""
        return f"{self.result.category}.{self.result.benchmark}"

    @property
    def failed_operations(self) -> int:
        """Return how many operations did not succeed."""
        return sum(one.service_time.count for one in self.durations if one.outcome != "ok")

    @property
    def operations(self) -> int:
        """Return how many operations there were."""
        return sum(one.service_time.count for one in self.durations)


@dataclass(frozen=True)
class Gathered:
    """All that a page is made from.

    Attributes:
        runs: What could be read, oldest first.
        problems: What could not.
    """

    runs: list[Run]
    problems: list[Problem]

    @cached_property
    def newest(self) -> list[Run]:
        """Return the newest run of each subject, whatever became of it, in the page's order."""
        return sorted({run.subject: run for run in self.runs}.values(), key=_order)

    @cached_property
    def shown(self) -> list[Run]:
        """Return the newest run of each subject that has figures, in the page's order.

        One that is void is passed over if an older one is not.
        """
        measured = [run for run in self.runs if run.status == "ok"]
        newest = {run.subject: run for run in measured}
        newest |= {run.subject: run for run in measured if run.validity != "void"}
        return sorted(newest.values(), key=_order)

    @cached_property
    def series(self) -> list[list[Run]]:
        """Return all runs that have figures, oldest first, those of an identity together."""
        together: dict[RunIdentity, list[Run]] = {}
        for run in self.runs:
            if run.status == "ok":
                together.setdefault(run.identity, []).append(run)
        return sorted(together.values(), key=lambda runs: _order(runs[-1]))


def gather(paths: Iterable[str], load: Callable[[str], Mapping[str, Any]]) -> Gathered:
    """Read results; what is damaged becomes a problem and hides nothing else.

    Args:
        paths: The files, oldest first.
        load: Reads one, or raises `ResultFormatError`.
    """
    gathered = Gathered([], [])
    for path in paths:
        try:
            result = Result(**load(path))
        except ResultFormatError as error:
            gathered.problems.append(Problem(path, str(error).removeprefix(f"{path}: ")))
            continue
        run = Run(path, result)
        _read_histograms(run, gathered.problems)
        gathered.runs.append(run)
    return gathered


def number(value: object) -> float | None:
    """Return a value if it is a number that can be drawn, and None if not.

    Nothing that was measured is beyond `_LARGEST` or, but for 0, below `_SMALLEST`; what is would
    overflow on the way to its place in a chart.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if value == 0 or _SMALLEST <= abs(value) <= _LARGEST else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return a value if it is an object of JSON, and an empty one if not."""
    return value if isinstance(value, Mapping) else {}


def text(value: object) -> str:
    """Return a value if it is text, and "" if not."""
    return value if isinstance(value, str) else ""


def texts(value: object) -> list[str]:
    """Return a list's texts; none of what is no list."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _read_histograms(run: Run, problems: list[Problem]) -> None:
    found = run.result.metadata.get("histograms")
    for index, one in enumerate(found if isinstance(found, list) else []):
        each = mapping(one)
        try:
            service_time = Histogram.from_dict(mapping(each.get("service_time")))
            latency = each.get("latency")
            run.durations.append(
                Durations(
                    text(each.get("operation")),
                    text(each.get("tier")),
                    text(each.get("outcome")),
                    service_time if latency is None else Histogram.from_dict(mapping(latency)),
                    service_time,
                )
            )
        except ResultFormatError as error:
            problems.append(Problem(run.path, f"metadata.histograms[{index}]: {error}"))


def _order(run: Run) -> tuple[int, str, str, str]:
    category, benchmark, target = run.subject
    known = category in _CATEGORIES
    place = _CATEGORIES.index(category) if known else len(_CATEGORIES)
    return place, category, benchmark, target
