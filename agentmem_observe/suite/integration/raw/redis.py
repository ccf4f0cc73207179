"""redis-py called directly: the commands of the adapter, with fields encoded beforehand."""

import uuid
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import numpy as np
import redis

from agentmem_observe.model import Record
from agentmem_observe.suite.integration.raw.path import vector_of
from agentmem_observe.targets.registry import TargetSpec


class Client:
    """One connection, keys below a prefix of its own, which are deleted in the end."""

    description = "the adapter's commands from redis-py, hashes encoded beforehand"

    def __init__(self, spec: TargetSpec, records: Sequence[Record], k: int) -> None:
        prefix = f"agentmem-observe-raw-{uuid.uuid4().hex}"
        self._k = k
        self._keys = [f"{prefix}:{r.agent_id}:{r.record_id}" for r in records]
        self._indexes = [f"{prefix}:ids:{record.agent_id}" for record in records]
        self._agents = f"{prefix}:agents"
        self._records = records
        self._vectors = [vector_of(record) for record in records]
        self._fields: list[dict[Any, Any]] = [_fields(record) for record in records]
        self._client = redis.Redis.from_url(f"redis://{spec.location}")
        self._client.ping()

    def store(self, place: int) -> object:
        """Write hash and index in one transaction."""
        record = self._records[place]
        with self._client.pipeline() as pipeline:
            pipeline.hset(self._keys[place], mapping=self._fields[place])
            pipeline.sadd(self._indexes[place], self._keys[place])
            pipeline.sadd(self._agents, record.agent_id)
            return pipeline.execute()

    def retrieve(self, place: int) -> object:
        """Read one hash."""
        return self._client.hgetall(self._keys[place]) or None

    def search(self, place: int) -> Sequence[str]:
        """Fetch the agent's vectors in two round trips, and multiply."""
        keys = list(cast("set[bytes]", self._client.smembers(self._indexes[place])))
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hget(key, "vector")
            blobs = pipeline.execute()
        scores = (
            np.frombuffer(b"".join(blobs), np.float32).reshape(len(keys), -1)
            @ self._vectors[place]
        )
        best = np.argsort(-scores)[: self._k]
        return [keys[row].decode().rpartition(":")[2] for row in best.tolist()]

    def close(self) -> None:
        """Delete the keys and disconnect."""
        self._client.unlink(*self._keys, *set(self._indexes), self._agents)
        self._client.close()


def _fields(record: Record) -> dict[Any, Any]:
    """Return what the adapter's hash holds too."""
    return {
        "content": record.content,
        "state": msgspec.json.encode(record.state),
        "importance": repr(record.importance),
        "step": record.step,
        "vector": vector_of(record).tobytes(),
    }
