"""Which records stay in the younger tiers, by their importance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agentmem_observe.analysis.ranking import rank_correlation
from agentmem_observe.bench.context import Bench
from agentmem_observe.model import TIERS, Record
from agentmem_observe.suite.memory_transition.moves import (
    PAIRS,
    Key,
    by_agent,
    due,
    key_of,
    locate,
)
from agentmem_observe.targets.base import MemoryTarget

_LEVELS = 5  # of importance, each a fifth of the scale from 0 to 1


def age_by_importance(
    target: MemoryTarget, records: Sequence[Record], fraction: float
) -> tuple[dict[Key, str], dict[Key, str]]:
    """Move a fraction of each agent's STM to IM, then of its IM to LTM.

    Args:
        target: An open target that was given these records, and nothing else, for STM.
        records: What was stored, at least one.
        fraction: What share of a tier moves, in (0, 1].

    Returns:
        Where each record is read from, lost ones missing, and where the contract has it.
    """
    ideal = dict.fromkeys(map(key_of, records), TIERS[0])
    for source, destination in PAIRS:
        for agent, own in by_agent(records).items():
            held = [record for record in own if ideal[key_of(record)] == source]
            moved = target.transition(source, destination, agent_id=agent, fraction=fraction)
            ideal |= dict.fromkeys(due(held, fraction, moved), destination)
    found, _ = locate(target, records)
    return found, ideal


def retention(
    records: Sequence[Record], found: Mapping[Key, str], ideal: Mapping[Key, str]
) -> dict[str, Any]:
    """Return who is where: by level of importance, by tier, and by rank.

    Args:
        records: All records, with their importance, at least one.
        found: The tier in which each is; lost ones are missing.
        ideal: The tier in which the contract has each.
    """
    misplaced = sum(found.get(key_of(record)) != ideal[key_of(record)] for record in records)
    correlations = {
        "rank_correlation": _by_rank(records, found),
        "ideal_rank_correlation": _by_rank(records, ideal),
    }
    return {
        "levels": _levels(records, found),
        "tiers": {tier: _tier(records, found, tier) for tier in TIERS},
        **{name: value for name, value in correlations.items() if value is not None},
        "misplaced_count": misplaced,
        "misplaced_ratio": misplaced / len(records),
    }


def scored(bench: Bench, records: Sequence[Record], fraction: float) -> dict[str, Any]:
    """Age records in a fresh target, return their retention, and warn if importance is ignored."""
    with bench.target() as target:
        bench.fill(target, records)
        figures = retention(records, *age_by_importance(target, records, fraction))
    if figures["misplaced_count"]:
        bench.warn(
            f"fraction {fraction:g}: {figures['misplaced_count']} of {len(records)} records are "
            "not in the tier that their importance and age call for"
        )
    return figures


def _levels(records: Sequence[Record], found: Mapping[Key, str]) -> dict[str, Any]:
    levels: dict[int, Counter[str]] = {}
    for record in records:
        level = min(int(record.importance * _LEVELS), _LEVELS - 1)
        levels.setdefault(level, Counter())[found.get(key_of(record), "lost")] += 1
    return {
        f"importance_{level / _LEVELS:g}_to_{(level + 1) / _LEVELS:g}": {
            "record_count": tiers.total(),
            **{f"{tier}_ratio": tiers[tier] / tiers.total() for tier in (*TIERS, "lost")},
        }
        for level, tiers in sorted(levels.items())
    }


def _tier(records: Sequence[Record], found: Mapping[Key, str], tier: str) -> dict[str, float]:
    inside = [record.importance for record in records if found.get(key_of(record)) == tier]
    figures: dict[str, float] = {"record_count": len(inside)}
    if inside:
        figures["importance_mean_ratio"] = sum(inside) / len(inside)
    correlation = rank_correlation(
        [record.importance for record in records],
        [found.get(key_of(record)) == tier for record in records],
    )
    return figures | ({} if correlation is None else {"rank_correlation": correlation})


def _by_rank(records: Sequence[Record], where: Mapping[Key, str]) -> float | None:
    """Correlate importance with youth of the tier, for records that are in one."""
    there = [record for record in records if where.get(key_of(record)) in TIERS]
    return rank_correlation(
        [record.importance for record in there],
        [-TIERS.index(where[key_of(record)]) for record in there],
    )
