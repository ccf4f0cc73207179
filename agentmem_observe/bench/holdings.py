"""What a target holds, by its own account: asked between loops, never in one."""

from collections.abc import Callable, Iterator, Mapping

from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.telemetry.catalog import MEMORY_BYTES, MEMORY_RECORDS, PROBE_SUCCESS, Metric

_PROBE = {"probe": "target"}


def report_holdings(
    target: MemoryTarget, observe: Callable[[Metric, Mapping[str, str], float], None]
) -> None:
    """Ask a target for records and bytes per tier; a target that fails to say costs no result.

    Args:
        target: Open, and under no load.
        observe: Takes the gauges, and whether the target answered.
    """
    try:
        found = list(_holdings(target))
    except Exception:  # of a stranger's code; the probe's own metric says that it failed
        observe(PROBE_SUCCESS, _PROBE, 0)
        return
    for metric, tier, value in found:
        observe(metric, {"tier": tier}, value)
    observe(PROBE_SUCCESS, _PROBE, 1)


def _holdings(target: MemoryTarget) -> Iterator[tuple[Metric, str, float]]:
    info = target.info()
    if Capability.COUNT in info.capabilities:
        for tier in info.tiers or ("",):
            yield MEMORY_RECORDS, tier, float(target.count(tier=tier or None))
    stats = target.stats()
    for tier in info.tiers:
        if parts := bytes_by_part(stats, tier):
            yield MEMORY_BYTES, tier, float(sum(parts.values()))


def bytes_by_part(stats: Mapping[str, float], tier: str) -> dict[str, float]:
    """Return what of a target's ``stats`` are bytes of a tier, by what they are for.

    Examples:
        >>> bytes_by_part({"stm_index_bytes": 7.0, "stm_records_total": 1.0}, "stm")
        {'index_bytes': 7.0}
    """
    start = f"{tier}_"
    return {
        name.removeprefix(start): value
        for name, value in stats.items()
        if name.startswith(start) and name.endswith("_bytes")
    }
