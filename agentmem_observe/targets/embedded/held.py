"""STM and IM of one agent: records held in RAM, up to a capacity."""

import sys
from collections.abc import Sequence

import msgspec

from agentmem_observe.model import Vector
from agentmem_observe.targets.embedded.codes import Codec, CodeMatrix
from agentmem_observe.targets.embedded.shelf import Shelf


class Held(msgspec.Struct, gc=False):
    """A record without its id and vector. Not tracked by the garbage collector: it has no cycles.

    Attributes:
        payload: Content and state, packed.
        step: The agent's step.
        importance: From 0 to 1.
        stored_ns: When it was stored, on the memory's clock.
        number: Its row on disk, of this or of an earlier version; 0 if there is none.
    """

    payload: bytes
    step: int
    importance: float
    stored_ns: int
    number: int = 0


_HELD_BYTES = sys.getsizeof(Held(b"", 0, 0.5, 2**40)) + 2 * 32 + 24  # with its numbers


class HeldTier:
    """A tier in RAM. Guarded by the agent's lock.

    Args:
        name: ``stm`` or ``im``.
        capacity: Records it takes, >= 1.
        age_ns: Age at which records leave, or None for never.
        codec: How vectors become rows.
    """

    def __init__(self, name: str, capacity: int, age_ns: int | None, codec: Codec) -> None:
        self.name = name
        self.capacity = capacity
        self.shelf = Shelf(codec)
        self.records: dict[str, Held] = {}
        self.payload_bytes = 0
        self._age_ns = age_ns
        self._next_due_ns: int | None = None  # no record is due before; None if none will be

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self.records

    def put(
        self, ids: Sequence[str], records: Sequence[Held], codes: CodeMatrix, scales: Vector
    ) -> None:
        """Take in records that are not here, with their code rows."""
        if not ids:
            return
        self.shelf.add(ids, codes, scales)
        self.records.update(zip(ids, records, strict=True))
        self.payload_bytes += sum(len(held.payload) for held in records)
        if self._age_ns is not None:
            due_ns = min(held.stored_ns for held in records) + self._age_ns
            known_ns = self._next_due_ns
            self._next_due_ns = due_ns if known_ns is None else min(due_ns, known_ns)

    def remove(self, record_id: str) -> Held:
        """Remove a record that is here and return it."""
        held = self.records.pop(record_id)
        self.shelf.remove(record_id)
        self.payload_bytes -= len(held.payload)
        return held

    def first_to_leave(self, count: int) -> list[str]:
        """Return the ids of the least important records, the oldest of them first."""

        def worth(record_id: str) -> tuple[float, int]:
            held = self.records[record_id]
            return held.importance, held.step

        return sorted(self.records, key=worth)[:count]  # stable: as stored where all is equal

    def index_bytes(self) -> int:
        """Return the size of what finds records by id, in bytes, without the shelf's index."""
        return sys.getsizeof(self.records) + _HELD_BYTES * len(self.records)

    def due(self, now_ns: int) -> list[str]:
        """Return the ids of records past their age, in the order in which they were stored."""
        if self._age_ns is None or self._next_due_ns is None or now_ns < self._next_due_ns:
            return []
        born_ns = now_ns - self._age_ns
        due = [key for key, held in self.records.items() if held.stored_ns <= born_ns]
        kept = (held.stored_ns for held in self.records.values() if held.stored_ns > born_ns)
        oldest_ns = min(kept, default=None)
        self._next_due_ns = None if oldest_ns is None else oldest_ns + self._age_ns
        return due
