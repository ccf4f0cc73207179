"""What the embedded memory is compared with: dictionaries and arrays, and a bare SQLite file."""

import sqlite3
from collections.abc import Sequence

import msgspec
import numpy as np

from agentmem_observe.model import Record
from agentmem_observe.suite.integration.raw.path import vector_of
from agentmem_observe.targets.registry import TargetSpec


class Arrays:
    """Dictionaries of states, and a float32 array of vectors for each agent."""

    description = "a dict of states and a float32 array per agent"

    def __init__(self, spec: TargetSpec, records: Sequence[Record], k: int) -> None:
        self._records = records
        self._k = k
        self._vectors = [vector_of(record) for record in records]
        self._states: dict[tuple[str, str], object] = {}
        sizes: dict[str, int] = {}
        for record in records:
            sizes[record.agent_id] = sizes.get(record.agent_id, 0) + 1
        self._rows = {
            agent: np.zeros((size, len(vector_of(records[0]))), np.float32)
            for agent, size in sizes.items()
        }
        self._ids: dict[str, list[str]] = {agent: [] for agent in sizes}

    def store(self, place: int) -> object:
        """Keep the state and copy the vector."""
        record = self._records[place]
        self._states[record.agent_id, record.record_id] = record.state
        ids = self._ids[record.agent_id]
        self._rows[record.agent_id][len(ids)] = self._vectors[place]
        ids.append(record.record_id)
        return record.record_id

    def retrieve(self, place: int) -> object:
        """Look the state up."""
        record = self._records[place]
        return self._states.get((record.agent_id, record.record_id))

    def search(self, place: int) -> Sequence[str]:
        """Multiply, and sort what is largest."""
        record = self._records[place]
        ids = self._ids[record.agent_id]
        scores = self._rows[record.agent_id][: len(ids)] @ self._vectors[place]
        best = np.argsort(-scores)[: self._k]
        return [ids[row] for row in best.tolist()]

    def close(self) -> None:
        """Forget everything."""
        self._states.clear()
        self._rows.clear()


class File(Arrays):
    """Rows of a SQLite file in the mode that the embedded memory uses, a commit each."""

    description = (
        "an INSERT of packed bytes per record and commit (WAL, synchronous=NORMAL, 8 kB pages), "
        "a SELECT by key, and searches in a float32 array per agent"
    )

    def __init__(self, spec: TargetSpec, records: Sequence[Record], k: int) -> None:
        super().__init__(spec, records, k)
        self._packed = [
            (r.agent_id, r.record_id, msgspec.msgpack.encode(r.state), vector_of(r).tobytes())
            for r in records
        ]
        self._keys = [(record.agent_id, record.record_id) for record in records]
        self._file = sqlite3.connect(spec.directory / "raw.sqlite3", isolation_level=None)
        for setting in ("page_size = 8192", "journal_mode = WAL", "synchronous = NORMAL"):
            self._file.execute(f"PRAGMA {setting}")
        self._file.execute(
            "CREATE TABLE records (agent TEXT, id TEXT, payload BLOB, vector BLOB, "
            "PRIMARY KEY (agent, id)) WITHOUT ROWID"
        )

    def store(self, place: int) -> object:
        """Insert one row, and copy the vector."""
        self._file.execute("INSERT INTO records VALUES (?, ?, ?, ?)", self._packed[place])
        return super().store(place)

    def retrieve(self, place: int) -> object:
        """Select one row."""
        return self._file.execute(
            "SELECT payload FROM records WHERE agent = ? AND id = ?", self._keys[place]
        ).fetchone()

    def close(self) -> None:
        """Close the file; its directory is the run's."""
        super().close()
        self._file.close()
