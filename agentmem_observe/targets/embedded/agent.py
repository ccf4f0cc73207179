"""One agent's memory: three tiers under one lock, and the moves between them."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agentmem_observe.clock import Clock
from agentmem_observe.model import TIERS, Record, Vector
from agentmem_observe.targets.embedded.cells import CellShelf
from agentmem_observe.targets.embedded.codes import Codec, CodeMatrix, Matrix
from agentmem_observe.targets.embedded.held import Held, HeldTier
from agentmem_observe.targets.embedded.ltm import LongTerm, rows_of
from agentmem_observe.targets.embedded.options import EmbeddedOptions
from agentmem_observe.targets.embedded.payload import Packer
from agentmem_observe.targets.embedded.shelf import Scan, Shelf
from agentmem_observe.targets.embedded.table import Row, Table

_EVICTED_SHARE = 10  # a full tier gives away a tenth at once: one commit instead of many


@dataclass(frozen=True, slots=True)
class Shared:
    """What all agents of one memory have in common.

    Attributes:
        options: The memory's settings.
        clock: Tells the age of records.
        packer: Packs and compresses payloads.
        table: The file.
        codec: Returns the codec that a tier uses now, by the tier's name.
        wake: Called after a write to LTM, with its shelf, when upkeep may have become due.
    """

    options: EmbeddedOptions
    clock: Clock
    packer: Packer
    table: Table
    codec: Callable[[str], Codec]
    wake: Callable[[Shelf], None]


class AgentMemory:
    """The records of one agent. Thread-safe.

    A record is in exactly one tier whenever ``lock`` is free. A move into LTM commits before the
    record leaves its old tier, so an error or a kill in between loses nothing; and a record has at
    most one row on disk, so a kill doubles nothing.

    Args:
        agent_id: Whose records.
        shared: What the agent has in common with others.
    """

    def __init__(self, agent_id: str, shared: Shared) -> None:
        options = shared.options
        self.agent_id = agent_id
        self.lock = threading.Lock()
        self._shared = shared
        self.stm = HeldTier(
            "stm", options.stm_capacity, _nanoseconds(options.stm_age_seconds), shared.codec("stm")
        )
        self.im = HeldTier(
            "im", options.im_capacity, _nanoseconds(options.im_age_seconds), shared.codec("im")
        )
        shelf = (
            Shelf(shared.codec("ltm"))
            if options.exact
            else CellShelf(shared.codec("ltm"), options.cells_threshold, options.probed_cells)
        )
        self.ltm = LongTerm(agent_id, shared.table, shelf, shared.wake)

    def store(
        self, tier: str, ids: Sequence[str], records: Sequence[Held], vectors: Matrix
    ) -> None:
        """Store new records, or new versions, into a tier; ids must differ from each other.

        In STM and IM there may be at most a tenth of the capacity of them, or one. Whatever has to
        make room or is past its age moves first.
        """
        with self.lock:
            self._move_due()
            if tier == "ltm":
                self._put_into_ltm(ids, records, vectors)
                return
            held_tier = self._held_tier(tier)
            if tier == "im":
                records = self._compressed(records)
            self._make_room(held_tier, sum(record_id not in held_tier for record_id in ids))
            for record_id, held in zip(ids, records, strict=True):
                # The version on disk, if any, stays there until this one replaces it on disk.
                held.number = self._forget(record_id)
            held_tier.put(ids, records, *held_tier.shelf.codec.encode(vectors))

    def retrieve(self, record_id: str) -> Record | None:
        """Return a record, with its vector as near as its tier keeps it."""
        with self.lock:
            for tier in (self.stm, self.im):
                if record_id in tier:
                    held, name = tier.records[record_id], tier.name
                    payload, step, importance = held.payload, held.step, held.importance
                    vector = tier.shelf.vectors([record_id])[0]
                    break
            else:
                if record_id not in self.ltm:
                    return None
                row, name = self.ltm.read(record_id), "ltm"
                payload, step, importance = row.payload, row.step, row.importance
                vector = self.ltm.shelf.vectors([record_id])[0]
        content, state = self._shared.packer.unpack(payload)
        return Record(self.agent_id, record_id, content, state, vector, importance, step, name)

    def scans(self, query: Vector, tier: str | None) -> list[Scan]:
        """Return what a search has to compare, all tiers as they are at one moment."""
        with self.lock:
            scans = []
            for name, shelf in self._shelves():
                if tier is None or tier == name:
                    scans.append(Scan(name, shelf.views(query), *shelf.codec.project(query)))
            return scans

    def delete(self, record_id: str) -> bool:
        """Delete a record in RAM and on disk; return whether it existed."""
        with self.lock:
            for tier in (self.stm, self.im):
                if record_id in tier:
                    number = tier.records[record_id].number
                    break
            else:
                if record_id not in self.ltm:
                    return False
                number = self.ltm.shelf.number(record_id)
            if number:
                self._shared.table.replace([], [number])
            self._forget(record_id)
            return True

    def transition(
        self,
        source: str,
        destination: str,
        fraction: float | None,
        record_ids: Sequence[str] | None,
    ) -> int:
        """Move a fraction of a tier, or the named records in it; return how many moved."""
        with self.lock:
            tier = self._held_tier(source)
            if fraction is not None:
                count = max(1, round(fraction * len(tier))) if len(tier) else 0
                chosen = tier.first_to_leave(count)
            else:
                chosen = [key for key in dict.fromkeys(record_ids or ()) if key in tier]
            self._move(tier, destination, chosen)
            return len(chosen)

    def age(self) -> None:
        """Move what is past its age."""
        with self.lock:
            self._move_due()

    def counts(self) -> tuple[int, int, int]:
        """Return how many records are in STM, IM and LTM at one moment."""
        with self.lock:
            return len(self.stm), len(self.im), len(self.ltm)

    def load(self, tier: str, rows: Sequence[Row], codes: CodeMatrix, scales: Vector) -> None:
        """Take in rows found on disk, whose codes are of the tier's codec."""
        ids = [row.record_id for row in rows]
        with self.lock:
            if tier == "ltm":
                self.ltm.shelf.add(ids, codes, scales, [row.number for row in rows])
                return
            now_ns = self._shared.clock.now_ns()
            records = [
                Held(row.payload, row.step, row.importance, now_ns - row.age_ns, row.number)
                for row in rows
            ]
            held_tier = self._held_tier(tier)
            held_tier.put(ids, records, codes, scales)

    def save(self) -> None:
        """Write STM and IM to disk, in place of older versions, in one transaction."""
        with self.lock:
            now_ns = self._shared.clock.now_ns()
            rows: list[Row] = []
            held: list[Held] = []
            for tier in (self.stm, self.im):
                ids, records = list(tier.records), list(tier.records.values())
                coded = tier.shelf.codec.name, *tier.shelf.coded(ids)
                rows += rows_of(self.agent_id, tier.name, ids, records, coded, now_ns)
                held += records
            if not rows:
                return
            replaced = [record.number for record in held if record.number]
            numbers = self._shared.table.replace(rows, replaced)
            for record, number in zip(held, numbers, strict=True):
                record.number = number

    def sample(self, count: int) -> Matrix:
        """Return up to ``count`` decoded vectors each of IM and of LTM."""
        with self.lock:
            im = self.im.shelf.vectors(list(itertools.islice(self.im.records, count)))
            ltm = self.ltm.shelf.vectors(list(itertools.islice(self.ltm.shelf, count)))
            return np.concatenate([im, ltm])

    def figures(self) -> dict[str, float]:
        """Return counts and sizes by tier; the keys are explained in ``docs/embedded.md``."""
        with self.lock:
            figures: dict[str, float] = {}
            for name, shelf in self._shelves():
                figures[f"{name}_records_total"] = len(shelf)
                figures[f"{name}_vector_bytes"] = shelf.vector_bytes()
                figures[f"{name}_index_bytes"] = shelf.index_bytes()
            for tier in (self.stm, self.im):
                figures[f"{tier.name}_payload_bytes"] = tier.payload_bytes
                figures[f"{tier.name}_index_bytes"] += tier.index_bytes()
            figures["ltm_payload_bytes"] = 0  # on disk only
            return figures

    def recode(self) -> None:
        """Code the vectors of IM and LTM anew, with the codecs that these tiers use now."""
        with self.lock:
            self.im.shelf.recode(self._shared.codec("im"))
            self.ltm.shelf.recode(self._shared.codec("ltm"))
            self.ltm.recode_rows()

    def tidy(self, stopped: Callable[[], bool]) -> None:
        """Sort LTM's vectors into cells where that is due; see `CellShelf.tidy`."""
        if isinstance(self.ltm.shelf, CellShelf):
            self.ltm.shelf.tidy(self.lock, stopped)

    def wants_tidying(self) -> bool:
        """Tell whether `tidy` has something to do."""
        with self.lock:
            shelf = self.ltm.shelf
            return isinstance(shelf, CellShelf) and shelf.wants_tidying()

    def _held_tier(self, name: str) -> HeldTier:
        return self.stm if name == "stm" else self.im

    def _shelves(self) -> list[tuple[str, Shelf]]:
        return list(zip(TIERS, (self.stm.shelf, self.im.shelf, self.ltm.shelf), strict=True))

    def _forget(self, record_id: str) -> int:
        """Remove a record in RAM, if there is one; return its row on disk, or 0."""
        for tier in (self.stm, self.im):
            if record_id in tier:
                return tier.remove(record_id).number
        return self.ltm.remove(record_id) if record_id in self.ltm else 0

    def _make_room(self, tier: HeldTier, count: int) -> None:
        excess = len(tier) + count - tier.capacity
        if excess > 0:
            leaving = max(excess, tier.capacity // _EVICTED_SHARE)
            older = "im" if tier is self.stm else "ltm"
            self._move(tier, older, tier.first_to_leave(leaving))

    def _move_due(self) -> None:
        now_ns = self._shared.clock.now_ns()
        self._move(self.stm, "im", self.stm.due(now_ns))
        self._move(self.im, "ltm", self.im.due(now_ns))

    def _move(self, source: HeldTier, destination: str, ids: Sequence[str]) -> None:
        """Move records to an older tier, in steps that fit into it."""
        step = self.im.capacity if destination == "im" else max(1, len(ids))
        for start in range(0, len(ids), step):
            part = ids[start : start + step]
            records = self._compressed([source.records[record_id] for record_id in part])
            if destination == "im":
                self._make_room(self.im, len(part))
            older = self.im if destination == "im" else self.ltm
            older.put(part, records, *_coded(source.shelf, part, older.shelf.codec))
            for record_id in part:
                source.remove(record_id)

    def _put_into_ltm(self, ids: Sequence[str], records: Sequence[Held], vectors: Matrix) -> None:
        records = self._compressed(records)
        for record_id, held in zip(ids, records, strict=True):
            for tier in (self.stm, self.im):
                if record_id in tier:
                    held.number = tier.records[record_id].number
        self.ltm.put(ids, records, *self.ltm.shelf.codec.encode(vectors))
        for record_id in ids:
            for tier in (self.stm, self.im):
                if record_id in tier:
                    tier.remove(record_id)

    def _compressed(self, records: Sequence[Held]) -> list[Held]:
        compress = self._shared.packer.compress
        return [
            Held(compress(held.payload), held.step, held.importance, held.stored_ns, held.number)
            for held in records
        ]


def _coded(shelf: Shelf, ids: Sequence[str], codec: Codec) -> tuple[CodeMatrix, Vector]:
    """Return code rows of records on a shelf as another codec makes them."""
    return shelf.coded(ids) if shelf.codec is codec else codec.encode(shelf.vectors(ids))


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
