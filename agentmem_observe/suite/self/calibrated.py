"""Targets whose searches cost a known amount of work: a slow-down that is true by construction."""

from functools import partial

import numpy as np
import numpy.typing as npt

from agentmem_observe.model import Hit, Record, Vector
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo

UNITS = 200
"""Units of work in a search, about a microsecond each: one more is 0.5 % more."""

_DIMENSIONS = 384
_ROWS = 64
_CAPABILITIES = ("retrieve", "search", "update", "caller_ids", "agent_scope", "read_your_writes")


class CalibratedTarget(MemoryTarget):
    """Keeps records in a dictionary; a search does its units of work, whatever it is asked.

    A unit is a turn of a Python loop with a product of two vectors in numpy: half interpreter,
    half arithmetic, as in-process memories are.

    Attributes:
        units: Of work in a search.
    """

    def __init__(self, units: int = UNITS) -> None:
        """Prepare.

        Args:
            units: Of work in a search, >= 1.
        """
        self.units = units
        self._records: dict[tuple[str, str], Record] = {}
        self._rows: list[npt.NDArray[np.float32]] = []

    def info(self) -> TargetInfo:
        """Say how much work a search is."""
        capabilities = frozenset(map(Capability, _CAPABILITIES))
        notes = {"units": str(self.units)}
        return TargetInfo("calibrated", "1", capabilities, notes=notes)

    def open(self) -> None:
        """Make what searches work on; the same in every process."""
        random = np.random.default_rng(1)
        self._rows = list(random.random((_ROWS, _DIMENSIONS), dtype=np.float32))

    def close(self) -> None:
        """Forget everything."""
        self._records = {}

    def store(self, record: Record) -> str:
        """Keep a record."""
        self._records[record.agent_id, record.record_id] = record
        return record.record_id

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return a record."""
        return self._records.get((agent_id, record_id))

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Do the work, and find something."""
        return [Hit("any", self.work(), agent_id)]

    def work(self) -> float:
        """Do all units of work once."""
        rows, query = self._rows, self._rows[0]
        score = 0.0
        for number in range(self.units):
            score += float(rows[number % _ROWS] @ query)
        return score


plain = partial(CalibratedTarget, UNITS)
slower_by_1_5_percent = partial(CalibratedTarget, UNITS + 3)
slower_by_3_percent = partial(CalibratedTarget, UNITS + 6)
