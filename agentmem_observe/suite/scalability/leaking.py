"""Whether a target leaks: cycles where its memory is ours, the floor of its RSS everywhere."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import psutil

from agentmem_observe.analysis.leaks import LeakVerdict, judge_cycles, judge_floor, time_to_limit
from agentmem_observe.measure.cycles import run_cycles, traced_bytes_per_cycle
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.model import Record
from agentmem_observe.suite.scalability.usage import is_in_process
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.units import format_seconds

_K = 10
_MOST_RUNS = 3  # of the cycles: a leak goes on, a cache such as numpy's of small arrays fills up
_PROBED_RECORDS = 25
_FEWEST_RECORDS = 125  # 500 operations; in shorter cycles whatever settles weighs too much

OPERATIONS_PER_RECORD = 4
"""A cycle stores a record, reads it, searches for it, and deletes it."""
_FEWEST_SAMPLES = 8  # a forecast looks at the second half of them and needs four


def leak_figures(
    target: MemoryTarget,
    records: Sequence[Record],
    samples: Sequence[ProcessSample],
    cycles: int,
    seconds: float,
) -> dict[str, Any]:
    """Judge a target, and say when memory runs out if it goes on growing.

    Args:
        target: Open, and under no load.
        records: What a cycle stores, reads, searches for and deletes again, at least one, under
            ids that the target has not.
        samples: Of the process that holds the target, while it was under load.
        cycles: How many cycles to run where the target is in this process and deletes; 0 for none.
        seconds: About how long so many cycles may take, > 0; cycles are shorter on a slow target.

    Returns:
        ``verdict`` of the surest detector that could say something, what each of them said, and
        a forecast, which is no verdict.
    """
    rss = [sample.rss_bytes for sample in samples]
    at = [sample.at_seconds for sample in samples]
    found = {"floor": asdict(judge_floor(at, rss))}
    deletes = Capability.DELETE in target.info().capabilities
    if cycles and deletes and is_in_process(target):
        found = {"cycles": _cycles(target, records, cycles, seconds)} | found
    known = [each["verdict"] for each in found.values() if each["verdict"] != "unknown"]
    return {"verdict": known[0] if known else "unknown", **found} | _forecast(at, rss)


def _cycles(
    target: MemoryTarget, records: Sequence[Record], cycles: int, seconds: float
) -> dict[str, Any]:
    chosen, each = as_many_as_fit(target, records, seconds / cycles)
    operations = OPERATIONS_PER_RECORD * len(chosen)
    if len(chosen) < min(_FEWEST_RECORDS, len(records)):
        reason = (
            f"the target takes {format_seconds(each)} for {OPERATIONS_PER_RECORD} operations: "
            f"{cycles} cycles long enough to be judged do not fit into {format_seconds(seconds)}; "
            "make the load longer"
        )
        return asdict(LeakVerdict("unknown", reasons=(reason,)))
    run_cycles(lambda: cycle(target, chosen), cycles)  # caches and tables reach their size
    for _ in range(_MOST_RUNS):
        verdict = judge_cycles(
            run_cycles(lambda: cycle(target, chosen), cycles).blocks, operations
        )
        if verdict.verdict == "none":
            break
    if verdict.verdict == "leak":
        kept = traced_bytes_per_cycle(lambda: cycle(target, chosen))
        verdict = replace(verdict, bytes_per_operation=kept / operations)
    return asdict(verdict)


def cycle(target: MemoryTarget, records: Sequence[Record]) -> None:
    """Store records, read them, search for them and delete them: nothing of them must be left."""
    for record in records:
        target.store(record)
        target.retrieve(record.agent_id, record.record_id)
        target.search(record.agent_id, record.state, _K, vector=record.vector)
        target.delete(record.agent_id, record.record_id)


def as_many_as_fit(
    target: MemoryTarget, records: Sequence[Record], seconds: float
) -> tuple[Sequence[Record], float]:
    """Return the first records, as many as a cycle of about this length takes, and each's seconds.

    Args:
        target: Open, and under no load.
        records: To choose from, at least one; some of them go through a cycle to see.
        seconds: Length of a cycle, > 0.
    """
    probed = records[:_PROBED_RECORDS]
    began = time.perf_counter()
    cycle(target, probed)
    each = (time.perf_counter() - began) / len(probed)
    return records[: int(seconds / each)], each


def _forecast(at: Sequence[float], rss: Sequence[int]) -> dict[str, Any]:
    if len(rss) < _FEWEST_SAMPLES:
        return {}
    limit = psutil.virtual_memory().total
    forecast = asdict(time_to_limit(at, rss, limit)) | {"limit_bytes": limit}
    never = {name: None for name, value in forecast.items() if math.isinf(value)}
    return {"forecast": forecast | never}
