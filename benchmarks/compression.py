"""Compression: how small records and vectors become, what that loses, and what learning costs."""

from dataclasses import replace
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.compression import fidelity, tier_bytes, training
from agentmem_observe.targets.base import Capability

KINDS = ("navigation", "dialogue", "inventory")


def benchmark_embedding_quality(
    bench: Bench,
    dataset_sizes: tuple[int, ...] = (100, 1000, 10_000),
    target_dimensions: tuple[int, ...] = (128, 256, 512),
    kinds: tuple[str, ...] = KINDS,
    held_out_count: int = 1000,
    query_count: int = 200,
    **kwargs: Any,
) -> dict[str, Any]:
    """What the embedded memory's codes keep of embeddings: error, cosine, nearest neighbours.

    Linear codes are learned from as many vectors as each data set has, and judged on others, of
    other episodes. ``stm`` (float32) and ``int8`` learn nothing.
    """
    fidelity.require_embedded(bench)
    dimensions = fidelity.possible(target_dimensions)
    bench.expect(len(kinds) * (1 + len(dataset_sizes)))
    results: dict[str, Any] = {}
    for kind in kinds:
        bench.phase(f"embeddings of {kind}")
        known = fidelity.embeddings(kind, max(dataset_sizes), bench.seed)
        unknown = fidelity.embeddings(kind, held_out_count, bench.seed + 1)
        held_out = fidelity.HeldOut.split(unknown, query_count, bench.seed)
        results[kind] = fidelity.of_codecs(fidelity.unlearned_codecs(), held_out)
        bench.advance(1)
        for size in dataset_sizes:
            codecs = fidelity.learned_codecs(training.learn(known[:size], 1), dimensions)
            results[kind][f"learned_from_{size}"] = fidelity.of_codecs(codecs, held_out)
            bench.advance(1)
    return results


def benchmark_compression_ratio(
    bench: Bench,
    dataset_sizes: tuple[int, ...] = (100, 1000, 10_000),
    kinds: tuple[str, ...] = KINDS,
    records_per_agent: int = 100,
    **kwargs: Any,
) -> dict[str, Any]:
    """Bytes per record as raw data and in each tier by the target's figures, and what comes back.

    Each case is a fresh target; the smaller the data set, the more of its fixed costs is in each
    record's share.
    """
    bench.require(Capability.TIERS)
    tiers = bench.tiers(("stm", "im", "ltm"))
    bench.expect(len(kinds) * len(tiers) * sum(dataset_sizes))
    results: dict[str, Any] = {}
    for kind in kinds:
        bench.phase(f"embeddings of {kind}")
        records = tier_bytes.records_of(bench, kind, max(dataset_sizes), records_per_agent)
        for size in dataset_sizes:
            case: dict[str, Any] = {"raw": tier_bytes.raw_bytes(records[:size])}
            for tier in tiers:
                bench.phase(f"{size:,} records of {kind} {tier}")
                placed = [replace(record, tier=tier) for record in records[:size]]
                case[tier] = tier_bytes.tier_bytes(bench, placed, tier)
            sizes = {stage: figures["bytes_per_record"] for stage, figures in case.items()}
            results.setdefault(kind, {})[f"records_{size}"] = case | tier_bytes.ratios(sizes)
    return results


def benchmark_training_efficiency(
    bench: Bench,
    dataset_sizes: tuple[int, ...] = (100, 1000, 10_000),
    target_dimensions: tuple[int, ...] = (128, 256, 512),
    training_iterations: int = 1000,
    **kwargs: Any,
) -> dict[str, Any]:
    """CPU time and RSS of learning linear codes, at once and in passes, and the speed of coding.

    Each way of learning has a process of its own. The closed form needs no iterations: here they
    are the passes in which the same vectors arrive, with the same codes as the outcome.
    """
    fidelity.require_embedded(bench)
    bench.expect(len(dataset_sizes))
    vectors = fidelity.embeddings(KINDS[0], max(dataset_sizes), bench.seed)
    dimensions = fidelity.possible(target_dimensions)
    results: dict[str, Any] = {}
    for size in dataset_sizes:
        bench.phase(f"learning from {size:,} vectors")
        figures = training.efficiency(vectors[:size], training_iterations, dimensions)
        results[f"vectors_{size}"] = figures
        bench.advance(1)
    return results
