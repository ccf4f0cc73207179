"""LangGraph's ``InMemoryStore`` with its vector index, one namespace per agent."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore

from agentmem_observe.errors import UsageError
from agentmem_observe.model import Hit, Record, Vector
from agentmem_observe.targets.arguments import query_vector
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo
from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.targets.registry import TargetSpec

_CAPABILITIES = frozenset(
    {
        Capability.RETRIEVE,
        Capability.SEARCH,
        Capability.DELETE,
        Capability.UPDATE,
        Capability.STORE_MANY,
        Capability.CALLER_IDS,
        Capability.AGENT_SCOPE,
        Capability.VECTORS_IN,
        Capability.COUNT,
        Capability.READ_YOUR_WRITES,
    }
)
_ROOT = "agents"  # LangGraph keeps the root label "langgraph" for itself


class LangGraphTarget(MemoryTarget):
    """An ``InMemoryStore`` per instance; it forgets its records when closed.

    Not thread-safe: a search iterates over dictionaries that a concurrent store resizes, and
    even reading an unknown agent adds a namespace. Agent ids must not contain a dot.

    The store embeds texts and takes no vectors. So a vector travels as text, and the embedding
    function given to the store reads it back.
    """

    def __init__(self) -> None:
        self._store = _new_store()

    def info(self) -> TargetInfo:
        """Describe the store."""
        notes = {
            "store": f"InMemoryStore of langgraph-checkpoint {version('langgraph-checkpoint')}",
            "index": "none: exact cosine, vectors as lists of floats",
        }
        return TargetInfo("langgraph", version("langgraph"), _CAPABILITIES, (), notes)

    def open(self) -> None:
        """Have nothing to connect to: the store lives in this process."""

    def close(self) -> None:
        """Forget all records."""
        self._store = _new_store()

    def store(self, record: Record) -> str:
        """Put the record as one item."""
        self._store.put(_namespace(record.agent_id), record.record_id, self._value(record, 0))
        return record.record_id

    def store_many(self, records: Sequence[Record]) -> list[str]:
        """Put all records in one batch."""
        self._store.batch(
            PutOp(_namespace(record.agent_id), record.record_id, self._value(record, position))
            for position, record in enumerate(records)
        )
        return [record.record_id for record in records]

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return the record with the vector it is found by, or None."""
        item = self._store.get(_namespace(agent_id), record_id)
        if item is None:
            return None
        value = item.value
        return Record(
            agent_id,
            record_id,
            content=value["content"],
            state=value["state"],
            vector=_read(value["vector"]),
            importance=value["importance"],
            step=value["step"],
        )

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Search the agent's namespace by cosine."""
        if tier is not None:
            self._unsupported(Capability.TIERS)
        vector = query_vector(query, vector, embed)
        found = self._store.search(_namespace(agent_id), query=_write(vector, 0), limit=k)
        return [Hit(item.key, item.score or 0.0, agent_id) for item in found]

    def delete(self, agent_id: str, record_id: str) -> bool:
        """Look the item up, because the store does not say whether it was there; delete it."""
        existed = self._store.get(_namespace(agent_id), record_id) is not None
        self._store.delete(_namespace(agent_id), record_id)
        return existed

    def count(self, agent_id: str | None = None, tier: str | None = None) -> int:
        """List the items and count them: the store has no cheaper way."""
        if tier is not None:
            self._unsupported(Capability.TIERS)
        namespace = (_ROOT,) if agent_id is None else _namespace(agent_id)
        return len(self._store.search(namespace, limit=sys.maxsize))

    def _value(self, record: Record, position: int) -> dict[str, Any]:
        if record.tier is not None:
            self._unsupported(Capability.TIERS)
        vector = record.vector
        if vector is None:
            vector = embed(record.content if record.state is None else record.state)
        return {
            "content": record.content,
            "state": record.state,
            "importance": record.importance,
            "step": record.step,
            "vector": _write(vector, position),
        }


def from_spec(spec: TargetSpec) -> LangGraphTarget:
    """Build the target from ``langgraph``.

    Raises:
        UsageError: If there is a location or an option; it takes neither.
    """
    spec.refuse_location()
    if spec.options:
        raise UsageError(f"target 'langgraph' takes no options, not {sorted(spec.options)}")
    return LangGraphTarget()


def _new_store() -> InMemoryStore:
    return InMemoryStore(
        index={
            "dims": len(embed("")),
            "embed": lambda texts: [_read(text).tolist() for text in texts],
            "fields": ["vector"],
        }
    )


def _namespace(agent_id: str) -> tuple[str, ...]:
    return (_ROOT, agent_id)


def _write(vector: Vector, position: int) -> str:
    # The position makes equal vectors differ: a batch with one text twice raises ValueError.
    return f"{position}:{vector.astype(np.float32).tobytes().hex()}"


def _read(text: str) -> Vector:
    return np.frombuffer(bytes.fromhex(text.partition(":")[2]), dtype=np.float32)
