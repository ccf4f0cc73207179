"""Cells: a large LTM shelf sorted by nearness, so that a search scans a part of it only.

New vectors are loose and scanned by every search. `CellShelf.tidy`, called by ``maintain`` or by
the background thread, learns cell centres (spherical k-means) and sorts loose vectors into cells
in small steps. When the shelf has grown to four times what its centres were learned from, it
learns new ones and sorts the old cells into the new; until that is done a search looks into both.
"""

import math
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np

from agentmem_observe.model import Int64Array, Vector
from agentmem_observe.targets.embedded.codes import Codec, Matrix
from agentmem_observe.targets.embedded.shelf import Block, Group, Rows, Shelf, View

LOOSE_ROWS = 8_192  # loose vectors that are worth sorting: 0.5 ms of every search
_GROWTH = 4  # learn new centres when the shelf has grown so many times
_STEP_BLOCKS = 8  # blocks compared with the centres at a time
_STEP_ROWS = 512  # rows moved per hold of the agent's lock: some milliseconds
_SAMPLE_PER_CELL = 32
_ROUNDS = 8
_PART_ROWS = 1_024  # vectors added up at a time: about 2 ms
_CHUNK_ROWS = 4_096  # vectors compared with all centres at once: 16 MB of scores at 1,024 cells


class Cells(NamedTuple):
    """Cell centres of unit length, shape (cells, dimensions), and the blocks of each cell."""

    centres: Matrix
    groups: list[Group]
    learned_from: int


class CellShelf(Shelf):
    """A shelf that can sort itself into cells.

    Args:
        codec: How vectors become rows.
        threshold: Vectors from which on cells are worth having.
        probed: Cells a search looks into, >= 1.
    """

    def __init__(self, codec: Codec, threshold: int, probed: int) -> None:
        super().__init__(codec)
        self._threshold = threshold
        self._probed = probed
        self._generations: list[Cells] = []

    @property
    def cell_count(self) -> int:
        """How many cells there are, 0 while everything is loose."""
        return len(self._generations[-1].groups) if self._generations else 0

    def views(self, query: Vector) -> list[View]:
        """Return all loose blocks and those of the cells nearest to the query."""
        views = super().views(query)
        for cells in self._generations:
            for cell in _nearest_cells(cells.centres, query, self._probed):
                views += [View(block, len(block.ids), block.dead) for block in cells.groups[cell]]
        return views

    def index_bytes(self) -> int:
        """Return the size of ids, places and cell centres, in bytes."""
        return super().index_bytes() + sum(cells.centres.nbytes for cells in self._generations)

    def recode(self, codec: Codec) -> None:
        """Change the codec, code all vectors anew and leave them loose."""
        super().recode(codec)
        self._generations = []

    def wants_tidying(self) -> bool:
        """Tell whether there is something for `tidy` to do."""
        if self._learning_is_due():
            return True
        loose = sum(block.live for block in self.loose)
        return bool(self._generations) and (loose >= LOOSE_ROWS or len(self._generations) > 1)

    def tidy(self, lock: Lock, stopped: Callable[[], bool]) -> None:
        """Learn cells if that is due, and sort what is loose or in older cells into them.

        The caller must not hold the agent's lock, and must not tidy one shelf in two threads.

        Args:
            lock: The agent's lock; held for some milliseconds at a time.
            stopped: Asked between steps; when true, the rest stays as it is.
        """
        with lock:
            due, learned_from = self._learning_is_due(), len(self)
            views = [View(block, len(block.ids), None) for block in self._blocks.values()]
        if due:
            centres = _learn_centres(self._sample(views), _cell_count(learned_from))
            groups: list[Group] = [[] for _ in centres]
            with lock:
                self._generations.append(Cells(centres, groups, learned_from))
        if not self._generations:
            return
        with lock:
            unsorted = self._unsorted_blocks()
            newest = self._generations[-1]
        for first in range(0, len(unsorted), _STEP_BLOCKS):
            if stopped():
                return
            self._sort(unsorted[first : first + _STEP_BLOCKS], newest, lock)
        with lock:
            self._generations = [
                cells for cells in self._generations if cells is newest or any(cells.groups)
            ]

    def _learning_is_due(self) -> bool:
        if not self._generations:
            return len(self) >= self._threshold
        return len(self) >= _GROWTH * self._generations[-1].learned_from

    def _sample(self, views: list[View]) -> Matrix:
        """Return decoded vectors taken evenly from blocks; removed ones do no harm."""
        total = sum(view.rows for view in views)
        every = max(1, total // (_SAMPLE_PER_CELL * _cell_count(total)))
        codes = np.concatenate([view.block.codes[: view.rows : every] for view in views])
        scales = np.concatenate([view.block.scales[: view.rows : every] for view in views])
        return self.codec.decode(codes, scales)

    def _unsorted_blocks(self) -> list[Block]:
        """Return all blocks outside the newest cells, closed to further rows."""
        groups = [self.loose, *(group for old in self._generations[:-1] for group in old.groups)]
        blocks = [block for group in groups for block in group]
        for block in blocks:
            block.sealed = True
        return blocks

    def _sort(self, blocks: list[Block], cells: Cells, lock: Lock) -> None:
        """Move the rows of closed blocks into their cells, some at a time per hold of the lock."""
        counts = [len(block.ids) for block in blocks]  # closed: they do not grow
        pairs = list(zip(blocks, counts, strict=True))
        codes = np.concatenate([block.codes[:count] for block, count in pairs])
        scales = np.concatenate([block.scales[:count] for block, count in pairs])
        numbers = np.concatenate([block.numbers[:count] for block, count in pairs])
        ids = [record_id for block in blocks for record_id in block.ids]
        places = [place for block in blocks for place in block.places()]
        labels = _nearest_cell(self.codec.decode(codes, scales), cells.centres)
        order = np.argsort(labels, kind="stable")
        for first in range(0, len(order), _STEP_ROWS):
            rows = order[first : first + _STEP_ROWS]
            with lock:
                # Skip records that were removed or replaced meanwhile.
                rows = rows[[self._places.get(ids[row]) == places[row] for row in rows.tolist()]]
                for cell in np.unique(labels[rows]).tolist():
                    own = rows[labels[rows] == cell]
                    moved = [ids[row] for row in own.tolist()]
                    self._append(
                        cells.groups[cell], Rows(moved, codes[own], scales[own], numbers[own])
                    )
                self._bury([places[row] for row in rows.tolist()])


def _cell_count(vectors: int) -> int:
    """Return a power of two near the square root: as many centres to compare as rows in a cell."""
    return 2 << round(math.log2(vectors) / 2)


def _learn_centres(sample: Matrix, count: int) -> Matrix:
    """Return ``count`` centres of the sample by spherical k-means; the same sample, the same."""
    random = np.random.default_rng(0)
    centres = sample[random.permutation(len(sample))[:count]]
    for _ in range(_ROUNDS):
        labels = _nearest_cell(sample, centres)
        centres = sample[random.permutation(len(sample))[:count]]  # an empty cell starts anew
        sums = _sums_by_cell(sample, labels, count)
        filled = np.unique(labels)
        centres[filled] = sums[filled]
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return centres


def _sums_by_cell(vectors: Matrix, labels: Int64Array, count: int) -> Matrix:
    """Return the sum of each cell's vectors, shape (count, dimensions)."""
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    order = np.argsort(labels, kind="stable")
    # `reduceat` keeps the interpreter's lock: in small parts it makes no caller wait long.
    for start in range(0, len(order), _PART_ROWS):
        part = order[start : start + _PART_ROWS]
        cells, firsts = np.unique(labels[part], return_index=True)
        sums[cells] += np.add.reduceat(vectors[part], firsts)
    return sums


def _nearest_cell(vectors: Matrix, centres: Matrix) -> Int64Array:
    """Return the nearest centre of each vector, shape (n,)."""
    cells = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _CHUNK_ROWS):
        stop = start + _CHUNK_ROWS
        cells[start:stop] = (vectors[start:stop] @ centres.T).argmax(axis=1)
    return cells


def _nearest_cells(centres: Matrix, query: Vector, count: int) -> list[int]:
    """Return the ``count`` cells whose centres are nearest to the query."""
    if count >= len(centres):
        return list(range(len(centres)))
    nearest: list[int] = np.argpartition(centres @ query, -count)[-count:].tolist()
    return nearest
