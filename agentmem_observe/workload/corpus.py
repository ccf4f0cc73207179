"""Records by number, each of which can be made again: any volume, and nobody has to keep it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from agentmem_observe.model import Record
from agentmem_observe.workload.states import generate_states
from agentmem_observe.workload.vectors import generate_vectors

BLOCK_SIZE = 500
"""Records that are made together. More would make single ones dear, fewer the topics that all
blocks share: drawing those takes 0.3 ms a block."""

_PREFIX = "volume_state_"  # the seeds' name
_FAR = 10**12  # queries have the numbers from here on: no corpus gets so large


@dataclass(frozen=True, slots=True)
class Corpus:
    """A sequence of records of one agent, without end.

    Attributes:
        agent_id: Whose they are.
        seed: The same seed gives the same records, >= 0.
        with_vectors: Whether they have vectors; without, a target makes its own.

    Examples:
        >>> corpus = Corpus("agent", seed=1)
        >>> [record.record_id for part in corpus.parts(499, 501) for record in part]
        ['volume_state_499', 'volume_state_500']
        >>> corpus.pick([500])[0].state == next(corpus.parts(500, 501))[0].state
        True
    """

    agent_id: str
    seed: int = 0
    with_vectors: bool = True

    def parts(self, first: int, stop: int) -> Iterator[list[Record]]:
        """Yield the records from number ``first`` up to ``stop``, some hundreds at a time."""
        while first < stop:
            block, offset = divmod(first, BLOCK_SIZE)
            part = self._block(block)[offset : offset + stop - first]
            first += len(part)
            yield part

    def pick(self, numbers: Sequence[int]) -> list[Record]:
        """Return the records with these numbers, in their order."""
        made: dict[int, Record] = {}
        for block, wanted in groupby(sorted(set(numbers)), lambda number: number // BLOCK_SIZE):
            records = self._block(block)
            made |= {number: records[number % BLOCK_SIZE] for number in wanted}
        return [made[number] for number in numbers]

    def queries(self, count: int) -> list[Record]:
        """Return records to search for that are like the others and none of them."""
        return self.pick(range(_FAR, _FAR + count))

    def _block(self, block: int) -> list[Record]:
        states = generate_states(BLOCK_SIZE, seed=(self.seed << 64) + block)
        vectors = (
            generate_vectors(BLOCK_SIZE, self.seed, block=block)
            if self.with_vectors
            else [None] * BLOCK_SIZE
        )
        first = block * BLOCK_SIZE
        return [
            Record(
                self.agent_id,
                f"{_PREFIX}{number}",
                state=state | {"step": number},
                vector=vector,
                step=number,
            )
            for number, (state, vector) in enumerate(zip(states, vectors, strict=True), first)
        ]


def number_of(record_id: str) -> int | None:
    """Return the number of the record with this id, None if no corpus has such an id.

    Examples:
        >>> number_of("volume_state_12"), number_of("volume_state_x")
        (12, None)
    """
    digits = record_id.removeprefix(_PREFIX)
    return int(digits) if digits != record_id and digits.isdecimal() else None
