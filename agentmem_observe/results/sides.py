"""One side of a comparison: the rounds of a directory, and the files that are no use for it."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.flatten import flatten
from agentmem_observe.results.identity import RunIdentity, circumstances, identity_of
from agentmem_observe.results.store import BenchmarkResults

Cause: TypeAlias = Literal["damaged", "failed", "skipped", "void", "misnamed"]

_LARGE = "histograms"
"""Of the metadata; most of a file, and read again by those who need them."""
_UNTOLD = "the file does not say why"


@dataclass(frozen=True, slots=True)
class SideRound:
    """One result that can be compared.

    Attributes:
        path: Its file.
        timestamp: Local time of the run's end, as in the file.
        figures: Its numbers by path, as `flatten` has them.
        metadata: What is known of the run, without its histograms.
        circumstances: By `results.identity.circumstances`.
    """

    path: str
    timestamp: str
    figures: Mapping[str, float]
    metadata: Mapping[str, Any]
    circumstances: Mapping[str, str]

    @property
    def degraded(self) -> bool:
        """Return whether something was in the way of its measuring."""
        return _verdict(self.metadata) == "degraded"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is no use for comparing.

    Attributes:
        path: The file.
        cause: What kind of thing is wrong with it.
        reason: What is wrong, for people.
        identity: What it is of; None of a damaged file, which does not say.
    """

    path: str
    cause: Cause
    reason: str
    identity: RunIdentity | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """All that one side has.

    Attributes:
        name: What people gave for it, a directory.
        rounds: By what they are of; oldest first.
        left_out: In the order of the files.
    """

    name: str
    rounds: dict[RunIdentity, list[SideRound]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def damaged(self) -> list[LeftOut]:
        """Return the files that cannot be read."""
        return [one for one in self.left_out if one.cause == "damaged"]

    def causes(self, identity: RunIdentity) -> set[Cause]:
        """Return why results of an identity are left out."""
        return {one.cause for one in self.left_out if one.identity == identity}


def side_of(
    store: BenchmarkResults, paths: Iterable[str], seen: Callable[[], None] = lambda: None
) -> Side:
    """Read one side.

    Args:
        store: Its directory.
        paths: Files to read, oldest first. A damaged one is left out and costs no other.
        seen: Called after each file.
    """
    side = Side(str(store.results_dir))
    for path in paths:
        try:
            document = store.load_result(path)
        except ResultFormatError as error:
            side.left_out.append(LeftOut(path, "damaged", str(error)))
        else:
            _take(side, path, document)
        seen()
    return side


def take_strangers(side: Side, store: BenchmarkResults) -> None:
    """Note the files of a directory that no listing shows, so that none is missed silently.

    Args:
        side: Notes them.
        store: Its directory.
    """
    for path in store.unlisted():
        side.left_out.append(
            LeftOut(path, "misnamed", "its name is not <benchmark>_<timestamp>.json in a category")
        )


def _take(side: Side, path: str, document: Mapping[str, Any]) -> None:
    identity = identity_of(document)
    metadata = document["metadata"]
    if flaw := _flaw(metadata):
        side.left_out.append(LeftOut(path, *flaw, identity))
        return
    taken = SideRound(
        path,
        document["timestamp"],
        _figures(document["results"]),
        {key: value for key, value in metadata.items() if key != _LARGE},
        circumstances(document),
    )
    side.rounds.setdefault(identity, []).append(taken)


def _figures(results: Mapping[str, Any]) -> dict[str, float]:
    return {path: _number(value) for path, value in flatten(results).items()}


def _number(value: float) -> float:
    try:
        float(value)
    except OverflowError:  # JSON takes whole numbers of any length
        return math.inf if value > 0 else -math.inf
    return value


def _flaw(metadata: Mapping[str, Any]) -> tuple[Cause, str] | None:
    """Return why a result has no figures to compare; None if it has."""
    status: Literal["ok", "failed", "skipped"] = metadata.get("status") or "ok"
    if status != "ok":
        return status, str(metadata.get("reason") or _UNTOLD)
    if _verdict(metadata) == "void":
        reasons = metadata["validity"].get("reasons")
        return "void", str(reasons[0] if reasons and isinstance(reasons, list) else _UNTOLD)
    return None


def _verdict(metadata: Mapping[str, Any]) -> str:
    return str((metadata.get("validity") or {}).get("verdict", ""))
