"""How a job stands: what its thread is at, how its runs ended, for the page and as metrics."""

import threading
import time
from collections.abc import Callable
from typing import Any

from agentmem_observe.daemon.controls import JobState, RunView
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.registry import MetricRegistry


class Standing:
    """What is known of one job; its own thread tells, any thread may look."""

    def __init__(
        self, job: str, registry: MetricRegistry, *, now: Callable[[], float] = time.time
    ) -> None:
        """Begin idle.

        Args:
            job: Its name.
            registry: Gets the job's metrics.
            now: Seconds since 1970.
        """
        self._job, self._registry, self._now = job, registry, now
        self._lock = threading.Lock()
        self._runs = {"ok": 0, "failed": 0, "skipped": 0}
        self._skipped = {"missed": 0, "overlap": 0}
        self._known: dict[str, Any] = {
            "state_since": now(),
            "next_due_at": None,
            "progress": None,
            "phase": "",
            "problem": "",
            "failures_in_a_row": 0,
            "last_run": None,
        }
        for status in self._runs:
            registry.add(catalog.JOB_RUNS, self._labels(status=status), 0)
        for reason in self._skipped:
            registry.add(catalog.JOB_SKIPPED, self._labels(reason=reason), 0)
        self._set(catalog.JOB_FAILURES_IN_A_ROW, 0)
        self.enter("idle")

    @property
    def failures_in_a_row(self) -> int:
        """Return how many runs failed since the last good one."""
        with self._lock:
            failures: int = self._known["failures_in_a_row"]
            return failures

    def enter(self, state: JobState, problem: str = "") -> None:
        """The job is in this state now; being in it already changes nothing.

        Args:
            state: Which.
            problem: Why, where something is wrong.
        """
        with self._lock:
            if self._known.get("state") != state:
                self._known |= {"state": state, "state_since": self._now()}
            self._known["problem"] = problem
            if state != "running":
                self._known |= {"progress": None, "phase": ""}
        self._registry.set_state(catalog.JOB_STATE, self._labels(), state)

    def progressed(self, ratio: float | None, phase: str) -> None:
        """The run under way has come so far; None if it cannot say."""
        with self._lock:
            self._known |= {"progress": ratio, "phase": phase}

    def due(self, at: float | None) -> None:
        """The job is due next at this time, in seconds since 1970; None for never."""
        with self._lock:
            self._known["next_due_at"] = at
        if at is None:
            self._registry.drop(catalog.JOB_NEXT_RUN, self._labels())
        else:
            self._set(catalog.JOB_NEXT_RUN, at)

    def comes_every(self, seconds: float) -> None:
        """Its due times, or the ends of its windows, are so far apart."""
        self._set(catalog.JOB_PERIOD, seconds)

    def skipped(self, reason: str, count: int) -> None:
        """So many due times passed without a run: ``missed`` or ``overlap``."""
        with self._lock:
            self._skipped[reason] += count
        self._registry.add(catalog.JOB_SKIPPED, self._labels(reason=reason), count)

    def ended(self, run: RunView) -> None:
        """A run of it ended."""
        with self._lock:
            self._runs[run["status"]] += 1
            self._known["last_run"] = run
            if run["status"] == "failed":
                self._known["failures_in_a_row"] += 1
        self._registry.add(catalog.JOB_RUNS, self._labels(status=run["status"]), 1)
        if run["status"] == "failed":
            self._registry.add(catalog.JOB_FAILURES, self._labels(cause=run["cause"]), 1)
            self._set(catalog.JOB_FAILURES_IN_A_ROW, self.failures_in_a_row)
        elif run["status"] == "ok":
            self.succeeded(run["ended_at"])

    def broke(self) -> None:
        """It failed by a defect of ours, before there was a run to tell of."""
        with self._lock:
            self._known["failures_in_a_row"] += 1
        self._registry.add(catalog.JOB_FAILURES, self._labels(cause="defect"), 1)
        self._set(catalog.JOB_FAILURES_IN_A_ROW, self.failures_in_a_row)

    def succeeded(self, at: float) -> None:
        """It has results: those of a run, or of one more window."""
        with self._lock:
            self._known["failures_in_a_row"] = 0
        self._set(catalog.JOB_FAILURES_IN_A_ROW, 0)
        self._set(catalog.JOB_LAST_SUCCESS, at)

    def recall(self, run: RunView) -> None:
        """A run ended like this before the daemon was started."""
        with self._lock:
            self._known["last_run"] = run
        if run["status"] == "ok":
            self._set(catalog.JOB_LAST_SUCCESS, run["ended_at"])

    def view(self) -> dict[str, Any]:
        """Return what is known, by the names of `controls.JobView`."""
        with self._lock:
            return self._known | {"runs": dict(self._runs), "skipped": dict(self._skipped)}

    def forget(self) -> None:
        """The job is no more, and so are its metrics."""
        self._registry.forget(job_name=self._job)

    def _labels(self, **further: str) -> dict[str, str]:
        return {"job_name": self._job, **further}

    def _set(self, metric: catalog.Metric, value: float) -> None:
        self._registry.set(metric, self._labels(), value)
