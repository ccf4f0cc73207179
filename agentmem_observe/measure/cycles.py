"""Memory after each of some identical cycles of work in this process, exact to a block."""

import gc
import sys
import tracemalloc
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from agentmem_observe.model import Record
from agentmem_observe.targets.base import MemoryTarget


@dataclass(frozen=True, slots=True)
class CycleReadings:
    """What was allocated after each cycle, garbage collected and free memory given back.

    Attributes:
        blocks: Blocks of Python's own allocator (objects of up to 512 bytes), after each cycle.
        heap_bytes: Bytes in use of the C library's heap, which has the larger ones; empty where
            psutil can't tell. Noisy by some 100 kB.
    """

    blocks: tuple[int, ...]
    heap_bytes: tuple[int, ...] = ()


def allocated_blocks() -> int:
    """Collect garbage and return the blocks of Python's own allocator that are in use then."""
    gc.collect()
    return sys.getallocatedblocks()


class CycleProbe:
    """Reads how much is allocated, between cycles, and allocates nothing that outlives a reading.

    The cycles must be alike, run in one thread, and give back all they take: store, read, delete.
    Other threads that allocate meanwhile are counted as well.

    Examples:
        >>> kept = []
        >>> probe = CycleProbe(cycles=4)
        >>> for _ in range(4):
        ...     kept.append(bytearray(8))  # the leak
        ...     probe.read()
        >>> blocks = probe.readings().blocks
        >>> len(blocks), blocks[3] - blocks[2]
        (4, 2)
    """

    def __init__(self, cycles: int) -> None:
        """Reserve room for the readings.

        Args:
            cycles: How many readings there will be, >= 1.

        Raises:
            ValueError: If ``cycles`` is less than 1.
        """
        if cycles < 1:
            raise ValueError(f"cycles is {cycles!r}; it must be at least 1")
        # Room for all of them now: a list that grows would be counted as the target's blocks.
        self._blocks = array("q", bytes(8 * cycles))
        self._heap = array("q", bytes(8 * cycles))
        self._count = 0
        self._knows_heap = hasattr(psutil, "heap_info")

    def read(self) -> None:
        """Collect garbage, trim the heap, and note what is allocated.

        Raises:
            IndexError: If there is no room left.
        """
        gc.collect()
        if self._knows_heap:
            psutil.heap_trim()
            heap = psutil.heap_info()
            self._heap[self._count] = heap.heap_used + heap.mmap_used
            del heap
        self._blocks[self._count] = sys.getallocatedblocks()
        self._count += 1

    def readings(self) -> CycleReadings:
        """Return the readings so far."""
        heap = self._heap[: self._count] if self._knows_heap else ()
        return CycleReadings(tuple(self._blocks[: self._count]), tuple(heap))


def run_cycles(cycle: Callable[[], object], cycles: int) -> CycleReadings:
    """Repeat a cycle and read what is allocated after each.

    Args:
        cycle: One cycle of work; what it returns is dropped.
        cycles: How often, >= 1.
    """
    probe = CycleProbe(cycles)
    for _ in range(cycles):
        cycle()
        probe.read()
    return probe.readings()


def store_and_delete(
    target: MemoryTarget, records: int, agent_id: str = "benchmark_agent"
) -> Callable[[], None]:
    """Return a cycle that stores records and deletes them: two operations for each.

    Args:
        target: An open target that holds nothing of the agent.
        records: How many, >= 1. They are made once and not counted as the target's.
        agent_id: Whose they are.
    """
    made = [Record(agent_id, f"state_{step}", state={"step": step}) for step in range(records)]

    def cycle() -> None:
        for record in made:
            target.store(record)
        for record in made:
            target.delete(agent_id, record.record_id)

    return cycle


def traced_bytes_per_cycle(cycle: Callable[[], object], cycles: int = 2) -> float:
    """Return the bytes that Python code keeps per cycle, of all sizes, after a cycle to settle.

    Exact, but several times slower than running the cycle: for when blocks say that it leaks.

    Args:
        cycle: One cycle of work.
        cycles: How many to average over, >= 1.

    Raises:
        RuntimeError: If somebody else traces allocations already.
    """
    if tracemalloc.is_tracing():
        raise RuntimeError("tracemalloc is in use; stop it to measure the bytes of a leak")
    tracemalloc.start(1)
    try:
        cycle()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(cycles):
            cycle()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / cycles
