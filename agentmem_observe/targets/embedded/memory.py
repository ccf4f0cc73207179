"""The embedded memory: the target that all calls go to."""

import fcntl
import math
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from agentmem_observe import __version__
from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.errors import TargetError
from agentmem_observe.model import TIERS, Hit, Record, Vector
from agentmem_observe.targets.arguments import check_transition, known_tier, query_vector
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo
from agentmem_observe.targets.embedded.agent import AgentMemory, Shared
from agentmem_observe.targets.embedded.cells import CellShelf
from agentmem_observe.targets.embedded.coding import Coding
from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.targets.embedded.held import Held
from agentmem_observe.targets.embedded.options import EmbeddedOptions
from agentmem_observe.targets.embedded.payload import Packer
from agentmem_observe.targets.embedded.shelf import Shelf, nearest
from agentmem_observe.targets.embedded.table import Row, Table
from agentmem_observe.targets.embedded.upkeep import Upkeep

if TYPE_CHECKING:
    from agentmem_observe.targets.registry import TargetSpec

Embedder: TypeAlias = Callable[[str | Mapping[str, Any]], Vector]
"""Makes a vector of a text or a state; called by many threads at once."""

_CAPABILITIES = frozenset(Capability) - {
    Capability.TTL,
    Capability.NATIVE_ASYNC,
    Capability.MULTI_PROCESS,
    Capability.LLM_REQUIRED,
}
_DURABILITY_NOTES = {
    "relaxed": "LTM survives a killed process, not a loss of power (synchronous=OFF)",
    "normal": "LTM survives a killed process; a loss of power may cost the last commits "
    "(WAL, synchronous=NORMAL)",
    "full": "LTM survives a killed process and a loss of power (WAL, synchronous=FULL)",
}
_LOAD_ROWS = 1_024
_LTM_CHUNK = 2_000  # records of one bulk store that share a commit
_UNIT_TOLERANCE = 1e-5  # of the squared length; float32 rounding of 384 terms stays below


def from_spec(spec: "TargetSpec") -> "EmbeddedMemory":
    """Build an embedded memory from ``embedded?option=value&...``, options as `EmbeddedOptions`.

    ``embedded:///path`` keeps its file in that directory, else in the one of the spec.

    Raises:
        UsageError: If an option is unknown or its value is wrong.
    """
    directory = Path(spec.location) if spec.location else spec.directory
    return EmbeddedMemory(spec.read_options(EmbeddedOptions), directory)


class EmbeddedMemory(MemoryTarget):
    """A three-tier memory in this process, with LTM in one SQLite file. Thread-safe.

    Vectors are kept at unit length and compared by cosine. ``docs/embedded.md`` tells how records
    age and what is durable when.

    Args:
        options: The settings.
        directory: Where the file is or will be; made by ``open`` if missing. One open memory per
            directory.
        embedder: Used instead of the built-in hashed features. It gets a record's state, or its
            content when there is no state.
        clock: Tells the age of records.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     memory = EmbeddedMemory(EmbeddedOptions(), Path(directory))
        ...     memory.open()
        ...     _ = memory.store(Record("agent", "one", content="the door is locked"))
        ...     hits = memory.search("agent", "which door?", k=1)
        ...     memory.close()
        >>> hits[0].record_id
        'one'
    """

    def __init__(
        self,
        options: EmbeddedOptions,
        directory: Path,
        *,
        embedder: Embedder | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._options = options
        self._directory = directory
        self._embedder = embedder
        self._clock = clock
        self._agents: dict[str, AgentMemory] = {}
        self._agents_lock = threading.Lock()
        self._upkeep_lock = threading.Lock()
        self._shared: Shared | None = None
        self._coding: Coding  # set by open, with _shared
        self._upkeep: Upkeep | None = None
        self._directory_lock = -1

    def info(self) -> TargetInfo:
        """Describe the memory; the notes hold every setting that a reader of numbers must know."""
        options = self._options
        notes = {
            "durability": f"{options.durability}: {_DURABILITY_NOTES[options.durability]}",
            "codes": "float32, exact" if options.exact else options.codes,
            "capacity": f"{options.stm_capacity} in STM, {options.im_capacity} in IM, per agent",
            "cells": "none: exact"
            if options.exact
            else f"{options.probed_cells} probed, from {options.cells_threshold} LTM records on",
            "upkeep": "in a thread" if options.background else "in maintain()",
            "embedding": "hashed features" if self._embedder is None else "the caller's",
        }
        if self._shared is not None:
            notes["dictionary"] = self._shared.packer.description
        return TargetInfo("embedded", __version__, _CAPABILITIES, TIERS, notes)

    def open(self) -> None:
        """Load the directory's records; does nothing when open.

        Raises:
            TargetError: If the directory cannot be used, or another embedded memory has it open.
        """
        if self._shared is not None:
            return
        options = self._options
        self._lock_directory()
        try:
            table = Table(self._directory, options.durability, not options.background)
        except TargetError:
            os.close(self._directory_lock)
            raise
        try:
            self._coding = Coding(options, table)
            packer = Packer(table.learned("dictionary"), lambda d: table.learn("dictionary", d))
            self._shared = Shared(
                options, self._clock, packer, table, self._coding.codec, self._wake
            )
            self._load(table)
        except BaseException:
            self._release(table)
            raise
        if options.background:
            self._upkeep = Upkeep(self._do_upkeep)
            self._upkeep.wake()

    def close(self) -> None:
        """Write STM and IM to disk, end the thread and release everything.

        No other call may be under way.

        Raises:
            TargetError: If background upkeep has failed; everything is written and released first.
        """
        if self._shared is None:
            return
        table, upkeep, self._upkeep = self._shared.table, self._upkeep, None
        try:
            if upkeep is not None:
                upkeep.stop()
            for agent in self._agents.values():
                agent.save()
        finally:
            self._release(table)
        if upkeep is not None:
            upkeep.check()

    def store(self, record: Record) -> str:
        """Store a record into its tier, STM when it names none, and return its id.

        A store into LTM is acknowledged, that is committed to disk, when this returns.

        Raises:
            ValueError: If the tier is unknown, or the vector has a wrong shape or no length.
            TypeError: If the state holds something else than JSON-like values.
            sqlite3.Error: If LTM cannot write; the record is then not stored.
        """
        shared = self._opened()
        tier = known_tier(record.tier) or "stm"
        vector = self._vector_of(record)
        held = self._held(shared, record)
        self._agent(record.agent_id).store(tier, [record.record_id], [held], vector[None])
        return record.record_id

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return the record with its state as stored; its vector is exact in STM only."""
        self._opened()
        agent = self._agents.get(agent_id)
        return None if agent is None else agent.retrieve(record_id)

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Return the agent's ``k`` records of the largest cosine, best first.

        Raises:
            ValueError: If the tier is unknown, ``k`` < 1, or query and vector are both missing.
        """
        self._opened()
        known_tier(tier)
        if k < 1:
            raise ValueError(f"k is {k!r}; ask for at least 1 hit")
        vector = query_vector(query, vector, self._embed)
        agent = self._agents.get(agent_id)
        if agent is None:
            return []
        scans = agent.scans(self._unit(vector), tier)
        return [
            Hit(found.record_id, found.score, agent_id, found.tier) for found in nearest(scans, k)
        ]

    def store_many(self, records: Sequence[Record]) -> list[str]:
        """Store records, the last of equal ids winning; those for LTM share commits.

        Raises:
            ValueError: As `store`; raised before anything is stored.
            TypeError: As `store`; raised before anything is stored.
        """
        shared = self._opened()
        groups: dict[str, dict[str, tuple[str, Held, Vector]]] = defaultdict(dict)
        for record in records:
            tier = known_tier(record.tier) or "stm"
            group = groups[record.agent_id]
            group.pop(record.record_id, None)  # so that the last one also comes last
            group[record.record_id] = tier, self._held(shared, record), self._vector_of(record)
        for agent_id, group in groups.items():
            agent = self._agent(agent_id)
            for tier in TIERS:
                chosen = [(key, h, v) for key, (into, h, v) in group.items() if into == tier]
                for part in self._parts(tier, chosen):
                    ids, held, vectors = zip(*part, strict=True)
                    agent.store(tier, ids, held, np.stack(vectors))
        return [record.record_id for record in records]

    def delete(self, agent_id: str, record_id: str) -> bool:
        """Delete a record; when this returns it is gone from disk too."""
        self._opened()
        agent = self._agents.get(agent_id)
        return False if agent is None else agent.delete(record_id)

    def transition(
        self,
        source: str,
        destination: str,
        *,
        agent_id: str | None = None,
        fraction: float | None = None,
        record_ids: Sequence[str] | None = None,
    ) -> int:
        """Move records to an older tier; into LTM, they are acknowledged when this returns.

        Raises:
            ValueError: If the destination is not older than the source, or not exactly one of
                ``fraction`` in (0, 1] and ``record_ids`` (with ``agent_id``) is given.
        """
        self._opened()
        check_transition(
            source, destination, agent_id=agent_id, fraction=fraction, record_ids=record_ids
        )
        return sum(
            agent.transition(source, destination, fraction, record_ids)
            for agent in self._chosen_agents(agent_id)
        )

    def count(self, agent_id: str | None = None, tier: str | None = None) -> int:
        """Return how many records there are.

        Raises:
            ValueError: If the tier is unknown.
        """
        self._opened()
        known_tier(tier)
        wanted = [TIERS.index(tier)] if tier is not None else range(len(TIERS))
        counts = [agent.counts() for agent in self._chosen_agents(agent_id)]
        return sum(of_agent[index] for of_agent in counts for index in wanted)

    def maintain(self) -> None:
        """Move what is past its age, learn codes and cells where due, and shorten the log."""
        shared = self._opened()
        for agent in self._chosen_agents(None):
            agent.age()
        self._do_upkeep(lambda: False)
        shared.table.checkpoint()

    def stats(self) -> dict[str, float]:
        """Return counts and sizes by tier; ``docs/embedded.md`` explains each."""
        shared = self._opened()
        totals: dict[str, float] = defaultdict(float)
        for agent in self._chosen_agents(None):
            for name, value in agent.figures().items():
                totals[name] += value
        totals["agents_total"] = float(len(self._agents))
        totals["ltm_disk_bytes"] = float(shared.table.disk_bytes())
        totals["ltm_log_bytes"] = float(shared.table.log_bytes())
        return dict(totals)

    def _opened(self) -> Shared:
        if self._upkeep is not None:
            self._upkeep.check()
        if self._shared is None:
            raise TargetError("the embedded memory is not open; call open() first")
        return self._shared

    def _lock_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._directory_lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise TargetError(
                f"{self._directory}: {error.strerror}; give a directory that can be written"
            ) from error
        try:
            # The lock is on the directory, so it leaves no file and ends with the process.
            fcntl.flock(self._directory_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._directory_lock)
            raise TargetError(
                f"{self._directory}: another embedded memory has it open; "
                "close that one or give another directory"
            ) from None

    def _release(self, table: Table) -> None:
        self._agents = {}
        self._shared = None
        table.close()
        os.close(self._directory_lock)

    def _load(self, table: Table) -> None:
        batches: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in table.read_all():
            batch = batches[row.agent_id, row.tier, row.codec]
            batch.append(row)
            if len(batch) == _LOAD_ROWS:
                self._coding.load(self._agent(row.agent_id), row.tier, batch)
                batch.clear()
        for (agent_id, tier, _), batch in batches.items():
            if batch:
                self._coding.load(self._agent(agent_id), tier, batch)

    def _agent(self, agent_id: str) -> AgentMemory:
        agent = self._agents.get(agent_id)
        if agent is None:
            with self._agents_lock:
                agent = self._agents.get(agent_id)
                if agent is None:
                    assert self._shared is not None
                    agent = self._agents[agent_id] = AgentMemory(agent_id, self._shared)
        return agent

    def _chosen_agents(self, agent_id: str | None) -> list[AgentMemory]:
        with self._agents_lock:
            if agent_id is None:
                return list(self._agents.values())
            return [self._agents[agent_id]] if agent_id in self._agents else []

    def _parts(self, tier: str, chosen: list[Any]) -> Iterator[list[Any]]:
        """Yield a bulk store's records in parts that a tier takes at once."""
        capacities = {"stm": self._options.stm_capacity, "im": self._options.im_capacity}
        size = max(1, capacities[tier] // 10) if tier in capacities else _LTM_CHUNK
        for start in range(0, len(chosen), size):
            yield chosen[start : start + size]

    def _held(self, shared: Shared, record: Record) -> Held:
        payload = shared.packer.pack(record.content, record.state)
        return Held(payload, record.step, record.importance, self._clock.now_ns())

    def _vector_of(self, record: Record) -> Vector:
        if record.vector is not None:
            return self._unit(record.vector)
        return self._unit(self._embed(record.content if record.state is None else record.state))

    def _embed(self, subject: str | Mapping[str, Any]) -> Vector:
        if self._embedder is not None:
            return self._embedder(subject)
        return embed(subject, self._options.dimensions)

    def _unit(self, vector: Vector) -> Vector:
        vector = np.asarray(vector, np.float32)
        if vector.shape != (self._options.dimensions,):
            raise ValueError(
                f"the vector has shape {vector.shape}; give ({self._options.dimensions},), "
                "or open the memory with other dimensions"
            )
        squared = float(vector @ vector)
        if not 0 < squared < math.inf:
            raise ValueError(
                f"the vector has squared length {squared}; give finite, non-zero ones"
            )
        if abs(squared - 1) > _UNIT_TOLERANCE:
            vector = vector / np.float32(math.sqrt(squared))
        return vector

    def _wake(self, shelf: Shelf) -> None:
        """Wake the upkeep thread if a write to LTM has left it something to do."""
        if self._upkeep is None or self._shared is None:
            return
        tidying = isinstance(shelf, CellShelf) and shelf.wants_tidying()
        if tidying or self._shared.table.wants_checkpoint() or self._coding.wants_learning():
            self._upkeep.wake()

    def _do_upkeep(self, stopped: Callable[[], bool]) -> None:
        shared = self._shared
        assert shared is not None  # the thread ends before the memory closes
        with self._upkeep_lock:
            agents = self._chosen_agents(None)
            self._coding.learn(agents)
            for agent in agents:
                if agent.wants_tidying() and not stopped():
                    agent.tidy(stopped)
            if shared.table.wants_checkpoint() and not stopped():
                shared.table.checkpoint()
