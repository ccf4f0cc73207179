"""LTM of one agent: payloads and codes in the file, codes also in RAM for searching."""

from collections.abc import Callable, Sequence

import numpy as np

from agentmem_observe.model import Vector
from agentmem_observe.targets.embedded.codes import CodeMatrix
from agentmem_observe.targets.embedded.held import Held
from agentmem_observe.targets.embedded.shelf import Shelf
from agentmem_observe.targets.embedded.table import Row, Table


class LongTerm:
    """A tier on disk with its vectors in RAM. Guarded by the agent's lock.

    Args:
        agent_id: Whose records.
        table: The file.
        shelf: Where the vectors go.
        wake: Called after each write, with the shelf.
    """

    def __init__(
        self, agent_id: str, table: Table, shelf: Shelf, wake: Callable[[Shelf], None]
    ) -> None:
        self.agent_id = agent_id
        self.shelf = shelf
        self._table = table
        self._wake = wake

    def __len__(self) -> int:
        return len(self.shelf)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self.shelf

    def put(
        self, ids: Sequence[str], records: Sequence[Held], codes: CodeMatrix, scales: Vector
    ) -> None:
        """Write records to disk, in place of their older versions, then take them in.

        On return they are committed: LTM has acknowledged them. Records that are here already are
        replaced.
        """
        coded = self.shelf.codec.name, codes, scales
        rows = rows_of(self.agent_id, "ltm", ids, records, coded)
        replaced = [held.number for held in records if held.number]
        replaced += [self.shelf.number(record_id) for record_id in ids if record_id in self.shelf]
        numbers = self._table.replace(rows, replaced)
        for record_id in ids:
            if record_id in self.shelf:
                self.shelf.remove(record_id)
        self.shelf.add(ids, codes, scales, numbers)
        self._wake(self.shelf)

    def remove(self, record_id: str) -> int:
        """Forget a record in RAM and return the number of its row, which stays on disk."""
        number = self.shelf.number(record_id)
        self.shelf.remove(record_id)
        return number

    def read(self, record_id: str) -> Row:
        """Return the row of a record that is here."""
        return self._table.read(self.shelf.number(record_id))

    def recode_rows(self) -> None:
        """Write the shelf's codes over those on disk, after the shelf has a new codec."""
        codec, ids = self.shelf.codec, list(self.shelf)
        codes, scales = self.shelf.coded(ids)
        self._table.recode(
            codec.name,
            [
                (self.shelf.number(record_id), code.tobytes(), scale)
                for record_id, code, scale in zip(ids, codes, scales.tolist(), strict=True)
            ],
        )


def rows_of(
    agent_id: str,
    tier: str,
    ids: Sequence[str],
    records: Sequence[Held],
    coded: tuple[str, CodeMatrix, Vector],
    now_ns: int | None = None,
) -> list[Row]:
    """Return the rows of records, not yet numbered.

    Args:
        agent_id: Whose records.
        tier: Where they will be found after a reopen.
        ids: Record ids.
        records: The records, in the same order.
        coded: Codec name, code rows and scales of their vectors.
        now_ns: When they are written, on the memory's clock; None in LTM, where none ages.
    """
    codec, codes, scales = coded
    return [
        Row(
            number=0,
            agent_id=agent_id,
            record_id=record_id,
            tier=tier,
            step=held.step,
            importance=held.importance,
            age_ns=0 if now_ns is None else now_ns - held.stored_ns,
            payload=held.payload,
            codec=codec,
            codes=np.ascontiguousarray(code).tobytes(),
            scale=scale,
        )
        for record_id, held, code, scale in zip(ids, records, codes, scales.tolist(), strict=True)
    ]
