"""How many agents may call one target: as it is, or one at a time."""

import threading

from agentmem_observe.model import Hit, Record, Vector
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo


def shared(target: MemoryTarget) -> tuple[MemoryTarget, str]:
    """Return what many threads may call in place of a target, and a word on it for the result.

    Args:
        target: Open; used by nobody else from now on.
    """
    if Capability.THREAD_SAFE in target.info().capabilities:
        return target, "one instance, called by all agents at once"
    return _Serialised(target), (
        "one instance, one call at a time: the target is not thread-safe, and what agents wait "
        "for each other is in the service time"
    )


class _Serialised(MemoryTarget):
    """The operations of agents, each under one lock."""

    def __init__(self, target: MemoryTarget) -> None:
        self._target = target
        self._lock = threading.Lock()

    def info(self) -> TargetInfo:
        return self._target.info()

    def open(self) -> None:
        self._target.open()

    def close(self) -> None:
        self._target.close()

    def store(self, record: Record) -> str:
        with self._lock:
            return self._target.store(record)

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        with self._lock:
            return self._target.retrieve(agent_id, record_id)

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        with self._lock:
            return self._target.search(agent_id, query, k, vector=vector, tier=tier)
