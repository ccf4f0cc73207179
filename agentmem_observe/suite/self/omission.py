"""A target that freezes, and its latency: worked out, and measured the seeds' way.

While a target stands still, a load generator that waits for each answer sends nothing, and so
never measures the requests that users would have sent meanwhile: coordinated omission.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.model import Record
from agentmem_observe.targets.fake import FakeScript, FakeTarget, Freeze
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.operations import Operation, Script, repeat
from agentmem_observe.workload.stamps import int64_array

_RECORD = Record("benchmark_agent", "state_0")


@dataclass(frozen=True, slots=True)
class Case:
    """A constant load on a target that serves one operation at a time and freezes regularly.

    Attributes:
        duration_seconds: Length of the load, a multiple of ``freeze_every_seconds``.
        rate: Operations per second.
        service_seconds: What an operation takes when nothing is frozen.
        freeze_every_seconds: From one freeze to the next; the first comes after half of it.
        freeze_for_seconds: Length of each.
    """

    duration_seconds: float = 60.0
    rate: float = 100.0
    service_seconds: float = 0.001
    freeze_every_seconds: float = 10.0
    freeze_for_seconds: float = 1.0

    @property
    def freeze(self) -> Freeze:
        """Return the windows in which the target stands still."""
        return Freeze(self.freeze_every_seconds, self.freeze_for_seconds)

    @property
    def arrivals(self) -> Constant:
        """Return when operations are due."""
        return Constant(self.rate, self.duration_seconds)


def truth(case: Case) -> Histogram:
    """Return the latencies that users of the load have, by arithmetic alone.

    Each operation starts when it is due and the one before it is done.
    """
    due_ns = np.rint(np.concatenate([*case.arrivals.blocks()]) * 1e9).astype(np.int64)
    work_ns = round(case.service_seconds * 1e9)
    finished_ns = 0
    latencies = np.empty_like(due_ns)
    for number, due in enumerate(due_ns.tolist()):
        finished_ns = case.freeze.finish_ns(max(due, finished_ns), work_ns)
        latencies[number] = finished_ns - due
    histogram = Histogram()
    histogram.record(latencies)
    return histogram


@contextmanager
def frozen_target(case: Case, clock: Clock = SYSTEM_CLOCK) -> Iterator[FakeTarget]:
    """Open a scripted target that freezes; its time starts now."""
    script = FakeScript(service_seconds=case.service_seconds, freeze=case.freeze)
    target = FakeTarget(script, clock)
    target.open()
    try:
        yield target
    finally:
        target.close()


def script(case: Case, target: FakeTarget) -> Script:
    """Return the operations of the case, stores all."""
    store = Operation("create_memory", lambda number: target.store(_RECORD))
    return repeat(store, round(case.rate * case.duration_seconds) + 1)


def seed_method(
    case: Case,
    target: FakeTarget,
    advance: Callable[[float], None],
    clock: Clock = SYSTEM_CLOCK,
) -> Histogram:
    """Return the latencies that the seeds' resource benchmark reports for the case.

    Its loop: sleep 10 ms, send what has become due, and time each operation from when it was sent.
    """
    now, began = clock.now_ns, clock.now_ns()
    durations: list[int] = []
    while (elapsed_ns := now() - began) < case.duration_seconds * 1e9:
        while len(durations) < int(elapsed_ns * 1e-9 * case.rate):
            started = now()
            target.store(_RECORD)
            durations.append(now() - started)
            advance(1)
        clock.sleep_until_ns(now() + 10_000_000)
    histogram = Histogram()
    histogram.record(int64_array(durations))
    return histogram
