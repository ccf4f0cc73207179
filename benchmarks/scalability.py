"""Scalability: how performance changes with agents, stored memories, and lasting load."""

from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.scalability import agents, laws, steady, utilization, volumes
from agentmem_observe.targets.base import Capability

MEDIAN = "service_time_p50_seconds"


def benchmark_agent_scaling(
    bench: Bench,
    agent_counts: tuple[int, ...] = (1, 10, 50, 100, 500),
    parallel_operations: tuple[int, ...] = (1, 4, 8, 16),
    least_operations: int = 20_000,
    **kwargs: Any,
) -> dict[str, Any]:
    """Throughput and durations as more agents share one target, and what it is that bends them.

    Each agent stores 10 states, reads 5 back and searches for 3, as fast as it goes; all agents of
    a case start at once. ``parallel_operations`` are further numbers of agents, few, because a
    scaling law shows at the low end.
    """
    bench.require(Capability.RETRIEVE, Capability.SEARCH)
    counts = sorted({1, *agent_counts, *parallel_operations})
    bench.expect(sum(agents.work_of(count, least_operations) for count in counts))
    cases = agents.Cases()
    for count in counts:
        bench.phase(f"{count:,} agents")
        with bench.target() as target:
            cases.add(agents.Crowd(bench, target, count, least_operations))
    figures = cases.figures()
    return {
        **{str(count): figures[count] for count in sorted(set(agent_counts) & figures.keys())},
        "parallel_operations": {n: figures[n] for n in sorted(set(parallel_operations))},
        **cases.laws(),
    }


def benchmark_memory_size_scaling(
    bench: Bench,
    memory_sizes: tuple[int, ...] = (1000, 10_000, 100_000, 1_000_000),
    stores_per_volume: int = 200,
    lookups_per_volume: int = 1000,
    **kwargs: Any,
) -> dict[str, Any]:
    """Durations, RSS and recall as one agent's memory grows in one target.

    From 10,000 records on 30 % of STM move to IM before measuring, from 100,000 on also 20 % of IM
    to LTM. Measured stores are the last ones before a volume; reads and searches are at it.
    """
    bench.require(Capability.RETRIEVE, Capability.SEARCH, Capability.CALLER_IDS)
    sizes = sorted(set(memory_sizes))
    baseline = min(stores_per_volume, sizes[0] // 2 or 1)
    with bench.target() as target:
        memory = volumes.GrowingMemory(bench, target, stores_per_volume, lookups_per_volume)
        bench.expect(memory.work([baseline, *sizes]))
        bench.phase("empty memory")
        results = {"baseline": memory.figures(baseline)}
        for size in sizes:
            bench.phase(f"{size:,} memories")
            results[str(size)] = memory.grow(size) | memory.figures(size)
    results["degradation"] = {
        operation: laws.degradation(
            sizes, [results[str(size)]["operations"][operation].get(MEDIAN) for size in sizes]
        )
        for operation in results["baseline"]["operations"]
    }
    return results


def benchmark_resource_utilization(
    bench: Bench,
    duration_seconds: float = 300,
    operation_rate: float = 10,
    workers: int = 4,
    leak_cycles: int = 10,
    **kwargs: Any,
) -> dict[str, Any]:
    """CPU, memory, disk and network that a steady load takes, and what of it is the target's.

    An open loop of stores, reads and searches in random order and equal parts, over 1,000 states
    that are there from the start. Then as many cycles as ``leak_cycles`` of storing and deleting
    show whether a target in this process leaks.
    """
    bench.require(*steady.NEEDED)
    load = steady.SteadyLoad(operation_rate, duration_seconds, workers, bench.seed)
    bench.expect(utilization.RECORDS + load.count)
    bench.phase("cost of the load itself")
    watched = utilization.Utilization(bench, load)
    bench.phase(f"{operation_rate:g} operations a second")
    with bench.target() as target:
        return watched.run(target, leak_cycles)
