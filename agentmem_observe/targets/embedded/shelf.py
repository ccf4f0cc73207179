"""A tier's vectors of one agent in RAM, and the scan that compares a query with them.

Vectors lie in blocks. A row that was written never changes: a block is only appended to, a removed
row is masked by a new mask, and a full block is replaced by a larger copy. So a `View` taken under
the agent's lock can be scanned without it, and sees the tier exactly as it was.
"""

import sys
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from agentmem_observe.model import Int64Array, Vector
from agentmem_observe.targets.embedded.codes import Codec, CodeMatrix, Matrix

BLOCK_ROWS = 1024  # 384 int8 dimensions cast to float32 fill 1.5 MB, which stays in the L2 cache
_FIRST_ROWS = 16
_ROW_BITS = 10  # a place is block number << 10 | row

BoolArray: TypeAlias = npt.NDArray[np.bool_]


class Rows(NamedTuple):
    """Vectors as a shelf keeps them, column by column.

    Attributes:
        ids: The records they belong to.
        codes: Their code rows.
        scales: The scale of each code row.
        numbers: The records' rows on disk, 0 where there is none.
    """

    ids: Sequence[str]
    codes: CodeMatrix
    scales: Vector
    numbers: Int64Array

    def part(self, start: int, stop: int) -> "Rows":
        """Return some of the rows."""
        return Rows(
            self.ids[start:stop],
            self.codes[start:stop],
            self.scales[start:stop],
            self.numbers[start:stop],
        )


class Block:
    """Up to `BLOCK_ROWS` rows."""

    __slots__ = ("codes", "dead", "group", "ids", "live", "number", "numbers", "scales", "sealed")

    def __init__(self, number: int, group: "Group", capacity: int, codec: Codec) -> None:
        self.number = number
        self.group = group
        self.codes: CodeMatrix = np.empty((capacity, codec.width), codec.dtype)
        self.scales: Vector = np.empty(capacity, np.float32)
        self.numbers: Int64Array = np.empty(capacity, np.int64)
        self.ids: list[str] = []
        self.dead: BoolArray | None = None
        self.live = 0
        self.sealed = False

    @property
    def room(self) -> int:
        """How many more rows may be appended."""
        return 0 if self.sealed else len(self.scales) - len(self.ids)

    def places(self) -> range:
        """Return the places of all rows, removed ones too."""
        first = self.number << _ROW_BITS
        return range(first, first + len(self.ids))

    def extend(self, rows: Rows) -> None:
        """Append rows; there must be room."""
        first, stop = len(self.ids), len(self.ids) + len(rows.ids)
        self.codes[first:stop] = rows.codes
        self.scales[first:stop] = rows.scales
        self.numbers[first:stop] = rows.numbers
        self.ids.extend(rows.ids)
        self.live += len(rows.ids)

    def living(self) -> Rows:
        """Return the rows that were not removed."""
        count = len(self.ids)
        if self.dead is None:
            return Rows(self.ids[:], self.codes[:count], self.scales[:count], self.numbers[:count])
        rows = np.flatnonzero(~self.dead[:count])
        ids = [self.ids[row] for row in rows.tolist()]
        return Rows(ids, self.codes[rows], self.scales[rows], self.numbers[rows])


Group: TypeAlias = list[Block]
"""Blocks that are searched together: a cell, or all that is in no cell."""


class View(NamedTuple):
    """A block as it was at one moment: its first ``rows`` rows without the ``dead`` ones."""

    block: Block
    rows: int
    dead: BoolArray | None


class Shelf:
    """The vectors of one agent in one tier, by record id. Guarded by the agent's lock.

    Args:
        codec: How vectors become rows.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.loose: Group = []
        self._places: dict[str, int] = {}
        self._blocks: dict[int, Block] = {}
        self._next_number = 0
        self._id_bytes = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def add(
        self,
        ids: Sequence[str],
        codes: CodeMatrix,
        scales: Vector,
        numbers: Sequence[int] | None = None,
    ) -> None:
        """Add code rows of records that are not on the shelf, with their numbers on disk."""
        column = np.zeros(len(ids), np.int64) if numbers is None else np.array(numbers, np.int64)
        self._append(self.loose, Rows(ids, codes, scales, column))
        self._id_bytes += sum(map(sys.getsizeof, ids))

    def number(self, record_id: str) -> int:
        """Return the number on disk of a record that is on the shelf."""
        place = self._places[record_id]
        return int(self._blocks[place >> _ROW_BITS].numbers[place & (BLOCK_ROWS - 1)])

    def remove(self, record_id: str) -> None:
        """Remove the vector of a record that is on the shelf."""
        place = self._places.pop(record_id)
        self._id_bytes -= sys.getsizeof(record_id)
        self._bury([place])

    def coded(self, ids: Sequence[str]) -> tuple[CodeMatrix, Vector]:
        """Return the code rows and scales of records on the shelf."""
        codes = np.empty((len(ids), self.codec.width), self.codec.dtype)
        scales = np.empty(len(ids), np.float32)
        for at, record_id in enumerate(ids):
            place = self._places[record_id]
            block, row = self._blocks[place >> _ROW_BITS], place & (BLOCK_ROWS - 1)
            codes[at], scales[at] = block.codes[row], block.scales[row]
        return codes, scales

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return the decoded vectors of records on the shelf, shape (n, dimensions)."""
        return self.codec.decode(*self.coded(ids))

    def views(self, query: Vector) -> list[View]:
        """Return what a search for ``query`` has to scan: here, everything."""
        return [View(block, len(block.ids), block.dead) for block in self.loose]

    def vector_bytes(self) -> int:
        """Return the size of codes and scales, in bytes, with the room kept for growth."""
        return sum(block.codes.nbytes + block.scales.nbytes for block in self._blocks.values())

    def index_bytes(self) -> int:
        """Return the size of ids and of what finds rows by id and ids by row, in bytes."""
        lists = sum(
            sys.getsizeof(block.ids) + block.numbers.nbytes for block in self._blocks.values()
        )
        places = sys.getsizeof(self._places) + 32 * len(self._places)  # an int takes 32 bytes
        return self._id_bytes + lists + places

    def recode(self, codec: Codec) -> None:
        """Change the codec and code all vectors anew."""
        blocks = list(self._blocks.values())
        old, self.codec = self.codec, codec
        self.loose, self._places, self._blocks = [], {}, {}
        for block in blocks:
            rows = block.living()
            codes, scales = codec.encode(old.decode(rows.codes, rows.scales))
            self._append(self.loose, Rows(rows.ids, codes, scales, rows.numbers))

    def _bury(self, places: Sequence[int]) -> None:
        """Mask rows that nothing points to any more; shrink or drop blocks that become empty."""
        rows_by_block: dict[int, list[int]] = {}
        for place in places:
            rows = rows_by_block.setdefault(place >> _ROW_BITS, [])
            rows.append(place & (BLOCK_ROWS - 1))
        for number, rows in rows_by_block.items():
            block = self._blocks[number]
            # Readers hold the old mask: replace it, never write into it.
            dead = np.zeros(len(block.scales), bool) if block.dead is None else block.dead.copy()
            dead[rows] = True
            block.dead = dead
            block.live -= len(rows)
            if not block.live:
                self._discard(block)
            elif not block.room and not block.sealed and 3 * block.live < len(block.ids):
                self._renew(block, block.live)

    def _append(self, group: Group, rows: Rows) -> None:
        start = 0
        while start < len(rows.ids):
            block = self._block_with_room(group)
            place = block.number << _ROW_BITS | len(block.ids)
            stop = start + min(block.room, len(rows.ids) - start)
            part = rows.part(start, stop)
            block.extend(part)
            self._places.update(zip(part.ids, range(place, place + stop - start), strict=True))
            start = stop

    def _block_with_room(self, group: Group) -> Block:
        """Return the group's last block; grown, or with a new one after it, when it is full."""
        last = group[-1] if group else None
        if last is None or last.sealed:
            return self._new_block(group, _FIRST_ROWS)
        if last.room:
            return last
        if last.live > 3 * BLOCK_ROWS // 4:
            return self._new_block(group, _FIRST_ROWS)
        return self._renew(last, 2 * last.live)

    def _renew(self, block: Block, capacity: int) -> Block:
        """Replace a block by a copy of its living rows with another capacity."""
        rows = block.living()
        at = block.group.index(block)
        copy = self._new_block(block.group, min(max(capacity, _FIRST_ROWS), BLOCK_ROWS))
        block.group.remove(copy)
        block.group.insert(at, copy)
        copy.extend(rows)
        self._places.update(zip(rows.ids, copy.places(), strict=True))
        self._discard(block)
        return copy

    def _new_block(self, group: Group, capacity: int) -> Block:
        block = Block(self._next_number, group, capacity, self.codec)
        self._next_number += 1
        self._blocks[block.number] = block
        group.append(block)
        return block

    def _discard(self, block: Block) -> None:
        del self._blocks[block.number]
        block.group.remove(block)


class Scan(NamedTuple):
    """What a search compares in one tier: views, and the query as their codec wants it."""

    tier: str
    views: list[View]
    query: Vector
    offset: float


class Found(NamedTuple):
    """One of the nearest rows."""

    score: float
    record_id: str
    tier: str


class _Scratch(threading.local):
    """A buffer per thread in which code rows become float32, block by block."""

    def __init__(self) -> None:
        self.buffer = np.empty(0, np.float32)

    def matrix(self, rows: int, width: int) -> Matrix:
        if len(self.buffer) < rows * width:
            self.buffer = np.empty(BLOCK_ROWS * width, np.float32)
        return self.buffer[: rows * width].reshape(rows, width)


_scratch = _Scratch()


def nearest(scans: Sequence[Scan], k: int) -> list[Found]:
    """Return the ``k`` rows of the largest scores, best first. Needs no lock.

    Args:
        scans: What to compare, tier by tier.
        k: How many at the most, >= 1.
    """
    views = [view for scan in scans for view in scan.views]
    tiers = [scan.tier for scan in scans for _ in scan.views]
    starts = np.cumsum([0, *(view.rows for view in views)])
    scores = np.empty(int(starts[-1]), np.float32)
    start = 0
    for scan in scans:
        for view in scan.views:
            stop = start + view.rows
            _score(view, scan.query, scores[start:stop])
            if scan.offset:
                scores[start:stop] += np.float32(scan.offset)
            start = stop
    best = np.arange(len(scores))
    if len(scores) > k:
        best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
    found = []
    for position in best[np.argsort(-scores[best], kind="stable")].tolist():
        score = float(scores[position])
        if score > -np.inf:
            at = bisect_right(starts, position) - 1
            found.append(Found(score, views[at].block.ids[position - starts[at]], tiers[at]))
    return found


def _score(view: View, query: Vector, scores: Vector) -> None:
    codes = view.block.codes[: view.rows]
    if codes.dtype != np.float32:
        # numpy has no fast product of int8 and float32: cast into a buffer that stays in cache.
        as_float = _scratch.matrix(view.rows, codes.shape[1])
        np.copyto(as_float, codes)
        codes = as_float
    np.dot(codes, query, out=scores)
    scores *= view.block.scales[: view.rows]
    if view.dead is not None:
        scores[view.dead[: view.rows]] = -np.inf
