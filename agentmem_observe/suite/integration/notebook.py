"""A target as an agent's memory: every call timed, every answer judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from agentmem_observe.bench.context import AGENT
from agentmem_observe.model import ObservationBatch, Outcome, Record, Vector
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.workload.driver import DriverOptions, Sink
from agentmem_observe.workload.stamps import int64_array

NEEDED = (
    Capability.RETRIEVE,
    Capability.SEARCH,
    Capability.UPDATE,
    Capability.CALLER_IDS,
    Capability.READ_YOUR_WRITES,
)
"""What a target must have to be an agent's memory here."""

_K = 3  # situations that are recalled at a time

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Calls:
    """What was noted of one kind of call."""

    started: list[int] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    outcome: list[int] = field(default_factory=list)


class Notebook:
    """A `Recollection` on a target.

    It knows what it was told to remember, and judges by that: a search for something remembered
    that does not find it is ``wrong``, and so is a record that comes back changed. The agent gets
    what the target answers, right or not.

    Args:
        target: Open, with what `NEEDED` names; holds nothing of `AGENT` yet.
        options: Clock and time limit.
    """

    def __init__(self, target: MemoryTarget, options: DriverOptions) -> None:
        self._target = target
        self._now = options.clock.now_ns
        self._timeout_ns = round(options.timeout_seconds * 1e9)
        self._takes_vectors = Capability.VECTORS_IN in target.info().capabilities
        self._calls: dict[str, _Calls] = {}
        self._errors: dict[str, int] = {}
        self._held: dict[str, Mapping[str, Any]] = {}
        self._vectors: dict[str, Vector] = {}
        self._step = 0
        self.inside_ns = 0
        """Time spent in calls so far."""
        self.operations = 0
        """Calls so far."""

    def remember(self, key: str, about: str | Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Store a state under its key."""
        text = about if isinstance(about, str) else ""
        vector = self._vector(about)
        record = Record(AGENT, key, text, dict(state), vector, step=self._step)
        self._step += 1
        stored = self._call(
            "create_memory",
            lambda: self._target.store(record),
            lambda record_id: Outcome.OK if record_id == key else Outcome.WRONG,
        )
        if stored is not None:
            self._held[key] = dict(state)

    def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Search, and retrieve what was found."""
        vector = self._vector(about)
        query = None if vector is not None else about
        ids = self._call(
            "search_memory",
            lambda: [
                hit.record_id for hit in self._target.search(AGENT, query, _K, vector=vector)
            ],
            lambda found: self._judge_search(key, found),
        )
        return [state for state in map(self._state_of, ids or ()) if state is not None]

    def hand_over(self, sink: Sink) -> None:
        """Hand the calls since the last time to a sink."""
        for operation, calls in self._calls.items():
            started, finished = int64_array(calls.started), int64_array(calls.finished)
            outcome = np.array(calls.outcome, np.uint8)
            outcome[finished - started > self._timeout_ns] = Outcome.TIMEOUT
            errors = tuple(self._errors)
            sink(ObservationBatch(operation, "", started, finished, outcome, error_types=errors))
        self._calls.clear()

    def _state_of(self, record_id: str) -> Mapping[str, Any] | None:
        record = self._call(
            "retrieve_memory",
            lambda: self._target.retrieve(AGENT, record_id),
            lambda record: self._judge_record(record_id, record),
        )
        return record.state if record is not None else None

    def _judge_search(self, key: str, found: list[str]) -> Outcome:
        if self._held and not found:
            return Outcome.EMPTY
        missed = key in self._held and key not in found
        return Outcome.WRONG if missed or len(found) > _K else Outcome.OK

    def _judge_record(self, record_id: str, record: Record | None) -> Outcome:
        if record is None:
            return Outcome.EMPTY
        held = self._held.get(record_id)
        return Outcome.OK if record.state == held else Outcome.WRONG

    def _call(
        self, operation: str, call: Callable[[], Answer], judge: Callable[[Answer], Outcome]
    ) -> Answer | None:
        """Time and judge a call; return its answer, or None if it raised."""
        calls = self._calls.setdefault(operation, _Calls())
        answer: Answer | None = None
        started = self._now()
        try:
            answer = call()
        except Exception as error:
            finished = self._now()
            outcome = self._code_of(error)
        else:
            finished = self._now()
            outcome = judge(answer)
        calls.started.append(started)
        calls.finished.append(finished)
        calls.outcome.append(outcome)
        self.inside_ns += finished - started
        self.operations += 1
        return answer

    def _code_of(self, error: Exception) -> int:
        if isinstance(error, TimeoutError):
            return Outcome.TIMEOUT
        return Outcome.ERROR + self._errors.setdefault(type(error).__name__, len(self._errors))

    def _vector(self, about: str | Mapping[str, Any]) -> Vector | None:
        """Return what the agent perceives, as a vector; not the memory's time but the agent's."""
        if not self._takes_vectors:
            return None
        key = str(about)
        if key not in self._vectors:
            self._vectors[key] = embed(about)
        return self._vectors[key]
