"""Integration: what a memory costs where it is used, and what it is good for."""

from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.integration import hooks
from agentmem_observe.suite.integration.agent_loops import dialogue, grid_world
from agentmem_observe.suite.integration.notebook import NEEDED
from agentmem_observe.suite.integration.overheads import compared
from agentmem_observe.suite.integration.raw.path import raw_paths
from agentmem_observe.suite.scalability.clients import work_at_once
from agentmem_observe.targets.base import Capability
from agentmem_observe.workload.dialogue import generate_dialogue
from agentmem_observe.workload.gridworld import GridWorld

FRAMEWORKS = ("langchain", "llama_index", "custom")


def benchmark_api_overhead(
    bench: Bench,
    operations_per_test: int = 1000,
    frameworks: tuple[str, ...] = FRAMEWORKS,
    **kwargs: Any,
) -> dict[str, Any]:
    """What a target's adapter takes longer than calling the same system the shortest way.

    Both do the same to the same records, in turn. ``frameworks`` chooses nothing: the target of
    the run is measured, and a run with other names says so.
    """
    bench.require(
        Capability.RETRIEVE, Capability.SEARCH, Capability.CALLER_IDS, Capability.VECTORS_IN
    )
    if tuple(frameworks) != FRAMEWORKS:
        bench.warn(
            "frameworks has no effect: name the framework's memory as the target "
            "(langchain: --target langgraph; custom: your own; llama_index: there is no adapter)"
        )
    paths = raw_paths(bench.spec.scheme)
    bench.expect(len(paths) * 6 * operations_per_test)
    results: dict[str, Any] = {}
    for tier, path in paths.items():
        bench.phase(f"raw path and adapter in turn {tier}")
        results[tier or "all"] = compared(bench, path, tier, operations_per_test)
    return results


def benchmark_hook_overhead(
    bench: Bench, operations_per_test: int = 1000, rounds: int = 7, **kwargs: Any
) -> dict[str, Any]:
    """CPU time that hooks around a target's operations add: none, one, five, logging, spans.

    What is added is measured around a target that does nothing, where nothing hides it; the
    target's own operations are measured bare, and reads also with the hooks around them.
    """
    bench.require(Capability.RETRIEVE, Capability.SEARCH, Capability.CALLER_IDS)
    bench.expect((1 + hooks.CALLS * rounds) * operations_per_test)
    records = list(bench.generate(operations_per_test, per_agent=100))
    with bench.target() as target:
        bench.fill(target, records)
        bench.phase("operations with and without hooks")
        return hooks.hook_costs(bench, target, records, rounds)


def benchmark_real_world_agent(
    bench: Bench, visits: int = 20, world_size: int = 10, turns: int = 400, **kwargs: Any
) -> dict[str, Any]:
    """Agents on a grid and in a dialogue, with memory and without: its cost, and its use.

    The agents are the same each time: what differs between two targets is the targets' doing.
    """
    bench.require(*NEEDED)
    bench.phase(f"{visits} visits to a grid world")
    explored = grid_world(bench, GridWorld(world_size, bench.seed), visits)
    bench.phase(f"{turns} turns of a dialogue")
    conversed = dialogue(bench, generate_dialogue(turns, bench.seed))
    return {"grid_world": explored, "dialogue": conversed}


def benchmark_concurrent_clients(
    bench: Bench,
    concurrent_clients: tuple[int, ...] = (1, 5, 10, 20),
    operations_per_test: int = 1000,
    **kwargs: Any,
) -> dict[str, Any]:
    """Throughput and service times of clients who work at the same time, by how many they are.

    Each client has an agent of its own and sends stores, reads and searches in random order, as
    fast as they are answered. A target that is not thread-safe takes one call at a time.
    """
    bench.require(Capability.RETRIEVE, Capability.SEARCH, Capability.CALLER_IDS)
    bench.expect(sum(concurrent_clients) * (operations_per_test + 50))
    results: dict[str, Any] = {}
    first = 0.0
    for count in concurrent_clients:
        bench.phase(f"{count} clients")
        figures = work_at_once(bench, count, operations_per_test)
        throughput = figures["throughput_ops_per_second"]
        first = first or throughput
        figures["speedup_ratio"] = throughput / first if first else None
        results[f"clients_{count}"] = figures
    return results
