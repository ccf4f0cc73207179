"""Memory transition: whether the right records move, what it costs, and who stays."""

from collections.abc import Mapping
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.memory_transition import moves, retention
from agentmem_observe.suite.memory_transition.foreground import Case, overhead
from agentmem_observe.targets.base import Capability

WEIGHTS = {"recency": 0.5, "relevance": 0.3, "frequency": 0.2}


def benchmark_transition_accuracy(
    bench: Bench,
    transition_thresholds: tuple[float, ...] = (0.3, 0.5, 0.7),
    importance_weights: Mapping[str, float] = WEIGHTS,
    record_count: int = 1000,
    records_per_agent: int = 100,
    **kwargs: Any,
) -> dict[str, Any]:
    """Whether exactly the records that should move do: none lost, doubled, changed or forgotten.

    A threshold is the share of each agent's records that moves, least important and oldest first.
    """
    bench.require(*moves.NEEDED)
    bench.expect(len(transition_thresholds) * len(moves.PAIRS) * record_count)
    results: dict[str, Any] = {}
    for source, destination in moves.PAIRS:
        records = moves.important_records(
            bench, record_count, records_per_agent, importance_weights, source
        )
        for fraction in transition_thresholds:
            bench.phase(f"{fraction:g} of {source} to {destination}")
            moved = moves.checked_move(bench, records, (source, destination), fraction)
            case = results.setdefault(f"fraction_{fraction:g}", {})
            case[f"{source}_to_{destination}"] = moved.figures()
    return results


def benchmark_transition_overhead(
    bench: Bench,
    moving_count: int = 40_000,
    records_per_agent: int = 100,
    foreground_rate: float = 1000,
    foreground_seconds: float = 4,
    **kwargs: Any,
) -> dict[str, Any]:
    """What moving all records of a tier costs, and what it does to other operations meanwhile.

    The same load of reads, searches and stores is offered with and without a transition.
    """
    needed = (*moves.NEEDED, Capability.SEARCH, Capability.THREAD_SAFE)
    bench.require(*needed, Capability.READ_YOUR_WRITES)
    operations = round(foreground_rate * foreground_seconds)
    bench.expect(2 * len(moves.PAIRS) * (moving_count + operations))
    results: dict[str, Any] = {}
    for source, destination in moves.PAIRS:
        records = list(bench.generate(moving_count, 1, source, per_agent=records_per_agent))
        case = Case(records, source, destination, foreground_rate, foreground_seconds)
        results[f"{source}_to_{destination}"] = overhead(bench, case)
    return results


def benchmark_importance_scoring(
    bench: Bench,
    transition_thresholds: tuple[float, ...] = (0.3, 0.5, 0.7),
    importance_weights: Mapping[str, float] = WEIGHTS,
    record_count: int = 1000,
    records_per_agent: int = 100,
    **kwargs: Any,
) -> dict[str, Any]:
    """Whether important records stay: retention by importance, and how ranks agree with tiers.

    A threshold is the share of STM that moves to IM, and then of IM to LTM.
    """
    bench.require(*moves.NEEDED)
    bench.expect(len(transition_thresholds) * record_count)
    records = moves.important_records(
        bench, record_count, records_per_agent, importance_weights, "stm"
    )
    results: dict[str, Any] = {}
    for fraction in transition_thresholds:
        bench.phase(f"{fraction:g} of stm to im, {fraction:g} of im to ltm")
        results[f"fraction_{fraction:g}"] = retention.scored(bench, records, fraction)
    return results
