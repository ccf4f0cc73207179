"""What keeping records costs a target in this process: resident, on disk, and by its own count."""

import gc
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability, MemoryTarget


def footprint(target: MemoryTarget, records: Iterable[Record], directory: Path) -> dict[str, Any]:
    """Store records, wait until the target has settled, and return what each of them takes.

    Args:
        target: An open, empty target.
        records: What to store, made on the way: nobody but the target keeps them.
        directory: Where the target keeps its files.

    Returns:
        Bytes per record: serialised as JSON (the state alone), resident (growth of this process's
        RSS, meaningless for a target elsewhere), on disk, and what ``target.stats()`` says in its
        ``*_bytes`` keys. ``counted_by_tier`` tells where the records ended up.
    """
    before = quiet_rss_bytes()
    count = serialized = 0
    for record in records:
        target.store(record)
        count += 1
        serialized += len(json.dumps(record.state).encode())
    del record
    target.maintain()
    resident = quiet_rss_bytes() - before
    stats = {key: value for key, value in target.stats().items() if key.endswith("_bytes")}
    info = target.info()
    tiers = info.tiers if Capability.COUNT in info.capabilities else ()
    disk = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return {
        "record_count": count,
        "serialized_bytes_per_record": serialized / count,
        "rss_bytes_per_record": resident / count,
        "disk_bytes_per_record": disk / count,
        "rss_to_serialized_ratio": resident / serialized,
        "disk_to_serialized_ratio": disk / serialized,
        "counted_by_tier": {tier: target.count(tier=tier) for tier in tiers},
        "target_bytes_per_record": {key: value / count for key, value in stats.items()},
    }


def quiet_rss_bytes() -> int:
    """Return this process's RSS in bytes, after what nobody needs was collected and returned."""
    gc.collect()
    psutil.heap_trim()
    return psutil.Process().memory_info().rss
