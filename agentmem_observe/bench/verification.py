"""Whether a target kept what it acknowledged: read back, counted, and found by search."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability, MemoryTarget

MOST_READ_BACK = 20_000
"""Records read back at the most; of more, a seeded sample."""
_MOSTLY = 0.9
MOST_SEARCHED = 20
"""Records searched for at the most; a search costs far more than a read."""


@dataclass(slots=True)
class Verification:
    """What became of stored records.

    Attributes:
        unkept: Positions of records that were acknowledged but are absent or different.
        figures: Counts and ratios for the result; what the target cannot answer is left out.
        warnings: One sentence for each thing that is not as it should be.
    """

    unkept: list[int]
    figures: dict[str, Any]
    warnings: list[str]

    def report_failures(self, questions: str, failures: Counter[str]) -> None:
        """Warn of what the target failed to answer.

        Args:
            questions: What it was asked, in the plural.
            failures: How often it raised, by type.
        """
        if failures:
            types = ", ".join(f"{count} {name}" for name, count in failures.most_common())
            self.warnings.append(f"{questions} to verify what was stored failed: {types}")


def verify_stored(
    target: MemoryTarget, records: Sequence[Record], ids: Sequence[str], seed: int
) -> Verification:
    """Check that records which a target acknowledged are there, equal, counted and findable.

    What the target fails to answer is reported; it speaks neither for nor against a record.

    Args:
        target: The target that acknowledged them; holds nothing else of these agents.
        records: What was sent, shape (n,).
        ids: The id that the target gave each; "" where it acknowledged nothing, shape (n,).
        seed: For the choice of samples.
    """
    capabilities = target.info().capabilities
    acknowledged = [place for place, record_id in enumerate(ids) if record_id]
    random = np.random.default_rng(seed)
    verification = Verification([], {"acknowledged": len(acknowledged)}, [])
    if Capability.RETRIEVE in capabilities:
        _read_back(
            target, records, ids, _sample(random, acknowledged, MOST_READ_BACK), verification
        )
    else:
        verification.warnings.append("the target cannot retrieve: what it stored is unverified")
    if Capability.COUNT in capabilities and Capability.CALLER_IDS in capabilities:
        _count(target, records, ids, acknowledged, verification)
    if Capability.SEARCH in capabilities and Capability.READ_YOUR_WRITES in capabilities:
        _search(target, records, ids, _sample(random, acknowledged, MOST_SEARCHED), verification)
    return verification


def is_kept(sent: Record, found: Record) -> bool:
    """Return whether a record came back as the same agent's, with what was stored in it."""
    return (found.agent_id, found.content, found.state) == (
        sent.agent_id,
        sent.content,
        sent.state,
    )


def _sample(random: np.random.Generator, places: list[int], most: int) -> list[int]:
    if len(places) <= most:
        return places
    return sorted(random.choice(places, size=most, replace=False).tolist())


def _read_back(
    target: MemoryTarget,
    records: Sequence[Record],
    ids: Sequence[str],
    places: list[int],
    verification: Verification,
) -> None:
    lost = wrong = 0
    failures: Counter[str] = Counter()
    for place in places:
        sent = records[place]
        try:
            found = target.retrieve(sent.agent_id, ids[place])
        except Exception as error:
            failures[type(error).__name__] += 1
            continue
        if found is None:
            lost += 1
        elif not is_kept(sent, found):
            wrong += 1
        else:
            continue
        verification.unkept.append(place)
    read_back = len(places) - failures.total()
    verification.figures |= {"read_back": read_back, "lost": lost, "changed": wrong}
    if lost or wrong:
        verification.warnings.append(
            f"of {read_back} stores that were acknowledged, {lost} are gone and {wrong} came "
            "back changed"
        )
    verification.report_failures("reads", failures)


def _count(
    target: MemoryTarget,
    records: Sequence[Record],
    ids: Sequence[str],
    acknowledged: list[int],
    verification: Verification,
) -> None:
    expected = len({(records[place].agent_id, ids[place]) for place in acknowledged})
    lost = verification.figures.get("lost", 0)
    agents = sorted({records[place].agent_id for place in acknowledged})
    tiers = target.info().tiers
    try:
        counted = sum(target.count(agent) for agent in agents)
        by_tier = {tier: sum(target.count(agent, tier) for agent in agents) for tier in tiers}
    except Exception as error:
        verification.report_failures("counts", Counter([type(error).__name__]))
        return
    verification.figures["counted"] = counted
    if tiers:
        verification.figures["counted_by_tier"] = by_tier
        _warn_of_moves(records, by_tier, verification)
    if counted != expected - lost:
        verification.warnings.append(
            f"the target counts {counted} records where {expected} were stored, of which {lost} "
            "were found to be gone"
        )


def _warn_of_moves(
    records: Sequence[Record], by_tier: Mapping[str, int], verification: Verification
) -> None:
    """Say so when records did not stay in the tier that their figures are named after."""
    tier = records[0].tier
    if tier is not None and by_tier[tier] < _MOSTLY * sum(by_tier.values()):
        verification.warnings.append(
            f"only {by_tier[tier]:,} of {sum(by_tier.values()):,} records stayed in {tier}, the "
            "others moved on: its figures include the moves"
        )


def _search(
    target: MemoryTarget,
    records: Sequence[Record],
    ids: Sequence[str],
    places: list[int],
    verification: Verification,
) -> None:
    found = 0
    failures: Counter[str] = Counter()
    for place in places:
        sent = records[place]
        query = sent.state if sent.state is not None else sent.content
        try:
            hits = target.search(sent.agent_id, query, 1, vector=sent.vector)
        except Exception as error:
            failures[type(error).__name__] += 1
            continue
        found += bool(hits) and hits[0].record_id == ids[place]
    verification.report_failures("searches", failures)
    if not (answered := len(places) - failures.total()):
        return
    verification.figures["self_recall_ratio"] = found / answered
    if found < answered:
        verification.warnings.append(
            f"{answered - found} of {answered} stored states do not find themselves first"
        )
