"""A suite of one benchmark that asks nothing of its target: what is left is the tool's own."""

import time
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.workload.operations import Operation, repeat


def benchmark_no_operations(bench: Bench, operations: int = 1_000_000) -> dict[str, Any]:
    """Timed operations per second, and per CPU second of this process, if they do nothing."""
    bench.expect(operations)
    cpu_began = time.process_time()
    measurement = bench.closed_loop(
        [repeat(Operation("retrieve_memory", lambda number: None), operations)]
    )
    return {
        "operations_per_second": measurement.throughput,
        "operations_per_cpu_second": operations / (time.process_time() - cpu_began),
    }
