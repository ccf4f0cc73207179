"""Agents who remember and recall at the same time on one target: the seeds' agent scaling."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.bench.verification import Verification, is_kept, verify_stored
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.model import Hit, Outcome, Record
from agentmem_observe.suite.scalability.laws import bottlenecks, scaling_laws
from agentmem_observe.suite.scalability.sharing import shared
from agentmem_observe.suite.scalability.traces import Traces
from agentmem_observe.suite.scalability.usage import Usage
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.workload.crew import work_together
from agentmem_observe.workload.driver import Load, Sink
from agentmem_observe.workload.operations import Operation, Script
from agentmem_observe.workload.states import generate_states
from agentmem_observe.workload.vectors import generate_vectors

STORES, RETRIEVES, SEARCHES = 10, 5, 3
"""What each agent does, in this order: the seeds' numbers."""
OPERATIONS = STORES + RETRIEVES + SEARCHES
"""Operations of one agent."""

_K = 5  # hits of a search, as in the seeds
_SEQUENCE = bytes([0] * STORES + [1] * RETRIEVES + [2] * SEARCHES)
_MOST_MADE = 10_000  # states and vectors that agents share: ten thousand agents take 100,000


class _Seat:
    """One thread's agents, one after the other: what they store, read back, and search for."""

    def __init__(self, target: MemoryTarget, records: Sequence[Record]) -> None:
        self.records = records
        self.ids = [""] * len(records)
        self._target = target
        self._scoped = Capability.AGENT_SCOPE in target.info().capabilities

    def script(self) -> Script:
        operations = (
            Operation("create_memory", self._store, self._keep_id),
            Operation("retrieve_memory", self._retrieve, self._check_record),
            Operation("search_memory", self._search, self._check_hits),
        )
        return Script(operations, _SEQUENCE * (len(self.records) // STORES))

    def _store(self, number: int) -> str:
        return self._target.store(self.records[_place(number, 0)])

    def _keep_id(self, number: int, record_id: object) -> Outcome:
        if not record_id:
            return Outcome.EMPTY
        self.ids[_place(number, 0)] = str(record_id)
        return Outcome.OK

    def _retrieve(self, number: int) -> Record | None:
        place = _place(number, STORES)
        record = self.records[place]
        return self._target.retrieve(record.agent_id, self.ids[place] or record.record_id)

    def _check_record(self, number: int, found: Record | None) -> Outcome:
        if found is None:
            return Outcome.EMPTY
        return (
            Outcome.OK if is_kept(self.records[_place(number, STORES)], found) else Outcome.WRONG
        )

    def _search(self, number: int) -> list[Hit]:
        record = self.records[_place(number, STORES + RETRIEVES)]
        return self._target.search(record.agent_id, record.state, _K, vector=record.vector)

    def _check_hits(self, number: int, hits: list[Hit]) -> Outcome:
        if not hits:
            return Outcome.EMPTY
        own = self.records[_place(number, STORES + RETRIEVES)].agent_id
        strange = self._scoped and any(hit.agent_id != own for hit in hits)
        return Outcome.WRONG if strange or len(hits) > _K else Outcome.OK


def _place(number: int, first: int) -> int:
    """Return which of its seat's records an operation is about.

    Args:
        number: Of the operation, over all turns.
        first: Of the first operation of its kind within a turn.
    """
    turn, step = divmod(number, OPERATIONS)
    return turn * STORES + step - first


class Crowd:
    """One case: so many agents at a time, and as many turns as it takes to measure them.

    When an agent is done, a new one takes its turn in the same thread.

    Args:
        bench: The run.
        target: Open and empty.
        agent_count: Agents at a time, >= 1.
        least_operations: Measure at least so many operations, >= 1.

    Attributes:
        bench: The run.
        agent_count: Agents at a time.
        sharing: How agents share the target, in words.
        traces: What the load left in the counters of processes and host.
    """

    def __init__(
        self, bench: Bench, target: MemoryTarget, agent_count: int, least_operations: int
    ) -> None:
        self.bench = bench
        self._target = target
        self._shared, self.sharing = shared(target)
        self.agent_count = agent_count
        self._turns = turns(agent_count, least_operations)
        self._usage = Usage()
        self.traces = Traces(target)
        self._seats = list(self._new_seats())

    def work(self) -> Measurement:
        """Let the agents work, measure them, and verify what they stored."""
        gc.collect()
        gc.freeze()  # the load generator's own objects must not make the target's collections long
        return self.bench.measure(self._run, self._verify)

    def figures(self, measured: Measurement) -> dict[str, Any]:
        """Return the seeds' eleven figures, and then ours."""
        seconds = self._shift.turn_seconds
        elapsed = measured.load.elapsed_seconds
        enough = len(seconds) >= fewest_samples_for(0.95)
        summary = measured.summary()
        return {
            "total_duration_seconds": elapsed / self._turns,
            "avg_agent_duration_seconds": seconds.mean(),
            "min_agent_duration_seconds": seconds.min(),
            "max_agent_duration_seconds": seconds.max(),
            "throughput_agents_per_second": self._agents_ok / elapsed if elapsed > 0 else 0.0,
            **self._usage.figures(),
            "std_deviation_duration": seconds.std(),
            "95th_percentile_duration": np.percentile(seconds, 95) if enough else None,
            "throughput_ops_per_second": measured.throughput,
            "agents_total": len(seconds),
            "agents_ok_total": self._agents_ok,
            "avg_agent_active_seconds": self._shift.active_seconds.mean(),
            "avg_agent_cpu_seconds": self._shift.cpu_seconds / len(seconds),
            "switch_interval_seconds": self._shift.switch_interval_seconds,
            "outcomes": summary["outcomes"],
            "verification": summary["verification"],
            "validity": summary["validity"],
            "sharing": self.sharing,
            "operations": {
                operation: _of_one_operation(measured.of(operation).summary())
                for operation in ("create_memory", "retrieve_memory", "search_memory")
            },
        }

    def _run(self, sink: Sink) -> Load:
        self._shift = shift = work_together(
            [seat.script() for seat in self._seats],
            self.bench.driver,
            turns=self._turns,
            around=self._watched(),
        )
        # The stores come first: verification names one by its position.
        for batch in shift.batches:
            sink(batch)
        return Load(
            elapsed_seconds=shift.elapsed_seconds,
            operations=sum(map(len, shift.batches)),
            workers=len(self._seats),
            active_seconds=float(shift.active_seconds.sum()),
            cpu_wait_seconds=self.traces.cpu_wait_seconds,
        )

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self.traces, self._usage:
            yield

    def _verify(self) -> Verification:
        records = [record for seat in self._seats for record in seat.records]
        ids = [record_id for seat in self._seats for record_id in seat.ids]
        verification = verify_stored(self._target, records, ids, self.bench.seed)
        ok = self._shift.turn_ok.copy()
        ok[[place // STORES for place in verification.unkept]] = False
        self._agents_ok = int(ok.sum())
        return verification

    def _new_seats(self) -> Iterator[_Seat]:
        per_seat = self._turns * STORES
        count = self.agent_count * per_seat
        made = min(_MOST_MADE, count)
        states = list(generate_states(made, seed=self.bench.seed))
        takes_vectors = Capability.VECTORS_IN in self._target.info().capabilities
        vectors = generate_vectors(made, self.bench.seed) if takes_vectors else [None] * made

        def record(place: int) -> Record:
            agent, number = divmod(place, STORES)
            return Record(
                f"agent_{agent}",
                f"state_{agent}_{number}",
                state=states[place % made] | {"step": place},
                vector=vectors[place % made],
                step=number,
            )

        for first in range(0, count, per_seat):
            records = [record(place) for place in range(first, first + per_seat)]
            yield _Seat(self._shared, records)


class Cases:
    """Cases of different numbers of agents, and what they say together."""

    def __init__(self) -> None:
        self._figures: dict[int, dict[str, Any]] = {}
        self._throughputs: dict[int, float] = {}
        self._service_seconds: dict[int, float] = {}
        self._traces: dict[int, tuple[Traces, int]] = {}

    def add(self, crowd: Crowd) -> None:
        """Run a case; one that the system has not threads enough for is left out, with a warning.

        Raises:
            BenchmarkError: If that is so with a single agent.
        """
        count = crowd.agent_count
        try:
            measured = crowd.work()
        except BenchmarkError as error:
            if count == 1:
                raise
            crowd.bench.warn(f"{count:,} agents could not be measured: {error}")
            return
        self._figures[count] = crowd.figures(measured)
        self._throughputs[count] = measured.throughput
        self._service_seconds[count] = measured.aggregate.total().service_time.mean_seconds
        self._traces[count] = crowd.traces, measured.load.operations

    def figures(self) -> dict[int, dict[str, Any]]:
        """Return each case's figures, with its efficiency against one agent and its bottleneck."""
        alone = self._throughputs[1]
        named = bottlenecks(self._traces, self._throughputs, self._service_seconds)
        return {
            count: figures
            | {
                "scaling_efficiency_ratio": self._throughputs[count] / (count * alone)
                if alone
                else None,
                "bottleneck": named[count],
            }
            for count, figures in self._figures.items()
        }

    def laws(self) -> dict[str, Any]:
        """Return the laws that throughput follows."""
        return scaling_laws(self._throughputs, self._service_seconds)


def work_of(agent_count: int, least_operations: int) -> int:
    """Return how many operations a case takes."""
    return turns(agent_count, least_operations) * agent_count * OPERATIONS


def turns(agent_count: int, least_operations: int) -> int:
    """Return how many agents must take turns in each thread until enough operations are measured.

    Examples:
        >>> [turns(agents, 6000) for agents in (1, 10, 500)]
        [334, 34, 1]
    """
    return -(-least_operations // (agent_count * OPERATIONS))


def _of_one_operation(summary: dict[str, Any]) -> dict[str, Any]:
    # One operation of three has no loop, elapsed time or verdict of its own.
    left_out = ("total_time_seconds", "loop", "validity")
    return {key: value for key, value in summary.items() if key not in left_out}
