"""A benchmark of a target that takes as long as a file says, and a made-up past of its job."""

import copy
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import JOB, run_of_result

FIGURE = "service_time_p50_seconds"
"""What varies from night to night."""

TARGET = """
from pathlib import Path

from agentmem_observe.targets.fake import FakeScript, FakeTarget

def make():
    return FakeTarget(FakeScript(retrieve_seconds=float(Path({seconds!r}).read_text())))
"""
"""A module with a target ``make``; ``seconds`` is the path of the file."""

SUITE = """
import time
from agentmem_observe.model import Record

def benchmark_reading(bench):
    took = []
    with bench.target() as target:
        target.store(Record("a", "one"))
        for _ in range(20):
            began = time.perf_counter()
            target.retrieve("a", "one")
            took.append(time.perf_counter() - began)
    return {"service_time_p50_seconds": sorted(took)[10], "mood": 1}
"""
"""A module with a benchmark of it, ``reading``."""

_DAY_SECONDS = 86_400


def remember(
    state: State,
    job: str,
    nights: int,
    *,
    spread: float = 0.02,
    factor: Callable[[int], float] = lambda night: 1.0,
    **metadata: Any,
) -> None:
    """Keep the only run of a job so many times more, as of the nights before it.

    Args:
        state: Has that run.
        job: Its name.
        nights: How many.
        spread: Standard deviation of `FIGURE` from night to night, as a share of it.
        factor: How many times as long it took so many nights ago.
        metadata: What else differs from the run.
    """
    (row,) = state.runs(job)
    result = state.result(row)
    assert result is not None
    noise = random.Random(1)
    for night in range(nights, 0, -1):
        at = row.ended_at - _DAY_SECONDS * night
        again = copy.deepcopy(result)
        again["results"][FIGURE] *= noise.gauss(1, spread) * factor(night)
        again["timestamp"] = time.strftime("%Y%m%d_%H%M%S", time.localtime(at))
        ended = datetime.fromtimestamp(at, UTC).isoformat()
        again["metadata"] |= {"ended_at": ended, JOB: job, **metadata}
        kept = run_of_result(again, state.results(job).save_document(again))
        assert kept is not None
        state.save_run(replace(kept, target=row.target))
