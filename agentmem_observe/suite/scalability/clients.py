"""Clients who work at the same time, each for an agent of its own."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.model import Hit, Outcome, Record
from agentmem_observe.suite.scalability.sharing import shared
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.workload.operations import Operation, Script, mixed

OPERATIONS = ("create_memory", "retrieve_memory", "search_memory")
"""What clients send, each as often as the others, in random order."""

_K = 5
_HELD = 50  # records that a client's agent has before it is measured
_OF_A_LOOP = ("total_time_seconds", "loop", "validity")


class Client:
    """One client: its agent's records, and what it does with them.

    Args:
        target: What it calls.
        number: Which client it is.
        records: What it stores, the first ones before it is measured; more than it needs.
        seed: Decides the order of operations.
    """

    def __init__(
        self, target: MemoryTarget, number: int, records: Sequence[Record], seed: int
    ) -> None:
        self._target = target
        self._agent = f"client_{number}"
        self._records = [replace(record, agent_id=self._agent) for record in records]
        self._random = np.random.default_rng([seed, number])
        self._seed = seed + number

    @property
    def held(self) -> Sequence[Record]:
        """The records that must be stored before its script is run."""
        return self._records[:_HELD]

    def script(self, count: int) -> Script:
        """Return a script of so many operations."""
        asked = self._random.integers(_HELD, size=count).tolist()
        records, agent = self._records, self._agent

        def new(number: int) -> Record:
            base = records[_HELD + number % (len(records) - _HELD)]
            return replace(base, record_id=f"new_{number}")

        fresh = [new(number) for number in range(count)]

        def check_record(number: int, found: Record | None) -> Outcome:
            if found is None:
                return Outcome.EMPTY
            return Outcome.OK if is_kept(records[asked[number]], found) else Outcome.WRONG

        def check_hits(number: int, hits: list[Hit]) -> Outcome:
            if not hits:
                return Outcome.EMPTY
            strange = len(hits) > _K or any(hit.agent_id != agent for hit in hits)
            return Outcome.WRONG if strange else Outcome.OK

        def search(number: int) -> list[Hit]:
            record = records[asked[number]]
            return self._target.search(agent, record.state, _K, vector=record.vector)

        operations = (
            Operation(
                "create_memory", lambda number: self._target.store(fresh[number]), _check_id
            ),
            Operation(
                "retrieve_memory",
                lambda number: self._target.retrieve(agent, records[asked[number]].record_id),
                check_record,
            ),
            Operation("search_memory", search, check_hits),
        )
        return mixed(operations, count, self._seed)


def work_at_once(bench: Bench, client_count: int, operations: int) -> dict[str, Any]:
    """Let clients work on one fresh target in a closed loop each.

    Args:
        bench: Builds and measures.
        client_count: Threads, >= 1.
        operations: Of each, >= 1.

    Returns:
        The figures of the loop, those of each operation, and how the target was shared.
    """
    records = list(bench.generate(2 * _HELD))
    with bench.target() as target:
        used, sharing = shared(target)
        clients = [Client(used, n, records, bench.seed) for n in range(client_count)]
        for client in clients:
            bench.fill(target, client.held)
        scripts = [client.script(operations) for client in clients]
        gc.collect()
        gc.freeze()  # what the clients hold must not make the target's collections longer
        measured = bench.closed_loop(scripts)
    return {
        "clients_count": client_count,
        "sharing": sharing,
        **measured.summary(),
        "operations": {name: _of_one(measured, name) for name in OPERATIONS},
    }


def _check_id(number: int, record_id: str) -> Outcome:
    return Outcome.OK if record_id else Outcome.EMPTY


def _of_one(measured: Measurement, operation: str) -> dict[str, Any]:
    summary = measured.of(operation).summary()
    return {key: value for key, value in summary.items() if key not in _OF_A_LOOP}
