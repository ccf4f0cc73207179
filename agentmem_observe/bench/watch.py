"""Collects, from inside the worker, the evidence on whether a loop's numbers can be trusted."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agentmem_observe.analysis.validity import Evidence
from agentmem_observe.measure import procfs
from agentmem_observe.measure.gc_pauses import GcPauses
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.model import ObservationBatch
from agentmem_observe.workload.driver import Load

_FEWEST_POINTS_FOR_A_SLOPE = 3
_OWN_SCHEDSTAT = Path("/proc/thread-self/schedstat")


def own_wait_ns() -> int | None:
    """Return for how long the calling thread has waited for a CPU; None if not known."""
    text = procfs.read_text(_OWN_SCHEDSTAT)
    return None if text is None else procfs.parse_run_queue_wait(text)


class Watch:
    """Watches one loop: its threads' run queue, CPU and garbage, and how lateness develops.

    A context manager around the loop; `evidence` afterwards. The kernel forgets how long a thread
    waited when it ends, so each thread's wait is read in the thread, with every batch it hands on.
    """

    def __init__(self, own_wait_ns: Callable[[], int | None] = own_wait_ns) -> None:
        """Prepare to watch.

        Args:
            own_wait_ns: How long the calling thread has waited for a CPU so far.
        """
        self._own_wait_ns = own_wait_ns
        self._gc = GcPauses()
        self._waited_ns: dict[int, int] = {}
        self._due: list[float] = []
        self._lateness: list[float] = []

    def __enter__(self) -> "Watch":
        self._gc.__enter__()
        self._waited_before = self._own_wait_ns()
        self._cpu_seconds = -time.process_time()
        self._wall_seconds = -time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self._wall_seconds += time.perf_counter()
        self._cpu_seconds += time.process_time()
        self._gc.__exit__(None, None, None)

    def see(self, batch: ObservationBatch) -> None:
        """Note how long the calling thread has waited for a CPU, and how late a batch was."""
        if (waited_ns := self._own_wait_ns()) is not None:
            self._waited_ns[threading.get_native_id()] = waited_ns
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
        waited = load.cpu_wait_seconds
        if waited is None:
            waited = self._waited_seconds()
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
            run_queue_wait_ratio=None
            if waited is None
            else min(1.0, waited / (wall * load.workers)),
            own_cpu_ratio=self._cpu_seconds / wall,
            gc_pause_ratio=self._gc.to_dict()["gc_pause_seconds"] / wall,
        )

    def _waited_seconds(self) -> float | None:
        """Return the sum over the threads that carried load: ours, or others that it started."""
        if not self._waited_ns:
            return None
        own_before = {threading.get_native_id(): self._waited_before or 0}
        return sum(
            (waited_ns - own_before.get(thread, 0)) * 1e-9
            for thread, waited_ns in self._waited_ns.items()
        )

    def _slope(self) -> float | None:
        if len(self._due) < _FEWEST_POINTS_FOR_A_SLOPE:
            return None
        return float(np.polyfit(np.array(self._due) - self._due[0], self._lateness, 1)[0])


def _percentile(histogram: Histogram, q: float) -> float | None:
    return histogram.percentile(q) if histogram.count else None
