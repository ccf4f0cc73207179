"""The frozen values that travel between the layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float32]
"""An embedding, shape (dimensions,), float32, unit length unless said otherwise."""

Float64Array: TypeAlias = npt.NDArray[np.float64]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Uint8Array: TypeAlias = npt.NDArray[np.uint8]

TIERS = ("stm", "im", "ltm")
"""Short-term, intermediate and long-term memory, in the order in which records age."""


@dataclass(frozen=True, slots=True)
class Record:
    """One item in an agent's memory.

    Attributes:
        agent_id: Whose memory it is.
        record_id: Unique per agent; storing the same id again replaces the record.
        content: Text of the record, may be empty.
        state: The agent's state as JSON-like values, or None.
        vector: Embedding of the record, or None to let the target make one.
        importance: From 0 (forget first) to 1 (keep longest).
        step: The agent's step number, >= 0; later steps are younger.
        tier: Where to store it, or where it was found; None leaves it to the target.
    """

    agent_id: str
    record_id: str
    content: str = ""
    state: Mapping[str, Any] | None = None
    vector: Vector | None = None
    importance: float = 0.5
    step: int = 0
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; lists of hits are ordered best first.

    Attributes:
        record_id: The record that was found.
        score: Similarity, higher is nearer; comparable within one answer only.
        agent_id: Whose record it is.
        tier: Where it was found, None if the target has no tiers.
    """

    record_id: str
    score: float
    agent_id: str
    tier: str | None = None


class Outcome(IntEnum):
    """How an operation ended. Only ``OK`` counts as throughput.

    Codes from ``ERROR`` upwards are errors; ``ERROR + k`` is of the batch's ``error_types[k]``.
    """

    OK = 0
    EMPTY = 1  # it answered, but with nothing, where something had been stored
    WRONG = 2  # it answered with something else than was stored
    TIMEOUT = 3  # it took longer than allowed, or said so itself
    ERROR = 4  # it raised


@dataclass(frozen=True, slots=True)
class ObservationBatch:
    """Operations of one kind as measured: parallel arrays, one element per operation.

    Attributes:
        operation: OpenTelemetry's ``gen_ai.operation.name``, such as ``create_memory``.
        tier: The tier worked on, or "" if the operation names none.
        started: When each was sent, nanoseconds on the run's clock, shape (n,).
        finished: When each answered, shape (n,).
        outcome: Outcome code of each, shape (n,).
        intended: When each was due, shape (n,); None in a closed loop: they are due when sent.
        ready: When each was due and its worker free, the earliest possible start, shape (n,);
            None in a closed loop.
        error_types: Names of the exceptions behind codes ``Outcome.ERROR + k``.
    """

    operation: str
    tier: str
    started: Int64Array
    finished: Int64Array
    outcome: Uint8Array
    intended: Int64Array | None = None
    ready: Int64Array | None = None
    error_types: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.finished)
