"""The daemon: brings the jobs that run in line with the settings, and answers for all of them."""

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

import psutil

from agentmem_observe import __version__
from agentmem_observe.daemon.controls import (
    Asked,
    Controls,
    JobDetail,
    RunDetail,
    RunView,
    Status,
    TrendView,
)
from agentmem_observe.daemon.jobs.loop import JobLoop, Services
from agentmem_observe.daemon.jobs.scheduled import ScheduledLoop
from agentmem_observe.daemon.jobs.soaks import SoakLoop
from agentmem_observe.daemon.jobs.views import run_view, window_view
from agentmem_observe.daemon.notify import Notifier
from agentmem_observe.daemon.settings.values import Job, Settings, SoakJob
from agentmem_observe.daemon.state.retention import judged_as_of
from agentmem_observe.daemon.web.server import WebServer
from agentmem_observe.errors import AgentMemObserveError, ConfigError, ExportError
from agentmem_observe.results.host import host
from agentmem_observe.targets.credentials import redact_within
from agentmem_observe.telemetry import catalog

_WINDOWS_SHOWN = 500
_LOOK_AFTER_SECONDS = 1.0
_LOOK_AT_ENDING_SECONDS = 0.2
_LOOK_AT_DISK_SECONDS = 10.0
_LOOKS_AT_CPU = 60
_PRUNE_SECONDS = 3600.0
_FAREWELL_SECONDS = 10.0  # for runs that were abandoned: their results are still written


class Daemon(Controls):
    """All jobs of the settings, each in its thread; the main thread is in `run_until_stopped`."""

    def __init__(
        self, settings: Settings, services: Services, load: Callable[[], Settings]
    ) -> None:
        """Prepare the jobs; `run_until_stopped` starts them.

        Args:
            settings: What to do.
            services: What all jobs share.
            load: Reads the settings again; raises ConfigError.
        """
        self._settings, self._services, self._load = settings, services, load
        self._registry = services.metrics.registry
        self._loops: dict[str, JobLoop] = {}
        self._retired_at: dict[str, float] = {}  # monotonic, of jobs that are to go
        # Signal handlers use these at any moment: nothing here may wait for a lock, as events do.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._stops = 0
        self._reload_asked = False
        self._changing = threading.Lock()
        self._problem = ""
        self._server: WebServer | None = None
        self._started_at = self._loaded_at = time.time()
        self._cpu = _CpuShare()
        self._notifier = Notifier(os.environ, services.say)
        self._next_look = self._next_prune = 0.0
        self._pruned_as_of: float | None = None
        self._counted_lost = 0
        self._registry.set(catalog.DAEMON_STARTED, {}, self._started_at)
        self._registry.add(catalog.STATE_LOST, {}, 0)
        self._note_loaded()

    def serve_with(self, server: WebServer) -> None:
        """Read the server's own configuration again too, from now on, and show its problems."""
        self._server = server

    # What others ask of it, from any thread

    def status(self, since: float = 0.0) -> Status:
        """Return everything that the status page shows at first glance."""
        disk = self._services.state.health()
        file = self._settings.file
        return {
            "version": __version__,
            "host": str(host()["hostname"]),
            "pid": os.getpid(),
            "started_at": self._started_at,
            "now": time.time(),
            "settings": {
                "file": str(file) if file else None,
                "loaded_at": self._loaded_at,
                "problem": self._problem or (self._server.problem if self._server else ""),
            },
            "disk": {
                "writable": disk.writable,
                "problem": disk.problem,
                "pending": disk.pending,
                "lost": disk.lost,
                "bytes": disk.bytes,
                "warnings": list(disk.warnings),
            },
            "process": {
                "rss_bytes": psutil.Process().memory_info().rss,
                "cpu_ratio": self._cpu.ratio,
            },
            "jobs": [
                self._loops[job.name].view(since)
                for job in self._settings.jobs
                if job.name in self._loops
            ],
        }

    def job(self, name: str) -> JobDetail | None:
        """Return one job, or None if there is none of that name."""
        loop = self._loops.get(name)
        if loop is None:
            return None
        windows = self._services.state.windows(name, limit=_WINDOWS_SHOWN)
        return {
            **loop.view(),
            "windows": [window_view(row) for row in windows],
            "changes": loop.changes(),
        }

    def trend(self, name: str, seconds: int) -> TrendView | None:
        """Return what a job did in the last so many seconds, or None if there is none."""
        loop = self._loops.get(name)
        return None if loop is None else loop.trend(seconds)

    def runs(self, job: str | None, limit: int, before: int | None) -> list[RunView]:
        """Return runs, newest first."""
        return [run_view(row) for row in self._services.state.runs(job, limit, before)]

    def run(self, id: int) -> RunDetail | None:
        """Return one run with its result, or None if there is none of that id."""
        row = self._services.state.run(id)
        if row is None:
            return None
        return {**run_view(row), "result": self._services.state.result(row)}

    def run_now(self, name: str) -> Asked:
        """Start a job as soon as the host is free, outside of its schedule."""
        loop = self._loops.get(name)
        return Asked.UNKNOWN if loop is None else loop.ask()

    def reload(self) -> str:
        """Read the settings again; the jobs follow within a second."""
        with self._changing:
            try:
                settings = self._load()
                self._refuse_restart(settings)
                if self._server is not None:
                    self._server.reload()
            except Exception as error:  # whatever a file may say, the jobs go on
                known = isinstance(error, AgentMemObserveError)
                self._problem = (
                    str(error) if known else redact_within(f"{type(error).__name__}: {error}")
                )
                self._registry.set(catalog.SETTINGS_LOADED, {}, 0)
                self._services.say(
                    "settings_refused",
                    f"{self._problem}\nThe settings were not changed.",
                    level=logging.ERROR,
                )
                return self._problem
            self._settings, self._problem = settings, ""
            self._loaded_at = time.time()
            self._note_loaded()
        self._services.say("settings_loaded", f"Read {settings.file or 'no settings file'}")
        self._wake.put(None)
        return ""

    def ready(self) -> str:
        """Return "" while jobs can run and be shown, else what is missing."""
        if self.stopping:
            return "stopping"
        waiting = [job.name for job in self._settings.jobs if job.name not in self._loops]
        return f"not started yet: {', '.join(waiting)}" if waiting else ""

    # What the main thread does

    def stop(self) -> None:
        """Begin no more work, let what is under way end, then leave `run_until_stopped`.

        The second time, abandon what is under way; for signal handlers.
        """
        self._stops += 1
        self._wake.put(None)

    @property
    def stopping(self) -> bool:
        """Return whether `stop` was called."""
        return self._stops > 0

    @property
    def hurrying(self) -> bool:
        """Return whether `stop` was called again."""
        return self._stops > 1

    def ask_reload(self) -> None:
        """Have the main thread read the settings again; for signal handlers."""
        self._reload_asked = True
        self._wake.put(None)

    def run_until_stopped(self) -> None:
        """Keep the jobs going until `stop`, then end them within the settings' grace time."""
        try:
            if not self.stopping:
                self._reconcile()
                self._notifier.ready(f"{len(self._loops)} jobs")
            while not self.stopping:
                self._look_after()
                with suppress(Empty):
                    self._wake.get(timeout=_LOOK_AFTER_SECONDS)
        finally:
            self._services.say(
                "ending",
                f"Ending: what is under way has {self._settings.shutdown_seconds:g} s; after a "
                "second signal it has none",
            )
            self._notifier.stopping(self._settings.shutdown_seconds + _FAREWELL_SECONDS)
            self._end_all()
            self._services.state.flush()

    def _refuse_to_be_mute(self) -> None:
        """End where nobody can look any more: whoever supervises the daemon starts it again."""
        if self._server is not None and not self._server.alive:
            problem = "the thread that serves HTTP has died; start the daemon again"
            self._services.say("server_died", problem, level=logging.CRITICAL)
            raise ExportError(problem)

    def _look_after(self) -> None:
        self._refuse_to_be_mute()
        if self._reload_asked:
            self._reload_asked = False
            self._notifier.reloading()
            self.reload()
            self._notifier.ready(f"{len(self._settings.jobs)} jobs")
        self._reconcile()
        self._cpu.look()
        self._notifier.watchdog()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_AT_DISK_SECONDS
            self._look_at_disk()
        if now >= self._next_prune:
            self._next_prune = now + _PRUNE_SECONDS
            self._prune()

    def _reconcile(self) -> None:
        """Start the jobs of the settings that do not run yet, and end those not in them."""
        with self._changing:
            wanted: Mapping[str, Job] = {job.name: job for job in self._settings.jobs}
            for name, loop in list(self._loops.items()):
                # Looked at once: one that ends meanwhile is met again a second later.
                alive = loop.alive
                if wanted.get(name) != loop.job:
                    self._retire(name, loop, alive)
                if not alive:
                    self._retired_at.pop(name, None)
                    self._replace(name, wanted.get(name))
            for name, job in wanted.items():
                if name not in self._loops:
                    self._replace(name, job)

    def _replace(self, name: str, job: Job | None) -> None:
        """Start a job in place of the one that had its name; None for no other."""
        if job is None:
            del self._loops[name]
            return
        self._loops[name] = loop = _loop_of(job, self._services)
        loop.start()

    def _retire(self, name: str, loop: JobLoop, alive: bool) -> None:
        """End a job that is no longer wanted like this; abandon it when its grace is over."""
        now = time.monotonic()
        retired_at = self._retired_at.setdefault(name, now)
        if now - retired_at >= self._settings.shutdown_seconds:
            loop.abandon()
        else:
            loop.end()
        if not alive:
            loop.forget()

    def _end_all(self) -> None:
        loops = list(self._loops.values())
        for loop in loops:
            loop.end()
        deadline = time.monotonic() + self._settings.shutdown_seconds
        left = loops
        while (left := _alive(left)) and not self.hurrying and time.monotonic() < deadline:
            left[0].join(_LOOK_AT_ENDING_SECONDS)
        for loop in left:
            self._services.say(
                "job_abandoned",
                f"{loop.job.name} was not done in time: abandoned; what it measured is kept",
                level=logging.WARNING,
                job=loop.job.name,
            )
            loop.abandon()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for loop in left:
            loop.join(max(0.0, deadline - time.monotonic()))

    def _look_at_disk(self) -> None:
        state = self._services.state
        state.flush()
        health = state.health()
        self._registry.set(catalog.STATE_WRITABLE, {}, float(health.writable))
        self._registry.set(catalog.STATE_PENDING, {}, health.pending)
        self._registry.set(catalog.STATE_BYTES, {}, health.bytes)
        self._registry.add(catalog.STATE_LOST, {}, health.lost - self._counted_lost)
        self._counted_lost = health.lost

    def _prune(self) -> None:
        settings, state = self._settings, self._services.state
        try:
            before = state.newest_end() if self._pruned_as_of is None else self._pruned_as_of
            self._pruned_as_of = judged_as_of(time.time(), before)
            state.prune(
                self._pruned_as_of,
                {job.name: job.retention_seconds for job in settings.jobs},
                settings.retention_seconds,
                settings.retention_bytes,
            )
        except (AgentMemObserveError, OSError, sqlite3.Error) as error:
            self._services.say(
                "prune_failed",
                f"Old results were not removed: {error}; it is tried again in an hour",
                level=logging.WARNING,
            )

    def _note_loaded(self) -> None:
        self._registry.set(catalog.SETTINGS_LOADED, {}, 1)
        self._registry.set(catalog.SETTINGS_LOADED_AT, {}, self._loaded_at)

    def _refuse_restart(self, settings: Settings) -> None:
        """Refuse what cannot change while the daemon runs."""
        for name in ("state_dir", "web"):
            if getattr(settings, name) != getattr(self._settings, name):
                raise ConfigError(
                    f"{settings.file}: {name} cannot change while the daemon runs; restart it"
                )


class _CpuShare:
    """The share of a core that this process took over the last minute."""

    def __init__(self) -> None:
        self._looks = deque([(time.monotonic(), time.process_time())], maxlen=_LOOKS_AT_CPU)
        self.ratio = 0.0

    def look(self) -> None:
        """Note the time; called every second."""
        self._looks.append((time.monotonic(), time.process_time()))
        (began, before), (now, after) = self._looks[0], self._looks[-1]
        self.ratio = (after - before) / (now - began) if now > began else 0.0


def _loop_of(job: Job, services: Services) -> JobLoop:
    return SoakLoop(job, services) if isinstance(job, SoakJob) else ScheduledLoop(job, services)


def _alive(loops: Sequence[JobLoop]) -> list[JobLoop]:
    return [loop for loop in loops if loop.alive]
