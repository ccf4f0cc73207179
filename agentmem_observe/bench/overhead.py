"""What measuring one operation costs, in CPU time."""

import time

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.workload.driver import LARGEST_BLOCK, closed_loop
from agentmem_observe.workload.operations import Operation, repeat
from agentmem_observe.workload.stamps import int64_array

_CALIBRATION_OPERATIONS = 32_768
_CALIBRATION_ROUNDS = 3


def timed_operation_cost(
    operations: int = _CALIBRATION_OPERATIONS, rounds: int = _CALIBRATION_ROUNDS
) -> float:
    """Return the CPU time of measuring one operation that does nothing, in seconds.

    All of it: the call, both clock readings, keeping them, and folding them into the histograms of
    latency and service time. The best of some rounds, because what is added is interference.

    Args:
        operations: How many per round, >= 1.
        rounds: How many rounds, >= 1.
    """
    return min(_timed_operations(operations) for _ in range(rounds)) / operations


def _timed_operations(operations: int) -> float:
    aggregate = Aggregate()
    script = repeat(Operation("no_operation", lambda number: None), operations)
    began = time.thread_time()
    closed_loop([script], lambda batch: aggregate.merge(fold(batch)))
    return time.thread_time() - began


def clock_pairs(operations: int) -> None:
    """Read the clock twice per operation and keep nothing: the floor of any timing."""
    now = time.perf_counter_ns
    for _ in range(operations):
        started = now()
        finished = now()
        started, finished  # noqa: B018  what the recorder's loop would use


def recorded_pairs(operations: int) -> None:
    """Read the clock twice per operation, and keep and fold the readings as the driver does."""
    now = time.perf_counter_ns
    histogram = Histogram()
    for first in range(0, operations, LARGEST_BLOCK):
        stamps: list[int] = []
        append = stamps.append
        for _ in range(min(LARGEST_BLOCK, operations - first)):
            started = now()
            finished = now()
            append(started)
            append(finished)
        array = int64_array(stamps)
        histogram.record(array[1::2] - array[0::2])
