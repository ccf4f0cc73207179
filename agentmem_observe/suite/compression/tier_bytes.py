"""What a record takes in each tier by the target's own figures, and what of it comes back."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from agentmem_observe.bench.context import AGENT, Bench, SkipBenchmark
from agentmem_observe.bench.holdings import bytes_by_part
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.workload.kinds import generate_kind

_MOST_READ_BACK = 200


def records_of(bench: Bench, kind: str, count: int, per_agent: int) -> list[Record]:
    """Return seeded records of one kind, for no tier yet, with embeddings if the target takes any.

    Args:
        bench: The run; it has met its target.
        kind: One of `agentmem_observe.workload.kinds.KINDS`.
        count: How many, >= 1.
        per_agent: Records of one agent, >= 1.
    """
    info = bench.target_info
    takes_vectors = info is not None and Capability.VECTORS_IN in info.capabilities
    return [
        Record(
            f"{AGENT}_{step // per_agent}",
            f"state_{step}",
            state=state,
            vector=embed(state) if takes_vectors else None,
            step=step,
        )
        for step, state in enumerate(generate_kind(kind, count, bench.seed))
    ]


def raw_bytes(records: Sequence[Record]) -> dict[str, float]:
    """Return what records take outside of any memory: states as JSON, vectors as float32."""
    states = sum(len(json.dumps(record.state).encode()) for record in records) / len(records)
    vectors = sum(0 if record.vector is None else record.vector.nbytes for record in records)
    vector = vectors / len(records)
    return {
        "state_json_bytes_per_record": states,
        "vector_bytes_per_record": vector,
        "bytes_per_record": states + vector,
    }


def tier_bytes(bench: Bench, records: Sequence[Record], tier: str) -> dict[str, Any]:
    """Store records into one tier of a fresh target; return what each takes and what comes back.

    Args:
        bench: The run.
        records: What to store; for that tier.
        tier: One of the target's tiers.

    Raises:
        SkipBenchmark: If the target's figures say nothing of that tier's bytes.
    """
    with bench.target() as target:
        bench.fill(target, records)
        target.maintain()
        there = _count(bench, target, tier, len(records))
        parts = bytes_by_part(target.stats(), tier)
        if not parts:
            name = target.info().name
            raise SkipBenchmark(f"target {name!r} has no bytes per tier among its figures")
        figures = {f"{part}_per_record": size / max(there, 1) for part, size in parts.items()}
        total = sum(figures.values())
        return {
            "bytes_per_record": total,
            **figures,
            "record_count": there,
            **_returned(bench, target, records, tier),
        }


def ratios(bytes_per_record: Mapping[str, float]) -> dict[str, float]:
    """Return how many times smaller a record gets from each stage to the next, and in all.

    Args:
        bytes_per_record: By stage, in the order in which a record goes through them.

    Examples:
        >>> ratios({"raw": 800, "stm": 1000, "ltm": 250})
        {'raw_to_stm_ratio': 0.8, 'stm_to_ltm_ratio': 4.0, 'raw_to_ltm_ratio': 3.2}
    """
    steps = list(pairwise(bytes_per_record))
    first, last = next(iter(bytes_per_record)), list(bytes_per_record)[-1]
    return {
        f"{older}_to_{newer}_ratio": bytes_per_record[older] / bytes_per_record[newer]
        for older, newer in [*steps, (first, last)]
        if bytes_per_record[newer]
    }


def _count(bench: Bench, target: MemoryTarget, tier: str, stored: int) -> int:
    if Capability.COUNT not in target.info().capabilities:
        return stored
    there = target.count(tier=tier)
    if there != stored:
        bench.warn(
            f"of {stored} records stored into {tier}, {there} are there: its bytes per record are "
            "of those; give agents fewer records"
        )
    return there


def _returned(
    bench: Bench, target: MemoryTarget, records: Sequence[Record], tier: str
) -> dict[str, Any]:
    """Return what a sample of the records is like when it is read back."""
    if not {Capability.RETRIEVE, Capability.CALLER_IDS} <= target.info().capabilities:
        return {}
    step = -(-len(records) // _MOST_READ_BACK)
    sent = records[::step]
    found = [target.retrieve(record.agent_id, record.record_id) for record in sent]
    pairs = [(s, f) for s, f in zip(sent, found, strict=True) if f is not None]
    kept = sum(is_kept(s, f) for s, f in pairs)
    if kept < len(sent):
        bench.warn(
            f"of {len(sent)} records read back from {tier}, {len(sent) - len(pairs)} are gone and "
            f"{len(pairs) - kept} came back changed: they are smaller at the price of content"
        )
    cosines = [
        float(s.vector @ f.vector / (np.linalg.norm(s.vector) * np.linalg.norm(f.vector)))
        for s, f in pairs
        if s.vector is not None and f.vector is not None
    ]
    figures: dict[str, Any] = {"read_back_count": len(sent), "kept_ratio": kept / len(sent)}
    return figures | ({"cosine_mean_ratio": float(np.mean(cosines))} if cosines else {})
