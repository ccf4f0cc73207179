"""Benchmark jobs: run when they are due, alone on the host, again if they failed."""

import logging
import random
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from agentmem_observe.bench.discover import Benchmark, choose, standard_suite
from agentmem_observe.bench.runner import RunOptions
from agentmem_observe.daemon.controls import Asked, ChangeView, JobView, TrendView
from agentmem_observe.daemon.jobs.confirming import Confirming
from agentmem_observe.daemon.jobs.loop import LOOK_EVERY_SECONDS, JobLoop, Services
from agentmem_observe.daemon.jobs.regressions import Regressions
from agentmem_observe.daemon.jobs.trend import trend_of_runs
from agentmem_observe.daemon.schedule import Every, Trigger
from agentmem_observe.daemon.settings.values import BenchmarkJob
from agentmem_observe.errors import AgentMemObserveError


class ScheduledLoop(JobLoop):
    """Runs a benchmark job when its trigger says so, or somebody asks.

    A due time that passes while the job is at it is not made up for: it is skipped and counted.
    """

    job: BenchmarkJob

    def __init__(
        self, job: BenchmarkJob, services: Services, trigger: Trigger | None = None
    ) -> None:
        """Prepare the job's thread.

        Args:
            job: What to run.
            services: What all jobs share.
            trigger: When it is due; by default made of the job's schedule and its last run.
        """
        super().__init__(job, services)
        self._trigger = trigger or Trigger(
            job.schedule,
            random=random.Random(),
            last_run_at=services.state.last_started(job.name),
        )
        confirming = Confirming(job, services.state, self._ending)
        self._regressions = Regressions(
            job.name, self.target, services.state, services.metrics, confirming.confirm
        )
        self._lock = threading.Lock()  # of these two: asked for, or at it
        self._asked = self._busy = False
        self.standing.due(self._trigger.next_due_at)
        if isinstance(job.schedule, Every):
            self.standing.comes_every(job.schedule.seconds)

    def ask(self) -> Asked:
        """Have it run as soon as the host is free; also if it is never due again."""
        with self._lock:
            if self._ending.is_set() or not self.alive:
                return Asked.ENDING
            if self._busy or self._asked:
                return Asked.ALREADY
            self._asked = True
        self._poked.set()
        return Asked.QUEUED

    def view(self, since: float = 0.0) -> JobView:
        """Return all that the web shows of it."""
        last = self.standing.view()["last_run"]
        validity = last and last["validity"]
        return {
            "name": self.job.name,
            "kind": "benchmark",
            "target": self.target,
            "what": "/".join(self._names()),
            "schedule": str(self.job.schedule),
            "validity": {
                "verdict": validity,
                "reasons": last["figures"].get("validity_reasons", []),
            }
            if validity
            else None,
            "leak": None,
            "drift": None,
            "regression": self._regressions.view(),
            "live": self.timeline.view(since),
            **self.standing.view(),  # type: ignore[typeddict-item]  # has the other names
        }

    def trend(self, seconds: float) -> TrendView:
        """Return how its runs were."""
        return trend_of_runs(self.services.state, self.job.name, seconds)

    def changes(self) -> list[ChangeView]:
        """Return the newest changes of its benchmarks' figures, newest first."""
        return self._regressions.changes()

    def forget(self) -> None:
        """Drop its metrics, verdicts too: they would call for ever."""
        super().forget()
        self._regressions.forget()

    def _work(self) -> None:
        self._recall()
        while self._wait():
            try:
                made_way = self._attempt()
            finally:
                self._busy = False
            if not made_way:
                self._skip_overlap()

    def _wait(self) -> bool:
        """Wait until it is due or asked for; return False when the job is to end."""
        while not self._ending.is_set():
            self.standing.due(self._trigger.next_due_at)
            left = self._trigger.wait_seconds()
            with self._lock:
                asked, self._asked = self._asked, False
                self._busy = asked or left <= 0
            if asked:
                return True
            if left <= 0:
                self.standing.skipped("missed", self._trigger.take())
                return True
            self.standing.enter("finished" if self._trigger.next_due_at is None else "idle")
            self._poked.wait(min(left, LOOK_EVERY_SECONDS))
            self._poked.clear()
        return False

    def _attempt(self) -> bool:
        """Run all benchmarks; those that fail, again after a while, as often as is allowed.

        Returns:
            Whether it gave up because the job is due again, which is then made up for.
        """
        job = self.job
        left = self._chosen()
        for attempt in range(job.retries + 1 if left else 0):
            self.standing.enter("waiting")
            with self._host() as granted:
                if not granted:
                    return False
                rows = self._run(left, job.params, job.config, self._options())
                for row in rows:
                    if row.status == "ok" and row.validity != "void":
                        self._judge(row.category, row.benchmark)
            failed = {(row.category, row.benchmark): row for row in rows if row.status == "failed"}
            left = [one for one in left if (one.category, one.name) in failed]
            if not left or attempt == job.retries or self._ending.is_set():
                return False
            self._back_off(next(iter(failed.values())).reason, attempt + 1)
            if self._trigger.wait_seconds() <= 0:
                return True
        return False

    def _recall(self) -> None:
        """Judge what was run before the daemon was started."""
        try:
            chosen = choose(self.job.suites, self.job.category, self.job.benchmark)
        except AgentMemObserveError:
            return  # the next attempt tells of it
        # A duel that was not fought before is fought now, and needs the host as a run does.
        needed = self._host() if self.job.confirm_python else nullcontext(enter_result=True)
        with needed:
            for benchmark in chosen:
                if self._ending.is_set():
                    return
                self._judge(benchmark.category, benchmark.name)

    def _judge(self, category: str, benchmark: str) -> None:
        """Compare the newest runs of a benchmark with those before.

        Runs are worth more than verdicts: a defect of ours here costs none.
        """
        job = self.job.name
        try:
            news = self._regressions.judge(category, benchmark)
        except Exception as error:
            self.services.say(
                "judging_broken",
                f"{job}: {category}.{benchmark} was not judged: {type(error).__name__}; this is a "
                f"defect of agentmem-observe:\n{traceback.format_exc()}",
                level=logging.ERROR,
                job=job,
            )
            return
        if news:
            self.services.say("regression", f"{job}: {news}", level=logging.WARNING, job=job)

    def _chosen(self) -> Sequence[Benchmark]:
        """Return what to run; nothing, and a failed run, if a suite is not what it was."""
        job, began = self.job, time.time()
        try:
            return choose(job.suites, job.category, job.benchmark)
        except AgentMemObserveError as error:
            self.keep(self._failed_row(*self._names(), began, str(error)), str(error))
            return ()

    def _names(self) -> tuple[str, str]:
        return self.job.category or "*", self.job.benchmark or "*"

    def _skip_overlap(self) -> None:
        """Count the times that passed during the run, which is not made up for them."""
        self.standing.skipped("overlap", self._trigger.skip())

    def _host(self) -> AbstractContextManager[bool]:
        if self.job.beside_others:
            return nullcontext(enter_result=True)
        return self.services.host.alone(self._ending)

    def _options(self) -> RunOptions:
        return RunOptions(
            target=self.job.target,
            suites=(standard_suite(), *self.job.suites),
            seed=self.job.seed,
            time_limit_seconds=self.job.timeout_seconds,
            operation_timeout_seconds=self.job.operation_timeout_seconds,
            work_dir=self.services.state.work_dir,
        )
