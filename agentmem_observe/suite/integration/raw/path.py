"""The contract of a raw path, and which target has which."""

import importlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from agentmem_observe.bench.context import SkipBenchmark
from agentmem_observe.model import Record, Vector
from agentmem_observe.targets.registry import TargetSpec


class RawPath(Protocol):
    """The same work as a target's, by the shortest way there is.

    Everything that can be done beforehand is: records are in the system's own form when a path
    has been made. So what an adapter takes longer is translation and checking.
    """

    description: str
    """What is called, for the result."""

    def store(self, place: int) -> object:
        """Write the record of this position."""
        ...

    def retrieve(self, place: int) -> object:
        """Read it; None if it is not there."""
        ...

    def search(self, place: int) -> Sequence[str]:
        """Return the ids of the nearest records of its agent to its vector, best first."""
        ...

    def close(self) -> None:
        """Remove what was stored."""
        ...


RawPathMaker: TypeAlias = Callable[[TargetSpec, Sequence[Record], int], RawPath]
"""Makes a path for a target's name, records with vectors, and the number of hits of a search."""

_PATHS = {
    "embedded": {
        "stm": "agentmem_observe.suite.integration.raw.embedded:Arrays",
        "ltm": "agentmem_observe.suite.integration.raw.embedded:File",
    },
    "fake": {"stm": "agentmem_observe.suite.integration.raw.embedded:Arrays"},
    "langgraph": {"": "agentmem_observe.suite.integration.raw.langgraph:Store"},
    "redis": {"": "agentmem_observe.suite.integration.raw.redis:Client"},
}


def raw_paths(scheme: str) -> dict[str, RawPathMaker]:
    """Return the raw paths of a target by tier, "" for all.

    Args:
        scheme: How the target is named on the command line, such as ``redis``.

    Raises:
        SkipBenchmark: If none is known.
    """
    if scheme not in _PATHS:
        known = ", ".join(sorted(_PATHS))
        raise SkipBenchmark(f"no raw path to compare target {scheme!r} with; known: {known}")
    return {tier: _load(path) for tier, path in _PATHS[scheme].items()}


def vector_of(record: Record) -> Vector:
    """Return the record's vector, which whoever compares paths has seen to.

    Raises:
        ValueError: If it has none.
    """
    if record.vector is None:
        raise ValueError(f"record {record.record_id!r} has no vector to search for")
    return record.vector


def _load(path: str) -> RawPathMaker:
    module, _, attribute = path.partition(":")
    maker: RawPathMaker = getattr(importlib.import_module(module), attribute)
    return maker
