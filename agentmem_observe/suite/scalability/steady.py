"""A load that never changes: the same operations on the same records, at a constant rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentmem_observe.bench.context import AGENT
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.model import Hit, Outcome, Record
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.operations import Operation, Script, mixed

NEEDED = (Capability.RETRIEVE, Capability.SEARCH, Capability.CALLER_IDS, Capability.UPDATE)
"""What a target must be able to do under such a load."""

HITS = 10
"""Hits of a search, as in the seeds."""

EQUAL_PARTS = {"create_memory": 1.0, "retrieve_memory": 1.0, "search_memory": 1.0}
"""The seeds' mix."""


@dataclass(frozen=True, slots=True)
class SteadyLoad:
    """Stores, reads and searches in random order, at a constant rate.

    Attributes:
        rate: Operations per second, > 0.
        seconds: How long, > 0.
        workers: The most operations that can be in the target at once, >= 1.
        seed: Of the order of operations.
        mix: Weight of each operation by name, >= 0 and not all 0.
    """

    rate: float
    seconds: float
    workers: int = 1
    seed: int = 0
    mix: Mapping[str, float] = field(default_factory=lambda: EQUAL_PARTS)

    @property
    def arrivals(self) -> Constant:
        """Return when operations are due."""
        return Constant(self.rate, self.seconds)

    @property
    def count(self) -> int:
        """Return how many operations there are, or one more."""
        return int(self.rate * self.seconds) + 1

    def script(self, target: MemoryTarget, records: Sequence[Record]) -> Script:
        """Return the operations; the i-th is about the ``i % 1000``-th record.

        Args:
            target: Holds the records, so that whatever a read asks for is there.
            records: What to store, a thousand with different ids of one agent.
        """
        scoped = Capability.AGENT_SCOPE in target.info().capabilities

        def record(number: int) -> Record:
            return records[number % len(records)]

        def store(number: int) -> str:
            return target.store(record(number))

        def retrieve(number: int) -> Record | None:
            return target.retrieve(AGENT, record(number).record_id)

        def search(number: int) -> list[Hit]:
            query = record(number)
            return target.search(AGENT, query.state, HITS, vector=query.vector)

        def is_acknowledged(number: int, record_id: object) -> Outcome:
            return Outcome.OK if record_id else Outcome.EMPTY

        def is_right(number: int, found: Record | None) -> Outcome:
            if found is None:
                return Outcome.EMPTY
            return Outcome.OK if is_kept(record(number), found) else Outcome.WRONG

        def are_own(number: int, hits: list[Hit]) -> Outcome:
            if not hits:
                return Outcome.EMPTY
            strange = scoped and any(hit.agent_id != AGENT for hit in hits)
            return Outcome.WRONG if strange or len(hits) > HITS else Outcome.OK

        operations = (
            Operation("create_memory", store, is_acknowledged),
            Operation("retrieve_memory", retrieve, is_right),
            Operation("search_memory", search, are_own),
        )
        weights = [self.mix.get(operation.name, 0.0) for operation in operations]
        return mixed(operations, self.count, self.seed, weights)
