"""The contract between this project and a memory system: one Protocol, and capabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, Protocol, TypeAlias

from agentmem_observe.errors import UnsupportedError
from agentmem_observe.model import Hit, Record, Vector

Query: TypeAlias = str | Mapping[str, Any] | None
"""What is searched for: a text, a state, or None when only a vector is given."""


class Capability(StrEnum):
    """What a target can do. A benchmark that needs more is skipped, with the reason."""

    RETRIEVE = "retrieve"  # read one record back by id
    SEARCH = "search"  # nearest records to a query
    DELETE = "delete"
    UPDATE = "update"  # storing an existing id replaces it
    STORE_MANY = "store_many"  # a bulk write that is one call
    CALLER_IDS = "caller_ids"  # record ids are the caller's, not the system's
    AGENT_SCOPE = "agent_scope"  # one agent never sees another's records
    VECTORS_IN = "vectors_in"  # takes the caller's vector with a record or a query
    TIERS = "tiers"  # stm, im and ltm can be written and searched apart
    TRANSITION = "transition"  # records move between tiers on demand
    TTL = "ttl"  # records expire by age
    PERSISTENT = "persistent"  # what close() leaves behind, the next open() finds
    COUNT = "count"
    READ_YOUR_WRITES = "read_your_writes"  # a store that returned is visible to the next call
    NATIVE_ASYNC = "native_async"
    THREAD_SAFE = "thread_safe"  # one instance may be called by many threads
    MULTI_PROCESS = "multi_process"  # several processes may work on one store
    LLM_REQUIRED = "llm_required"


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What a target says of itself; part of every result.

    Attributes:
        name: Short name of the system, such as ``embedded`` or ``redis``.
        version: Version of the system (not of the adapter).
        capabilities: What it can do.
        tiers: The tiers it has, in the order in which records age; empty if none.
        notes: Settings that a reader of the numbers must know: durability, index, caches.
    """

    name: str
    version: str
    capabilities: frozenset[Capability]
    tiers: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


class MemoryTarget(Protocol):
    """A memory system under test.

    The first six methods are the core that every target has. The rest exist by capability: inherit
    from this class and implement what ``info().capabilities`` names; what is left raises
    `UnsupportedError`. Methods raise what the system raises; the driver counts it by type.
    """

    def info(self) -> TargetInfo:
        """Describe the system; valid before ``open`` too."""
        ...

    def open(self) -> None:
        """Connect or load, so that the first operation is not slower than the second.

        Raises:
            TargetError: If the system cannot be reached; the message says what to do.
        """
        ...

    def close(self) -> None:
        """Flush and release everything; a second call does nothing."""
        ...

    def store(self, record: Record) -> str:
        """Store one record and return its id."""
        ...

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return the record, or None if the agent has none of that id."""
        ...

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Return the agent's ``k`` nearest records, best first.

        Args:
            agent_id: Whose memory is searched.
            query: Text or state to embed; None if ``vector`` is given.
            k: How many hits at the most, >= 1.
            vector: The query's embedding, used instead of ``query`` (needs ``vectors_in``).
            tier: Search this tier only (needs ``tiers``); None searches all.
        """
        ...

    def store_many(self, records: Sequence[Record]) -> list[str]:
        """Store records in one call and return their ids in order."""
        self._unsupported(Capability.STORE_MANY)

    def delete(self, agent_id: str, record_id: str) -> bool:
        """Delete one record; return whether it existed."""
        self._unsupported(Capability.DELETE)

    def transition(
        self,
        source: str,
        destination: str,
        *,
        agent_id: str | None = None,
        fraction: float | None = None,
        record_ids: Sequence[str] | None = None,
    ) -> int:
        """Move records from one tier to an older one and return how many moved.

        Args:
            source: Tier to take from.
            destination: Tier to put into.
            agent_id: Whose records; None means every agent's.
            fraction: Share of the source tier's records, in (0, 1], least important and oldest
                first.
            record_ids: Exactly these records (needs ``agent_id``); excludes ``fraction``.
        """
        self._unsupported(Capability.TRANSITION)

    def count(self, agent_id: str | None = None, tier: str | None = None) -> int:
        """Return how many records there are, of one agent or all, in one tier or all."""
        self._unsupported(Capability.COUNT)

    def maintain(self) -> None:
        """Do now what the system would do in the background: age, compact, build indexes."""
        return None  # not `...`: a Protocol's empty body would be abstract

    def stats(self) -> dict[str, float]:
        """Return the system's own figures, keys ending in their unit; empty if it has none."""
        return {}

    def _unsupported(self, capability: Capability) -> NoReturn:
        name = self.info().name
        raise UnsupportedError(f"target {name!r} has no {capability.value!r} capability")
