"""Soak jobs: one worker after the other under a steady load, judged after each window."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentmem_observe import suite
from agentmem_observe.analysis.drift import DriftVerdict, judge_drift
from agentmem_observe.analysis.leaks import LeakVerdict
from agentmem_observe.analysis.soak import SoakWindow, judge_leak, thin_windows
from agentmem_observe.bench.discover import Benchmark, discover
from agentmem_observe.bench.messages import Window
from agentmem_observe.bench.runner import RunOptions
from agentmem_observe.bench.supervisor import Turn
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.controls import Asked, JobView, TrendView
from agentmem_observe.daemon.jobs.loop import (
    LOOK_EVERY_SECONDS,
    JobLoop,
    Services,
    Watcher,
)
from agentmem_observe.daemon.jobs.trend import trend_of_windows
from agentmem_observe.daemon.settings.values import SoakJob
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.retention import MOST_WINDOWS
from agentmem_observe.daemon.state.rows import WindowRow, headline
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.results.schema import plain
from agentmem_observe.telemetry.runs import RunKey, SoakVerdicts

CATEGORY = "soak"
"""Of the results and series of all soaks; their benchmark is the job's name."""

_OVERTIME_SECONDS = 60.0
"""Beyond its length and the time limit of its operations, what a window may take: its cycle, or
storing records again in a target that had lost them."""


_PAGE = 1_000
"""Rows that are recalled at a time."""


class SoakLoop(JobLoop):
    """Keeps a steady load on a target; a worker that fails is replaced after a while."""

    job: SoakJob

    def __init__(self, job: SoakJob, services: Services) -> None:
        """Prepare the job's thread."""
        super().__init__(job, services)
        self.run_key = RunKey(self.target, CATEGORY, job.name)
        self._fruitless = 0  # workers in a row without a window
        self.told_of_undefined = False
        self.validity: dict[str, Any] | None = None
        self.leak: LeakVerdict | None = None
        self.drift: DriftVerdict | None = None
        self.standing.comes_every(job.window_seconds)

    def ask(self) -> Asked:
        """Refuse: it always runs."""
        return Asked.NOT_POSSIBLE

    def view(self, since: float = 0.0) -> JobView:
        """Return all that the web shows of it."""
        leak, drift = self.leak, self.drift
        return {
            "name": self.job.name,
            "kind": "soak",
            "target": self.target,
            "what": f"{self.job.rate:g} operations a second",
            "schedule": f"always, in windows of {self.job.window_seconds:g} s",
            "validity": self.validity,
            "leak": leak
            and {
                "verdict": leak.verdict,
                "reasons": list(leak.reasons),
                "bytes_per_operation": leak.bytes_per_operation,
                "slope_bytes_per_second": leak.slope_bytes_per_second,
            },
            "drift": drift
            and {"verdict": drift.verdict, "ratio": drift.ratio, "reasons": list(drift.reasons)},
            "regression": None,
            "live": self.timeline.view(since),
            **self.standing.view(),  # type: ignore[typeddict-item]  # has the other names
        }

    def trend(self, seconds: float) -> TrendView:
        """Return how its windows were."""
        return trend_of_windows(self.services.state, self.job.name, seconds)

    def forget(self) -> None:
        """Drop its metrics, and those of its workers: a verdict would call for ever."""
        super().forget()
        self.services.metrics.registry.forget(category=CATEGORY, benchmark=self.job.name)

    def watcher(self) -> Watcher:
        """Return who listens to the next worker."""
        return _WindowWatcher(self)

    def _work(self) -> None:
        while self._get_host():
            self.standing.due(None)
            try:
                rows = self._run(
                    [_steady(self.job.name)], self._params(), BenchmarkConfig(), self._options()
                )
            finally:
                self.services.host.leave(self.job.name)
            if self._ending.is_set():
                return
            self._fruitless += 1
            self._back_off(rows[-1].reason or "its worker ended", self._fruitless)

    def turn(self, asked: bool) -> Turn:
        """Say whether the worker may go on to its next window."""
        if self._ending.is_set():
            return Turn.END
        if asked and not self.services.host.share(self.job.name):
            self.standing.enter("waiting")
            self.timeline.pause()
            return Turn.WAIT
        if asked:
            self.standing.enter("running")
            self.timeline.resume()
        return Turn.GO

    def judge(self, validity: dict[str, Any], windows: Sequence[SoakWindow]) -> SoakVerdicts:
        """Judge the soak by its windows, and return what is thought of it now.

        Args:
            validity: Of the newest window.
            windows: Oldest first.
        """
        self._fruitless = 0
        self.validity = validity
        self.leak = judge_leak(windows, least_windows=self.job.leak_windows)
        self.drift = judge_drift(windows)
        return SoakVerdicts(
            validity["verdict"],
            self.leak.verdict,
            self.leak.bytes_per_operation,
            self.drift.verdict,
            self.drift.ratio,
        )

    def _get_host(self) -> bool:
        """Wait until the host may be shared; return False when the job is to end."""
        while not self._ending.is_set():
            if self.services.host.share(self.job.name):
                return True
            self.standing.enter("waiting")
            self._poked.wait(LOOK_EVERY_SECONDS)
        return False

    def _params(self) -> dict[str, Any]:
        job = self.job
        return {
            "rate": job.rate,
            "window_seconds": job.window_seconds,
            "workers": job.workers,
            "records": job.records,
            "mix": dict(job.mix),
        }

    def _options(self) -> RunOptions:
        job = self.job
        return RunOptions(
            target=job.target,
            seed=job.seed,
            time_limit_seconds=job.window_seconds
            + job.operation_timeout_seconds
            + _OVERTIME_SECONDS,
            operation_timeout_seconds=job.operation_timeout_seconds,
            in_turns=True,
            silence_limit_seconds=job.hang_seconds,
            work_dir=self.services.state.work_dir,
        )


class _WindowWatcher(Watcher):
    """Listens to one worker of a soak, window by window."""

    _loop: SoakLoop

    def __init__(self, loop: SoakLoop) -> None:
        super().__init__(loop)
        loop.timeline.pause()  # until its first turn: what is stored before is no load
        self._measured = Aggregate()
        self._least_rss: float | None = None
        self._soak = ""
        self._windows: list[SoakWindow] = []

    def measured(self, delta: Aggregate) -> None:
        """Add it to the window in hand too."""
        super().measured(delta)
        self._measured.merge(delta)

    def sampled(self, sample: ProcessSample) -> None:
        """Note the least RSS of the window in hand."""
        super().sampled(sample)
        if self._is_up:
            self._least_rss = min(self._least_rss or sample.rss_bytes, sample.rss_bytes)

    def turn(self, asked: bool) -> Turn:
        """Ask the job, which asks the host."""
        return self._loop.turn(asked)

    def window(self, window: Window) -> None:
        """Keep the window and judge the soak; one that was cut short says nothing."""
        loop, ended_at = self._loop, time.time()
        loop.services.host.leave(loop.job.name)
        measured, self._measured = self._measured, Aggregate()
        least_rss, self._least_rss = self._least_rss, None
        if window.figures["cut"]:
            return
        told = self._finite(window.figures)
        self._recall(told["server"])
        figures = (
            headline(measured) | _punctuality(measured) | told | {"worker_rss_bytes": least_rss}
        )
        seen = _soak_window(figures, ended_at, window.seconds)
        if self._windows and seen.at_seconds <= self._windows[-1].at_seconds:
            # The clock was set back; what matters is how far apart windows are.
            at_seconds = self._windows[-1].at_seconds + window.seconds
            seen = replace(seen, at_seconds=at_seconds)
        self._windows = thin_windows([*self._windows, seen])
        verdicts = loop.judge(told["validity"], self._windows)
        figures |= {"at_seconds": seen.at_seconds, "leak": verdicts.leak, "drift": verdicts.drift}
        loop.services.metrics.soaked(loop.run_key, verdicts)
        loop.services.state.save_window(
            WindowRow(
                job=loop.job.name,
                soak=self._soak,
                number=window.number,
                started_at=window.started_at,
                ended_at=ended_at,
                figures=figures | {"seconds": window.seconds},
            )
        )
        if loop.standing.failures_in_a_row:
            loop.services.say(
                "soak_recovered", f"{loop.job.name}: is back under load", job=loop.job.name
            )
        loop.standing.succeeded(ended_at)

    def _finite(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Return figures without those that a target made up: nothing can be judged by a nan."""
        undefined: list[str] = []
        finite: dict[str, Any] = plain(figures, "figures", undefined)
        loop = self._loop
        if undefined and not loop.told_of_undefined:
            loop.told_of_undefined = True
            names = ", ".join(path.removeprefix("figures.") for path in undefined)
            loop.services.say(
                "figure_not_finite",
                f"{loop.job.name}: {names} of a window is no number and is taken for not known, "
                "now and later; see what stats() and count() of the target return",
                level=logging.WARNING,
                job=loop.job.name,
            )
        return finite

    def _recall(self, server: str) -> None:
        """Go on where an earlier worker, or daemon, left off if the same server is under load."""
        soak = server or f"worker since {self.began:.3f}"
        if soak == self._soak:
            return
        self._windows = []
        self._soak = soak
        if server:
            self._windows = recalled(self._loop.services.state, self._loop.job.name, server)


def recalled(state: State, job: str, soak: str) -> list[SoakWindow]:
    """Return all windows that the state has of a soak, as they are judged: old ones thinned.

    Page by page, for memory's sake. Of the 50,000 there can be it takes a second of CPU time, once
    for each worker.

    Args:
        state: Where they are.
        job: Of this job.
        soak: Of this life of its server.
    """
    windows: list[SoakWindow] = []
    for skip in range(MOST_WINDOWS - _PAGE, -1, -_PAGE):
        rows = state.windows(job, soak=soak, limit=_PAGE, skip=skip)
        page = [
            _soak_window(row.figures, row.figures["at_seconds"], row.figures["seconds"])
            for row in rows
        ]
        windows = thin_windows([*windows, *page])
    return windows


def _punctuality(measured: Aggregate) -> dict[str, float]:
    """Return how late operations began, and how much of that was the load generator's own."""
    total = measured.total()
    return {
        f"{name}_p99_seconds": histogram.percentile(99)
        for name, histogram in (
            ("lateness", total.lateness),
            ("dispatch_delay", total.dispatch_delay),
        )
        if histogram.count
    }


def _soak_window(figures: dict[str, Any], at_seconds: float, seconds: float) -> SoakWindow:
    """Return a window as it is judged, out of what is stored of it."""
    # A server that is on another host has no RSS for us: that of its client says nothing.
    holder = "worker" if figures["in_process"] else "server"
    return SoakWindow(
        at_seconds=at_seconds,
        seconds=seconds,
        operations=figures["operations"],
        blocks=figures["blocks"],
        resident_bytes=figures[f"{holder}_rss_bytes"],
        stored_bytes=figures["stored_bytes"],
        load=figures["operations"] / seconds,
        service_p50_seconds=figures.get("service_time_p50_seconds"),
        service_p99_seconds=figures.get("service_time_p99_seconds"),
        trusted=figures["validity"]["verdict"] != "void",
    )


def _steady(job: str) -> Benchmark:
    """Return the soak under the job's name, so that each has results and series of its own."""
    (steady,) = discover([Path(suite.__path__[0]) / CATEGORY])
    return replace(steady, name=job, function=steady.name)
