"""Collects, from inside the worker, the evidence on whether a loop's numbers can be trusted."""

import os
import time

import numpy as np

from agentmem_observe.analysis.validity import Evidence
from agentmem_observe.measure.gc_pauses import GcPauses
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.process import ProcessProbe, ProcessSample
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.model import ObservationBatch
from agentmem_observe.workload.driver import Load

_FEWEST_POINTS_FOR_A_SLOPE = 3


class Watch:
    """Watches one loop: the process's own CPU, run queue and garbage, and how lateness develops.

    A context manager around the loop; `evidence` afterwards.
    """

    def __init__(self) -> None:
        self._probe = ProcessProbe(os.getpid())
        self._gc = GcPauses()
        self._due: list[float] = []
        self._lateness: list[float] = []

    def __enter__(self) -> "Watch":
        self._gc.__enter__()
        self._before = self._probe.sample()
        self._cpu_seconds = -time.process_time()
        self._wall_seconds = -time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self._wall_seconds += time.perf_counter()
        self._cpu_seconds += time.process_time()
        self._after = self._probe.sample()
        self._gc.__exit__(None, None, None)

    def see(self, batch: ObservationBatch) -> None:
        """Note how late a batch was on average; one point of the backlog's course."""
        if batch.intended is not None:
            self._due.append(float(batch.intended.mean()) * 1e-9)
            self._lateness.append(float((batch.started - batch.intended).mean()) * 1e-9)

    def evidence(self, load: Load, aggregate: Aggregate) -> Evidence:
        """Return what was seen while the context was open.

        Args:
            load: What the driver did.
            aggregate: What it measured.
        """
        wall = self._wall_seconds
        waited = waited_seconds(self._before, self._after)
        total = aggregate.total(outcome=None)
        elapsed = load.elapsed_seconds
        active = load.active_seconds
        thread_seconds = elapsed * load.workers if active is None else active
        busy = total.service_time.sum_seconds / thread_seconds if thread_seconds else None
        return Evidence(
            elapsed_seconds=elapsed,
            operation_count=total.service_time.count,
            offered_rate=load.offered_rate,
            achieved_rate=total.service_time.count / elapsed if elapsed else None,
            dispatch_delay_p99_seconds=_percentile(total.dispatch_delay, 99),
            latency_p50_seconds=_percentile(total.latency, 50),
            latency_p99_seconds=_percentile(total.latency, 99),
            backlog_slope=self._slope(),
            worker_busy_ratio=busy,
            run_queue_wait_ratio=None if waited is None else waited / (wall * load.workers),
            own_cpu_ratio=self._cpu_seconds / wall,
            gc_pause_ratio=self._gc.to_dict()["gc_pause_seconds"] / wall,
        )

    def _slope(self) -> float | None:
        if len(self._due) < _FEWEST_POINTS_FOR_A_SLOPE:
            return None
        return float(np.polyfit(np.array(self._due) - self._due[0], self._lateness, 1)[0])


def waited_seconds(before: ProcessSample | None, after: ProcessSample | None) -> float | None:
    """Return for how long a process waited for a CPU between two samples; None if not known."""
    readings = [sample.run_queue_wait_seconds for sample in (before, after) if sample]
    first, last = readings if len(readings) == 2 else (None, None)
    return None if first is None or last is None else last - first


def _percentile(histogram: Histogram, q: float) -> float | None:
    return histogram.percentile(q) if histogram.count else None
