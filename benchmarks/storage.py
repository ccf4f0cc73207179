"""Storage: how fast records are written and read back, and what keeping one costs."""

from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.isolation import in_child
from agentmem_observe.suite.storage.footprint import footprint
from agentmem_observe.targets.base import Capability

TIERS = ("stm", "im", "ltm")


def benchmark_write_throughput(
    bench: Bench,
    batch_sizes: tuple[int, ...] = (10, 100, 1000, 10_000),
    data_complexity_levels: tuple[int, ...] = (1, 5, 10),
    tiers: tuple[str, ...] = TIERS,
    **kwargs: Any,
) -> dict[str, Any]:
    """Stores per second into each tier, by batch size and complexity of the states.

    Each case writes to a fresh target, one record per call, and then reads back what it wrote.
    A target that takes vectors gets them, so that no embedding is in the figures.
    STM's figures stand at the level of the batch, as in the seeds; all tiers' are under ``tiers``.
    Without STM those of the first tier do.
    """
    wanted = bench.tiers(tiers)
    bench.expect(len(data_complexity_levels) * len(wanted) * sum(batch_sizes))
    results: dict[str, Any] = {}
    for complexity in data_complexity_levels:
        for size in batch_sizes:
            figures = {}
            for tier in wanted:
                bench.phase(f"{size:,} stores of complexity {complexity} {tier}")
                records = bench.records(size, complexity, tier)
                with bench.target() as target:
                    figures[tier] = bench.store(target, records).summary()
            case = figures["stm" if "stm" in figures else wanted[0]] | {
                "tiers": {t: f for t, f in figures.items() if t}
            }
            results.setdefault(f"complexity_{complexity}", {})[f"batch_{size}"] = case
    return results


def benchmark_read_latency(
    bench: Bench,
    read_batch_sizes: tuple[int, ...] = (1, 10, 50, 100),
    data_complexity_levels: tuple[int, ...] = (1, 5, 10),
    num_samples: int = 1000,
    records_per_agent: int = 100,
    tiers: tuple[str, ...] = TIERS,
    **kwargs: Any,
) -> dict[str, Any]:
    """Service time of reading records back by id, one at a time and several, from each tier.

    Reads are of random records out of ``num_samples`` stored ones; a batch is one timed operation.
    Agents have few records each, so that none outgrows its tier.
    """
    bench.require(Capability.RETRIEVE, Capability.CALLER_IDS)
    wanted = bench.tiers(tiers)
    reads = {size: max(200, num_samples // size) for size in read_batch_sizes}
    case_work = num_samples + sum(reads.values())
    bench.expect(len(data_complexity_levels) * len(wanted) * case_work)
    results: dict[str, Any] = {}
    for complexity in data_complexity_levels:
        for tier in wanted:
            bench.phase(f"reads of complexity {complexity} {tier}")
            figures = results.setdefault(f"complexity_{complexity}", {}).setdefault(
                tier or "all", {}
            )
            records = bench.records(num_samples, complexity, tier, per_agent=records_per_agent)
            with bench.target() as target:
                bench.store(target, records)
                for size, count in reads.items():
                    name = "single" if size == 1 else f"batch_{size}"
                    measured = bench.read(target, records, batch_size=size, count=count)
                    figures[name] = measured.summary()
    return results


def benchmark_memory_efficiency(
    bench: Bench,
    record_count: int = 10_000,
    records_per_agent: int = 100,
    data_complexity_levels: tuple[int, ...] = (1, 5, 10),
    tiers: tuple[str, ...] = TIERS,
    **kwargs: Any,
) -> dict[str, Any]:
    """Bytes per record in each tier, resident and on disk, against the record as JSON.

    Each case has a process of its own, so that no case fills what another has freed. Agents have
    few records each, so that none outgrows its tier.
    """
    wanted = bench.tiers(tiers)
    bench.expect(len(data_complexity_levels) * len(wanted))
    results: dict[str, Any] = {}
    for complexity in data_complexity_levels:
        for tier in wanted:
            bench.phase(f"{record_count:,} records of complexity {complexity} {tier}")

            def case(complexity: int = complexity, tier: str = tier) -> dict[str, Any]:
                with bench.target() as target:
                    records = bench.generate(
                        record_count, complexity, tier, per_agent=records_per_agent
                    )
                    return footprint(target, records, bench.directory)

            figures = in_child(case)
            results.setdefault(f"complexity_{complexity}", {})[tier or "all"] = figures
            bench.advance(1)
    return results
