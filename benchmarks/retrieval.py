"""Retrieval: how fast records are found, and whether they are the right ones."""

from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.retrieval import searching
from agentmem_observe.suite.retrieval.searching import Length
from agentmem_observe.targets.base import Capability
from agentmem_observe.workload.arrivals import Poisson

TIERS = ("stm", "im", "ltm")


def benchmark_vector_search_latency(
    bench: Bench,
    volumes: tuple[int, ...] = (1000, 10_000, 100_000),
    k_values: tuple[int, ...] = (1, 10, 50),
    tiers: tuple[str, ...] = TIERS,
    dataset_size: int = 10_000,
    query_counts: tuple[int, ...] = (1, 10, 50, 100),
    num_samples: int = 1000,
    case_seconds: float = 20.0,
    search_rate: float = 50.0,
    open_loop_seconds: float = 25.0,
    **kwargs: Any,
) -> dict[str, Any]:
    """Service time of searches by volume, tier and k, in batches, and latency in an open loop.

    Each volume is stored into a fresh target for each tier and searched there; batches and the
    open loop search all tiers of ``dataset_size`` records for the middle one of ``k_values``.
    """
    bench.require(*searching.NEEDED)
    wanted, length = bench.tiers(tiers), Length(num_samples, case_seconds)
    arrivals = Poisson(search_rate, open_loop_seconds, bench.seed)
    lengths = {size: length.of_batches(size) for size in query_counts}
    bench.expect(
        len(wanted) * sum(volume + len(k_values) * num_samples for volume in volumes)
        + dataset_size + sum(each.count for each in lengths.values())
        + round(search_rate * open_loop_seconds)
    )  # fmt: skip
    results: dict[str, Any] = {}
    for volume in volumes:
        collection = searching.collect(bench, volume, max(query_counts))
        for tier in wanted:
            bench.phase(f"searches of {volume:,} records {tier}")
            figures = searching.times_by_k(bench, collection, tier, k_values, length)
            results.setdefault(f"volume_{volume}", {})[tier or "all"] = figures
    collection = searching.collect(bench, dataset_size, max(query_counts))
    k = sorted(k_values)[len(k_values) // 2]
    bench.phase(f"batches and open loop over {dataset_size:,} records")
    with searching.filled(bench, collection) as target:
        whole = searching.Case(target, collection, collection.scope("", k))
        results["batches"] = {
            f"batch_{size}": whole.closed_loop(bench, k, each)[0].summary()
            for size, each in lengths.items()
        }
        results["open_loop"] = whole.open_loop(bench, k, arrivals).summary()
    return results


def benchmark_search_accuracy(
    bench: Bench,
    dataset_size: int = 10_000,
    query_counts: tuple[int, ...] = (1, 10, 50, 100),
    vector_dimensions: tuple[int, ...] = (128, 256, 512),
    k_values: tuple[int, ...] = (1, 10, 50),
    similarity_thresholds: tuple[float, ...] = (0.7, 0.8, 0.9),
    records_per_cluster: int = 20,
    **kwargs: Any,
) -> dict[str, Any]:
    """Precision, recall, F1 and nDCG on labelled clusters, at k and above similarity thresholds.

    Beside the target's stand those of an exact search of the same vectors: what it falls short of
    that is the target's doing, the rest is in the data. A target whose vectors have a fixed number
    of dimensions is measured at that.
    """
    bench.require(Capability.VECTORS_IN, *searching.NEEDED)
    dimensions, refused = searching.accepted_dimensions(bench, vector_dimensions)
    queries = max(query_counts)
    bench.expect(len(dimensions) * (dataset_size + len(k_values) * queries))
    results: dict[str, Any] = {"vector_dimensions_refused": refused}
    for each in dimensions:
        bench.phase(f"searches of {dataset_size:,} vectors of {each} dimensions")
        collection = searching.clustered(
            bench, dataset_size, queries, dimensions=each, per_cluster=records_per_cluster
        )
        with searching.filled(bench, collection) as target:
            case = searching.Case(target, collection, collection.scope("", max(k_values)))
            figures = searching.accuracy_figures(bench, case, k_values, similarity_thresholds)
        results[f"dimensions_{each}"] = figures
    return results


def benchmark_recall_at_scale(
    bench: Bench,
    volumes: tuple[int, ...] = (1000, 10_000, 100_000),
    k_values: tuple[int, ...] = (1, 10, 50),
    query_counts: tuple[int, ...] = (1, 10, 50, 100),
    **kwargs: Any,
) -> dict[str, Any]:
    """Recall@k against an exact search in float32, by volume: what an index costs in answers.

    The exact answers are worked out here, never by the target.
    """
    bench.require(Capability.VECTORS_IN, *searching.NEEDED)
    queries = max(query_counts)
    bench.expect(sum(volumes) + len(volumes) * len(k_values) * queries)
    results: dict[str, Any] = {}
    for volume in volumes:
        bench.phase(f"recall of {volume:,} records")
        collection = searching.clustered(bench, volume, queries)
        with searching.filled(bench, collection) as target:
            case = searching.Case(target, collection, collection.scope("", max(k_values)))
            results[f"volume_{volume}"] = {
                f"k_{k}": searching.recall_figures(bench, case, k, Length(queries))
                for k in k_values
            }
    return results


def benchmark_cross_tier_retrieval(
    bench: Bench,
    dataset_size: int = 10_000,
    k_values: tuple[int, ...] = (1, 10, 50),
    tiers: tuple[str, ...] = TIERS,
    query_counts: tuple[int, ...] = (1, 10, 50, 100),
    num_samples: int = 1000,
    case_seconds: float = 20.0,
    **kwargs: Any,
) -> dict[str, Any]:
    """Cost and accuracy of searching all tiers at once against searching each alone.

    The records are stored in equal parts, oldest tier first; what a tier has no room for moves on.
    Recall is against the nearest in what was searched, and against the nearest of all.
    """
    bench.require(Capability.TIERS, Capability.VECTORS_IN, *searching.NEEDED)
    wanted = bench.tiers(tiers)
    length = Length(num_samples, case_seconds)
    bench.expect(dataset_size + (1 + len(wanted)) * len(k_values) * num_samples)
    collection = searching.clustered(bench, dataset_size, max(query_counts))
    with searching.filled(bench, collection, wanted[::-1]) as target:
        everything = collection.scope("", max(k_values))
        results: dict[str, Any] = {}
        for tier in ("", *wanted):
            bench.phase(f"searches of {tier or 'all tiers'}")
            scope = searching.scope_of(target, collection, tier, max(k_values))
            case = searching.Case(target, collection, scope)
            results[tier or "all"] = searching.cost_and_recall(
                bench, case, k_values, length, everything
            )
    return results
