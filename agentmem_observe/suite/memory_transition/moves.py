"""Transitions between tiers, judged by the contract: what should move did, once and unchanged.

The contract (`targets.base.MemoryTarget.transition`): a fraction of an agent's records in the
source tier moves, least important first, and oldest first where importance is equal.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability, MemoryTarget

NEEDED = (
    Capability.TIERS,
    Capability.TRANSITION,
    Capability.RETRIEVE,
    Capability.COUNT,
    Capability.CALLER_IDS,
)
"""What a target must be able to do for its moves to be checked."""

PAIRS = (("stm", "im"), ("im", "ltm"))
"""Source and destination of the seeds' transitions."""

_DECIMALS = 2  # of an importance: some records are equally important, and the older one is to go

Key: TypeAlias = tuple[str, str]
"""Agent and record id."""


def important_records(
    bench: Bench, count: int, per_agent: int, weights: Mapping[str, float], tier: str
) -> list[Record]:
    """Return seeded records whose importance is a weighted mean of recency, relevance, frequency.

    Recency is a record's step among its agent's; the others are drawn at random, relevance evenly
    and frequency so that few records are used often.

    Args:
        bench: The run.
        count: How many, >= 1.
        per_agent: Records of one agent, >= 1.
        weights: Weight of each part, >= 0; a part that is left out has none.
        tier: Where to store them.

    Raises:
        BenchmarkError: If no weight is above 0.
    """
    total = sum(weights.values())
    if not total > 0:
        raise BenchmarkError(f"importance_weights are {dict(weights)!r}; give one that is above 0")
    random = np.random.default_rng([bench.seed, count])
    parts = {
        "recency": (np.arange(count) % per_agent) / max(1, per_agent - 1),
        "relevance": random.random(count),
        "frequency": random.random(count) ** 3,
    }
    importances = sum(parts[name] * weight for name, weight in weights.items()) / total
    records = bench.generate(count, 1, tier, per_agent=per_agent)
    return [
        replace(record, importance=round(importance, _DECIMALS))
        for record, importance in zip(records, np.asarray(importances).tolist(), strict=True)
    ]


def key_of(record: Record) -> Key:
    """Return what names a record among all agents' records."""
    return record.agent_id, record.record_id


def by_agent(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return records by their agent."""
    grouped: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        grouped[record.agent_id].append(record)
    return grouped


def locate(target: MemoryTarget, records: Sequence[Record]) -> tuple[dict[Key, str], int]:
    """Return the tier of each record that can be read, and how many came back changed."""
    where: dict[Key, str] = {}
    changed = 0
    for record in records:
        found = target.retrieve(record.agent_id, record.record_id)
        if found is not None:
            where[key_of(record)] = found.tier or ""
            changed += not is_kept(record, found)
    return where, changed


def due(records: Sequence[Record], fraction: float, reported: int) -> set[Key]:
    """Return which of an agent's records in a tier a transition should have moved.

    Args:
        records: All that the agent had there.
        fraction: What share was to move, in (0, 1].
        reported: How many the target says have moved. Where the share is not a whole number it
            may be rounded either way; beyond that the target's word counts for nothing.

    Examples:
        >>> records = [Record("a", str(i), importance=0.5, step=9 - i) for i in range(5)]
        >>> sorted(due(records, 0.5, reported=2)), len(due(records, 0.5, reported=5))
        ([('a', '3'), ('a', '4')], 3)
    """
    share = round(fraction * len(records), 9)  # 0.29 * 100 is 28.999999999999996
    count = min(max(reported, math.floor(share)), math.ceil(share))
    order = sorted(records, key=lambda record: (record.importance, record.step))
    return {key_of(record) for record in order[:count]}


@dataclass(frozen=True, slots=True)
class Moves:
    """What became of records in a transition.

    Attributes:
        stored: Records in the source tier before.
        due: How many of them should have moved.
        reported: How many the target said have moved.
        lost: Cannot be read any more.
        duplicated: Are counted in two tiers.
        left_behind: Should have moved, and are still in the source tier alone.
        moved_undue: Are in another tier than they should be, and not left behind.
        changed: Came back with another content or state, wherever they are.
    """

    stored: int
    due: int
    reported: int
    lost: int
    duplicated: int
    left_behind: int
    moved_undue: int
    changed: int

    def figures(self) -> dict[str, float]:
        """Return all counts, and the share of records that are right in every respect."""
        wrong = self.lost + self.duplicated + self.left_behind + self.moved_undue + self.changed
        counts = {f"{name}_count": getattr(self, name) for name in self.__slots__}
        return {"accuracy_ratio": max(0.0, 1 - wrong / self.stored), **counts}

    def complaints(self) -> list[str]:
        """Return what is wrong, worst first; empty if nothing is."""
        sentences = {
            "are lost": self.lost,
            "are in two tiers": self.duplicated,
            "came back changed": self.changed,
            "should have moved and did not": self.left_behind,
            "should not be where they are": self.moved_undue,
        }
        found = [f"{count} {what}" for what, count in sentences.items() if count]
        if self.reported != self.due:
            found.append(f"the target says {self.reported} moved where {self.due} should have")
        return found


def judge_moves(
    expected: Mapping[Key, str],
    found: Mapping[Key, str],
    counted: Mapping[str, int],
    source: str,
) -> dict[str, int]:
    """Compare where records should be with where they are.

    A record in two tiers is read from one of them; the other copy shows only in the count of its
    tier. Copies beside records that are read from the source are of records that should have moved
    before they are of others.

    Args:
        expected: The tier in which each record should be.
        found: The tier in which each is read; lost ones are missing.
        counted: How many records the target counts in each tier; nothing else is stored.
        source: The tier they come from.

    Examples:
        >>> judge_moves({("a", "1"): "im", ("a", "2"): "stm"}, {("a", "1"): "stm", ("a", "2"): \
"stm"}, {"stm": 2, "im": 1}, "stm")
        {'lost': 0, 'duplicated': 1, 'left_behind': 0, 'moved_undue': 0}
    """
    read = list(found.values())
    copies = {tier: max(0, count - read.count(tier)) for tier, count in counted.items()}
    wrong = {key for key, tier in found.items() if tier != expected[key]}
    behind = sum(found[key] == source for key in wrong)
    elsewhere = sum(count for tier, count in copies.items() if tier != source)
    return {
        "lost": len(expected) - len(found),
        "duplicated": sum(copies.values()),
        "left_behind": max(0, behind - elsewhere),
        "moved_undue": len(wrong) - behind,
    }


def move(
    target: MemoryTarget, records: Sequence[Record], pair: tuple[str, str], fraction: float
) -> Moves:
    """Move a fraction of each agent's records to an older tier, and check all of them.

    Args:
        target: An open target that was given these records, and nothing else, for the source.
        records: What was stored, at least one.
        pair: Source and destination.
        fraction: Share of each agent's records, in (0, 1].

    Raises:
        BenchmarkError: If none of the records is in the source tier before.
    """
    source, destination = pair
    before, _ = locate(target, records)
    expected = dict(before)
    reported_total = due_total = 0
    for agent, own in by_agent(records).items():
        held = [record for record in own if before.get(key_of(record)) == source]
        reported = target.transition(source, destination, agent_id=agent, fraction=fraction)
        moving = due(held, fraction, reported)
        expected |= dict.fromkeys(moving, destination)
        reported_total += reported
        due_total += len(moving)
    stored = sum(tier == source for tier in before.values())
    if not stored:
        raise BenchmarkError(f"no record that was stored into {source} is there; nothing can move")
    found, changed = locate(target, records)
    counted = {tier: target.count(tier=tier) for tier in target.info().tiers}
    return Moves(
        stored=stored,
        due=due_total,
        reported=reported_total,
        changed=changed,
        **judge_moves(expected, found, counted, source),
    )


def checked_move(
    bench: Bench, records: Sequence[Record], pair: tuple[str, str], fraction: float
) -> Moves:
    """Store records into a fresh target, move a fraction of them, and warn of what is wrong."""
    with bench.target() as target:
        bench.fill(target, records)
        moves = move(target, records, pair, fraction)
    source, destination = pair
    if complaints := moves.complaints():
        bench.warn(
            f"{source} to {destination}, fraction {fraction:g}: of {moves.stored} records "
            f"{', '.join(complaints)}"
        )
    if moves.stored < len(records):
        bench.warn(
            f"of {len(records)} records stored into {source}, {moves.stored} were there before "
            "anything was moved; give agents fewer records"
        )
    return moves
