"""Keeps the operations of a run that took longest."""

import heapq
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from agentmem_observe.measure.recorder import outcome_name
from agentmem_observe.model import ObservationBatch
from agentmem_observe.workload.driver import Times


class SlowOperation(NamedTuple):
    """One operation.

    Attributes:
        operation: Its name.
        tier: The tier worked on, or "".
        outcome: How it ended, as series are labelled.
        times: Its clock readings.
        within: What it was a part of: whatever `Slowest.see` was given.
    """

    operation: str
    tier: str
    outcome: str
    times: Times
    within: Any


class Slowest:
    """The operations with the longest service times; of equals, those seen first.

    Not the longest latencies: behind one stall those are of the operations that waited in line,
    and what the target did is in the span of the one that it answered late.
    """

    def __init__(self, count: int) -> None:
        """Keep this many, >= 1."""
        self._count = count
        self._kept: list[tuple[int, int, SlowOperation]] = []
        self._order = itertools.count(0, -1)

    def __iter__(self) -> Iterator[SlowOperation]:
        """Yield them, slowest first."""
        return (operation for _, _, operation in sorted(self._kept, reverse=True))

    def see(self, batch: ObservationBatch, within: Any) -> None:
        """Look through a batch.

        Args:
            batch: Operations whose outcome is final.
            within: What they were a part of.
        """
        service = batch.finished - batch.started
        places = np.flatnonzero(service > self._fastest_kept())
        if places.size > self._count:
            # Of equals the first: a stable sort keeps their order.
            order = np.argsort(-service[places], kind="stable")[: self._count]
            places = np.sort(places[order])
        for place in places.tolist():
            self._keep(int(service[place]), _operation(batch, place, within))

    def _fastest_kept(self) -> int:
        return self._kept[0][0] if len(self._kept) == self._count else -1

    def _keep(self, service_ns: int, operation: SlowOperation) -> None:
        entry = (service_ns, next(self._order), operation)
        if len(self._kept) < self._count:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)


def _operation(batch: ObservationBatch, place: int, within: Any) -> SlowOperation:
    started = int(batch.started[place])
    due = started if batch.intended is None else int(batch.intended[place])
    return SlowOperation(
        batch.operation,
        batch.tier,
        outcome_name(int(batch.outcome[place]), batch.error_types),
        Times(due, started, int(batch.finished[place])),
        within,
    )
