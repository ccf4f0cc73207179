"""Ways to send operations at a rate, side by side, for the ``self`` benchmarks."""

import time
from collections.abc import Callable

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.driver import open_loop
from agentmem_observe.workload.operations import Operation, repeat
from agentmem_observe.workload.stamps import int64_array

Pacer = Callable[[float, float], Histogram]
"""Sends operations that do nothing, at a rate for some seconds, and returns their lateness."""

_UNREACHABLE_RATE = 10_000_000.0


def seed_loop(rate: float, seconds: float) -> Histogram:
    """Pace as the seeds' resource benchmark does: sleep 10 ms, then send what has become due."""
    began = time.perf_counter_ns()
    late: list[int] = []
    while (elapsed_ns := time.perf_counter_ns() - began) < seconds * 1e9:
        target_operations = int(elapsed_ns * 1e-9 * rate)
        while len(late) < target_operations:
            due = began + round((len(late) + 1) / rate * 1e9)
            late.append(time.perf_counter_ns() - due)
        time.sleep(0.01)
    return _lateness(late)


def relative_sleep(rate: float, seconds: float) -> Histogram:
    """Pace by sleeping one interval after each operation: every delay moves all that follow."""
    began = time.perf_counter_ns()
    late: list[int] = []
    while (now := time.perf_counter_ns()) - began < seconds * 1e9:
        late.append(now - (began + round(len(late) / rate * 1e9)))
        time.sleep(1 / rate)
    return _lateness(late)


def absolute_deadlines(rate: float, seconds: float) -> Histogram:
    """Pace with this project's driver."""
    aggregate = Aggregate()
    arrivals = Constant(rate, seconds)
    script = repeat(Operation("no_operation", _nothing), round(rate * seconds) + 1)
    open_loop(script, arrivals, lambda batch: aggregate.merge(fold(batch)))
    return aggregate.total().lateness


def operations_per_cpu_second(operations: int) -> float:
    """Return how many open-loop operations a CPU second drives, measured and folded.

    The offered rate is out of reach, so nothing ever sleeps.

    Args:
        operations: How many to send, >= 1.
    """
    aggregate = Aggregate()
    arrivals = Constant(_UNREACHABLE_RATE, operations / _UNREACHABLE_RATE)
    script = repeat(Operation("no_operation", _nothing), operations + 1)
    began = time.thread_time()
    load = open_loop(script, arrivals, lambda batch: aggregate.merge(fold(batch)))
    return load.operations / (time.thread_time() - began)


def _lateness(late_ns: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(int64_array(late_ns))
    return histogram


def _nothing(number: int) -> None:
    pass
