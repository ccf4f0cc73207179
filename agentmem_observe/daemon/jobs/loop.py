"""A job's thread: runs benchmarks in fresh workers, and tells standing, timeline and state."""

import logging
import random
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.document import reason_without_content
from agentmem_observe.bench.messages import Progress
from agentmem_observe.bench.observers import Observers, Publisher
from agentmem_observe.bench.runner import BenchmarkRunner, Observer, RunOptions
from agentmem_observe.bench.supervisor import Listener
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.controls import Asked, ChangeView, JobView, TrendView
from agentmem_observe.daemon.jobs.backoff import Backoff
from agentmem_observe.daemon.jobs.host import Host
from agentmem_observe.daemon.jobs.standing import Standing
from agentmem_observe.daemon.jobs.timeline import Timeline
from agentmem_observe.daemon.jobs.views import run_view
from agentmem_observe.daemon.say import Say
from agentmem_observe.daemon.settings.values import Job
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import JOB, RunRow, run_of_result
from agentmem_observe.errors import AgentMemObserveError
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.targets.credentials import Credentials, redact
from agentmem_observe.telemetry.runs import RunMetrics
from agentmem_observe.telemetry.spans import RunTracing
from agentmem_observe.units import format_seconds

LOOK_EVERY_SECONDS = 1.0
"""How often a thread that waits for a time of day looks at the clock: it may be set."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all jobs share.

    Attributes:
        metrics: Get what runs show.
        state: Keeps runs, windows and result documents.
        say: Tells people.
        tracing: Makes spans of runs; None for none.
        host: Who may use the host now.
        backoff: How long to wait after a failure.
    """

    metrics: RunMetrics
    state: State
    say: Say
    tracing: RunTracing | None = None
    host: Host = field(default_factory=Host)
    backoff: Backoff = field(default_factory=Backoff)


class JobLoop(ABC):
    """One job with its thread."""

    def __init__(self, job: Job, services: Services) -> None:
        """Prepare the thread; `start` starts it.

        Args:
            job: As in the settings.
            services: What all jobs share.
        """
        self.job = job
        self.services = services
        self.standing = Standing(job.name, services.metrics.registry)
        self.timeline = Timeline()
        self.target = redact(job.target)
        self._publisher = Publisher(services.metrics, self.target)
        self._ending = threading.Event()
        self._poked = threading.Event()
        self._runner: BenchmarkRunner | None = None
        self._random = random.Random()
        self._thread = threading.Thread(target=self._run_thread, name=job.name, daemon=True)
        if (last := services.state.last_run(job.name)) is not None:
            self.standing.recall(run_view(last))

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """Start nothing more, and let what is under way come to its end."""
        self._ending.set()
        self._poked.set()
        if (runner := self._runner) is not None:
            runner.finish()

    def abandon(self) -> None:
        """End what is under way, keeping what it measured."""
        self.end()
        if (runner := self._runner) is not None:
            runner.stop()

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; return whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def forget(self) -> None:
        """Drop its metrics: it is no more, or no longer what it was."""
        self.standing.forget()

    @property
    def alive(self) -> bool:
        """Return whether the thread lives, as it does until the job ends."""
        return self._thread.is_alive()

    @abstractmethod
    def ask(self) -> Asked:
        """Have it run now, outside of its schedule."""

    @abstractmethod
    def view(self, since: float = 0.0) -> JobView:
        """Return all that the web shows of it.

        Args:
            since: Only live points that end no earlier, in seconds since 1970.
        """

    @abstractmethod
    def trend(self, seconds: float) -> TrendView:
        """Return what it did in the last so many seconds."""

    def changes(self) -> list[ChangeView]:
        """Return the newest changes of what it measures, newest first; a soak knows none."""
        return []

    @abstractmethod
    def _work(self) -> None:
        """Do the job until it ends or is never due again."""

    def _run_thread(self) -> None:
        """Do the job whatever happens: a defect of ours costs a run, not the daemon's months."""
        while not self._ending.is_set():
            try:
                self._work()
                break
            except Exception as error:
                self.services.say(
                    "job_broken",
                    f"Job {self.job.name} broke: {type(error).__name__}; it is started again. "
                    f"This is a defect of agentmem-observe:\n{traceback.format_exc()}",
                    level=logging.ERROR,
                    job=self.job.name,
                )
                self.standing.broke()
                self._back_off(
                    f"a defect of agentmem-observe: {type(error).__name__}",
                    self.standing.failures_in_a_row,
                )
        self.standing.enter("finished")

    def _run(
        self,
        benchmarks: Sequence[Benchmark],
        params: Mapping[str, Any],
        config: BenchmarkConfig,
        options: RunOptions,
    ) -> list[RunRow]:
        """Run benchmarks one after the other, and return how each went."""
        told = _Told(self)
        self._runner = runner = BenchmarkRunner(
            config,
            self.services.state.results(self.job.name),
            options=options,
            observer=Observers([self._publisher, told]),
            tracing=self.services.tracing,
        )
        self.standing.enter("running")
        try:
            if not self._ending.is_set():
                runner.run(benchmarks, params)
        except (AgentMemObserveError, OSError) as error:
            # Before a worker was there to fail: no temporary directory, no process.
            reason = Credentials(self.job.target).hidden_in(str(error))
            failed = benchmarks[min(len(told.rows), len(benchmarks) - 1)]
            row = self._failed_row(failed.category, failed.name, told.began, reason)
            told.rows.append(self.keep(row, reason))
        finally:
            self._runner = None
        return told.rows

    def keep(self, row: RunRow, reason: str = "") -> RunRow:
        """Keep a run that has ended, and return its row with its id.

        Args:
            row: Of the run.
            reason: Why it failed or was skipped, as far as a log may know.
        """
        row = self.services.state.save_run(row)
        self.standing.ended(run_view(row))
        outcome = f"failed ({row.cause})" if row.status == "failed" else row.status
        took = format_seconds(row.ended_at - row.started_at)
        trust = f", {row.validity}" if row.status == "ok" else ""
        self.services.say(
            "job_ended",
            f"{self.job.name}: {row.category}.{row.benchmark} {outcome}{trust}, took {took}"
            + (f": {reason}" if reason else ""),
            level=logging.WARNING if row.status == "failed" else logging.INFO,
            job=self.job.name,
            status=row.status,
            cause=row.cause,
            reason=reason,
            validity=row.validity,
            path=row.path,
        )
        return row

    def _failed_row(self, category: str, benchmark: str, began: float, reason: str) -> RunRow:
        return RunRow(
            id=None,
            job=self.job.name,
            category=category,
            benchmark=benchmark,
            target=self.target,
            started_at=began,
            ended_at=time.time(),
            status="failed",
            cause="error",
            reason=reason,
            path="",
            validity="void",
            figures={},
        )

    def _back_off(self, problem: str, failures: int) -> None:
        """Wait before the next attempt, for longer the more of them failed."""
        delay = self.services.backoff.seconds(failures, self._random)
        self.standing.due(time.time() + delay)
        self.standing.enter("backing_off", problem)
        self.services.say(
            "job_backing_off",
            f"{self.job.name}: tries again in {format_seconds(delay)}",
            job=self.job.name,
            seconds=delay,
        )
        self._ending.wait(delay)

    def watcher(self) -> "Watcher":
        """Return who listens to the next run."""
        return Watcher(self)


class Watcher(Listener):
    """Listens to one run of a job while it goes on."""

    def __init__(self, loop: JobLoop) -> None:
        """Listen for a job."""
        self._loop = loop
        self.began = time.time()
        self._is_up = False

    def progressed(self, progress: Progress) -> None:
        """Show how far it is."""
        self._is_up = True
        ratio = min(1.0, progress.done / progress.total) if progress.total else None
        self._loop.standing.progressed(ratio, progress.phase)

    def measured(self, delta: Aggregate) -> None:
        """Add it to the job's live points."""
        self._loop.timeline.measured(delta)

    def sampled(self, sample: ProcessSample) -> None:
        """Show the worker's RSS, once its interpreter and what it imports are there."""
        if self._is_up:
            self._loop.timeline.sampled(sample.rss_bytes)


class _Told(Observer):
    """Makes a row of each run that ends."""

    takes_gauges = True

    def __init__(self, loop: JobLoop) -> None:
        self._loop = loop
        self.rows: list[RunRow] = []
        self.began = time.time()

    def started(self, benchmark: Benchmark) -> Listener:
        self.began = time.time()
        return self._loop.watcher()

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        metadata = result["metadata"] | {JOB: self._loop.job.name}
        row = run_of_result({**result, "metadata": metadata}, path)
        assert row is not None  # it is of a job
        # At once: the next benchmark may take hours, and a kill as long.
        row = replace(row, started_at=self.began)
        row = self._loop.keep(row, reason_without_content(metadata))
        self.rows.append(row)
