"""Records as hashes in a Redis server, searched by cosine on our side of the wire."""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
import numpy as np
import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from agentmem_observe.errors import TargetError, UsageError
from agentmem_observe.model import Hit, Record, Vector
from agentmem_observe.targets.arguments import query_vector
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo
from agentmem_observe.targets.cosine import best_first, cosine_scores
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
        Capability.THREAD_SAFE,
    }
)
_CONNECT_TIMEOUT_SECONDS = 5.0
_CONNECTIONS = 10_000  # one per thread, never the bottleneck; Redis itself allows as many
_KEYS_PER_DELETE = 1000


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """What follows the question mark in ``redis://host:port/db?keep=true&prefix=mine``.

    Attributes:
        keep: Whether ``close`` leaves the records in the server.
        prefix: Begin of every key; empty makes one that no other instance has. Only a given
            prefix lets another process find the records.
        timeout_seconds: After so long without an answer an operation raises, > 0.
    """

    keep: bool = False
    prefix: str = ""
    timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        # A glob character or a colon would let close() delete keys below other prefixes.
        if not re.fullmatch(r"[\w.-]*", self.prefix):
            raise ValueError(f"prefix takes letters, digits and _ . - only, not {self.prefix!r}")
        if not 0 < self.timeout_seconds < math.inf:
            raise ValueError(f"timeout_seconds must be > 0, not {self.timeout_seconds!r}")


class RedisTarget(MemoryTarget):
    """One hash per record and one set of record ids per agent, below a prefix of its own.

    Thread-safe. Redis has no vectors in this layout: a search fetches all of the agent's vectors
    and compares them here. Nothing is retried, because a hidden retry is a hidden latency.
    """

    def __init__(self, location: str, options: RedisOptions | None = None) -> None:
        """Parse the address; nothing is contacted.

        Args:
            location: ``user:password@host:port/database``, all but the host optional.
            options: Prefix, time-out and whether to keep the records.

        Raises:
            UsageError: If port or database are not numbers.
        """
        self._options = options or RedisOptions()
        self._prefix = self._options.prefix or f"agentmem-observe-{uuid.uuid4().hex}"
        parts = urlsplit(f"redis://{location}")
        try:
            host, port = parts.hostname or "127.0.0.1", parts.port or 6379
            database = int(parts.path.strip("/") or 0)
        except ValueError:
            # Without the cause and the value: either may hold a piece of a password.
            raise UsageError(
                "target 'redis': write redis://host:port/database with numbers for port and "
                "database; percent-encode / ? # @ in a password"
            ) from None
        self._address = f"{host}:{port}"
        self._database = database
        self._server: dict[str, str] = {}
        self._is_open = False
        self._client = redis.Redis(
            host=host,
            port=port,
            db=database,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            # redis-py's own limits differ by version, and would be taken for the server's.
            socket_timeout=self._options.timeout_seconds,
            max_connections=_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
        )

    def info(self) -> TargetInfo:
        """Describe the server; its version is known once opened."""
        capabilities = set(_CAPABILITIES)
        if self._options.keep:
            capabilities.add(Capability.PERSISTENT)
        if self._options.keep and self._options.prefix:
            capabilities.add(Capability.MULTI_PROCESS)
        notes = {
            "address": f"{self._address}/{self._database}",
            "prefix": self._prefix,
            "index": "none: exact cosine in the client",
            "client": f"redis-py {redis.__version__}, no retries",
            "timeout_seconds": str(self._options.timeout_seconds),
            **{name: value for name, value in self._server.items() if name != "version"},
        }
        version = self._server.get("version", "unknown until opened")
        return TargetInfo("redis", version, frozenset(capabilities), (), notes)

    def open(self) -> None:
        """Connect and ask the server who it is.

        Raises:
            TargetError: If it cannot be reached or refuses the credentials or the database.
        """
        try:
            about = self._client.info()
        except redis.AuthenticationError as error:
            raise TargetError(
                f"Redis at {self._address} refuses the credentials ({type(error).__name__}); "
                "write redis://user:password@host:port/database"
            ) from None
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise TargetError(
                f"no Redis answers at {self._address}; start one "
                f"(redis-server --port {self._address.rpartition(':')[2]}), name another as "
                "redis://host:port/database, or choose the target 'embedded'"
            ) from error
        except redis.RedisError as error:
            raise TargetError(
                f"Redis at {self._address} refuses database {self._database}: {error}"
            ) from error
        self._note(about)
        self._is_open = True

    def close(self) -> None:
        """Delete everything below the prefix unless told to keep it, and disconnect."""
        if not self._is_open:
            return
        self._is_open = False
        if not self._options.keep:
            self._delete_all()
        self._client.close()

    def store(self, record: Record) -> str:
        """Write the hash and index its id, in one transaction."""
        with self._client.pipeline() as pipeline:
            self._queue_store(pipeline, record)
            pipeline.execute()
        return record.record_id

    def store_many(self, records: Sequence[Record]) -> list[str]:
        """Write all records in one round trip, each command on its own."""
        with self._client.pipeline(transaction=False) as pipeline:
            for record in records:
                self._queue_store(pipeline, record)
            pipeline.execute()
        return [record.record_id for record in records]

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return the record with the vector it is found by, or None."""
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._key(agent_id, record_id)))
        if not found:
            return None
        return Record(
            agent_id,
            record_id,
            content=found[b"content"].decode(),
            state=msgspec.json.decode(found[b"state"]),
            vector=np.frombuffer(found[b"vector"], dtype=np.float32),
            importance=float(found[b"importance"]),
            step=int(found[b"step"]),
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
        """Fetch all of the agent's vectors in two round trips and return the nearest."""
        if tier is not None:
            self._unsupported(Capability.TIERS)
        vector = query_vector(query, vector, embed)
        ids = list(cast("set[bytes]", self._client.smembers(self._index_key(agent_id))))
        with self._client.pipeline(transaction=False) as pipeline:
            for record_id in ids:
                pipeline.hget(self._key(agent_id, record_id.decode()), "vector")
            blobs = pipeline.execute()
        # A record deleted between the two round trips has no vector any more.
        found = [(i, b) for i, b in zip(ids, blobs, strict=True) if b is not None]
        if not found:
            return []
        scores = cosine_scores([np.frombuffer(b, dtype=np.float32) for _, b in found], vector)
        return [
            Hit(found[i][0].decode(), float(scores[i]), agent_id) for i in best_first(scores, k)
        ]

    def delete(self, agent_id: str, record_id: str) -> bool:
        """Delete the hash and its entry in the index, in one transaction."""
        with self._client.pipeline() as pipeline:
            pipeline.delete(self._key(agent_id, record_id))
            pipeline.srem(self._index_key(agent_id), record_id)
            deleted, _ = pipeline.execute()
        return bool(deleted)

    def count(self, agent_id: str | None = None, tier: str | None = None) -> int:
        """Return the size of the agent's index, or of all."""
        if tier is not None:
            self._unsupported(Capability.TIERS)
        if agent_id is not None:
            return self._client.scard(self._index_key(agent_id))
        agents = cast("set[bytes]", self._client.smembers(f"{self._prefix}:agents"))
        with self._client.pipeline(transaction=False) as pipeline:
            for agent in agents:
                pipeline.scard(self._index_key(agent.decode()))
            return sum(pipeline.execute())

    def stats(self) -> dict[str, float]:
        """Return what the whole server occupies, other users' keys included.

        It may have been started anew since it was opened: `info` tells of the one that answers.
        """
        about = self._client.info()
        self._note(about)
        return {
            "used_memory_bytes": float(about["used_memory"]),
            "rss_bytes": float(about["used_memory_rss"]),
        }

    def _note(self, about: Mapping[str, Any]) -> None:
        self._server = {
            "version": str(about["redis_version"]),
            "server_process_id": str(about["process_id"]),
            "append_only_file": "on" if about["aof_enabled"] else "off",
        }

    def _key(self, agent_id: str, record_id: str) -> str:
        # The length keeps ("a:b", "c") and ("a", "b:c") apart.
        return f"{self._prefix}:record:{len(agent_id)}:{agent_id}:{record_id}"

    def _index_key(self, agent_id: str) -> str:
        return f"{self._prefix}:ids:{agent_id}"

    def _queue_store(self, pipeline: Pipeline, record: Record) -> None:
        if record.tier is not None:
            self._unsupported(Capability.TIERS)
        pipeline.hset(self._key(record.agent_id, record.record_id), mapping=_fields(record))
        pipeline.sadd(self._index_key(record.agent_id), record.record_id)
        pipeline.sadd(f"{self._prefix}:agents", record.agent_id)

    def _delete_all(self) -> None:
        keys: list[bytes] = []
        for key in self._client.scan_iter(match=f"{self._prefix}:*", count=_KEYS_PER_DELETE):
            keys.append(key)
            if len(keys) == _KEYS_PER_DELETE:
                self._client.unlink(*keys)
                keys.clear()
        if keys:
            self._client.unlink(*keys)


def from_spec(spec: TargetSpec) -> RedisTarget:
    """Build the target from ``redis://user:password@host:port/database?keep=true&prefix=mine``.

    Raises:
        UsageError: If an option is unknown, or the address or an option's value is wrong.
    """
    return RedisTarget(spec.location, spec.read_options(RedisOptions))


def _fields(record: Record) -> dict[Any, Any]:  # redis-py's type of a mapping is invariant
    vector = record.vector
    if vector is None:
        vector = embed(record.content if record.state is None else record.state)
    return {
        "content": record.content,
        "state": msgspec.json.encode(record.state),
        "importance": repr(record.importance),
        "step": record.step,
        "vector": vector.astype(np.float32).tobytes(),
    }
