"""LangGraph's ``InMemoryStore`` called directly, with an embedding function that looks up."""

from collections.abc import Sequence

from langgraph.store.memory import InMemoryStore

from agentmem_observe.model import Record
from agentmem_observe.suite.integration.raw.path import vector_of
from agentmem_observe.targets.registry import TargetSpec


class Store:
    """``put``, ``get`` and ``search`` of an ``InMemoryStore``."""

    description = "put, get and search of an InMemoryStore whose embedding is a dict"

    def __init__(self, spec: TargetSpec, records: Sequence[Record], k: int) -> None:
        self._k = k
        self._spaces = [("agents", record.agent_id) for record in records]
        self._ids = [record.record_id for record in records]
        self._values = [
            {
                "content": record.content,
                "state": record.state,
                "importance": record.importance,
                "step": record.step,
                "vector": f"{record.agent_id}/{record.record_id}",
            }
            for record in records
        ]
        vectors = {
            value["vector"]: vector_of(record).tolist()
            for value, record in zip(self._values, records, strict=True)
        }
        self._store = InMemoryStore(
            index={
                "dims": len(next(iter(vectors.values()))),
                "embed": lambda texts: [vectors[text] for text in texts],
                "fields": ["vector"],
            }
        )

    def store(self, place: int) -> object:
        """Put one item."""
        self._store.put(self._spaces[place], self._ids[place], self._values[place])
        return self._ids[place]

    def retrieve(self, place: int) -> object:
        """Get one item."""
        return self._store.get(self._spaces[place], self._ids[place])

    def search(self, place: int) -> Sequence[str]:
        """Search one namespace."""
        text = self._values[place]["vector"]
        found = self._store.search(self._spaces[place], query=str(text), limit=self._k)
        return [item.key for item in found]

    def close(self) -> None:
        """Leave the store to the garbage collector."""
