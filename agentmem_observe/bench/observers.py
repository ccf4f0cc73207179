"""Observers of runs: several at once, and one that keeps metrics up to date."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.messages import Observed, Progress, Window
from agentmem_observe.bench.runner import Observer, Round
from agentmem_observe.bench.supervisor import Listener, Turn
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.results.host import host, recent_vcs, versions
from agentmem_observe.telemetry.runs import RunKey, RunMetrics


class Observers(Observer):
    """Tells several observers, in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        """Tell these."""
        self._observers = observers
        self.takes_gauges = any(each.takes_gauges for each in observers)

    def round_started(self, round: Round) -> None:
        """Pass it on."""
        for each in self._observers:
            each.round_started(round)

    def started(self, benchmark: Benchmark) -> Listener:
        """Pass it on."""
        return _Listeners([each.started(benchmark) for each in self._observers])

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Pass it on."""
        for each in self._observers:
            each.ended(benchmark, path, result)


class _Listeners(Listener):
    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def progressed(self, progress: Progress) -> None:
        for each in self._listeners:
            each.progressed(progress)

    def measured(self, delta: Aggregate) -> None:
        for each in self._listeners:
            each.measured(delta)

    def observed(self, observed: Observed) -> None:
        for each in self._listeners:
            each.observed(observed)

    def sampled(self, sample: ProcessSample) -> None:
        for each in self._listeners:
            each.sampled(sample)

    def turn(self, asked: bool) -> Turn:
        # Whoever wants to wait, or to end, has a reason that the others do not know.
        return max((each.turn(asked) for each in self._listeners), key=lambda turn: turn.value)

    def window(self, window: Window) -> None:
        for each in self._listeners:
            each.window(window)


class Publisher(Observer):
    """Keeps a registry's metrics up to date with runs."""

    takes_gauges = True

    def __init__(self, metrics: RunMetrics, target: str) -> None:
        """Publish runs on a target.

        Args:
            metrics: Where to.
            target: Spec of the target, without secrets.
        """
        self._metrics = metrics
        self._target = target
        metrics.describe(target, {"host": host(), "versions": versions(), "vcs": recent_vcs()})

    def started(self, benchmark: Benchmark) -> Listener:
        """Announce the run."""
        run = RunKey(self._target, benchmark.category, benchmark.name)
        self._metrics.started(run)
        return _PublishedRun(self._metrics, run)

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Publish what its result says."""
        self._metrics.ended(result)


class _PublishedRun(Listener):
    def __init__(self, metrics: RunMetrics, run: RunKey) -> None:
        self._metrics, self._run = metrics, run

    def progressed(self, progress: Progress) -> None:
        if progress.total:
            self._metrics.progressed(self._run, progress.done / progress.total)

    def measured(self, delta: Aggregate) -> None:
        self._metrics.measured(self._run, delta)

    def observed(self, observed: Observed) -> None:
        for name, labels, value in observed.gauges:
            self._metrics.observed(self._run, name, labels, value)

    def sampled(self, sample: ProcessSample) -> None:
        self._metrics.sampled(self._run, sample)
