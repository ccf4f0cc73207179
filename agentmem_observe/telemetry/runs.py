"""Turns what is known of runs into series: live while they go on, or from stored results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.measure.recorder import Aggregate, SeriesKey
from agentmem_observe.results.histograms import aggregate_of
from agentmem_observe.results.schema import ended_at
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.catalog import METRICS, Metric
from agentmem_observe.telemetry.curves import at, curves_of
from agentmem_observe.telemetry.registry import MetricRegistry

_HISTOGRAMS = {
    "latency": catalog.OPERATION_LATENCY,
    "service_time": catalog.OPERATION_SERVICE_TIME,
    "lateness": catalog.OPERATION_LATENESS,
    "dispatch_delay": catalog.OPERATION_DISPATCH_DELAY,
}

_SIZES = (
    (catalog.PROCESS_RSS, "rss_bytes"),
    (catalog.PROCESS_THREADS, "thread_count"),
    (catalog.PROCESS_FDS, "fd_count"),
)

_COUNTERS: tuple[tuple[Metric, dict[str, str], str], ...] = (
    (catalog.PROCESS_CPU, {}, "cpu_seconds"),
    (catalog.PROCESS_SWITCHES, {"type": "voluntary"}, "voluntary_switches_total"),
    (catalog.PROCESS_SWITCHES, {"type": "involuntary"}, "involuntary_switches_total"),
    (catalog.PROCESS_FAULTS, {"type": "minor"}, "minor_faults_total"),
    (catalog.PROCESS_FAULTS, {"type": "major"}, "major_faults_total"),
    (catalog.PROCESS_DISK, {"direction": "read"}, "disk_read_bytes"),
    (catalog.PROCESS_DISK, {"direction": "write"}, "disk_write_bytes"),
    (catalog.PROCESS_NETWORK, {"direction": "received"}, "network_received_bytes"),
    (catalog.PROCESS_NETWORK, {"direction": "sent"}, "network_sent_bytes"),
    (catalog.PROCESS_NETWORK, {"direction": "loopback"}, "loopback_bytes"),
    (catalog.PROCESS_RUN_QUEUE_WAIT, {}, "run_queue_wait_seconds"),
)
"""Metric, further labels, and the name both of a `ProcessSample`'s field and of a result's key."""

_SIZES_OF_RESULT = (
    (catalog.PROCESS_RSS, "rss_end_bytes"),
    (catalog.PROCESS_USS, "uss_end_bytes"),
    (catalog.PROCESS_THREADS, "thread_count_max"),
    (catalog.PROCESS_FDS, "fd_count_max"),
)

_PROCESS_PROBE = "process"


class RunKey(NamedTuple):
    """Which benchmark on which target; the labels that all of a run's series share.

    Attributes:
        target: Spec of the target without secrets.
        category: Category of the benchmark.
        benchmark: Name of the benchmark.
    """

    target: str
    category: str
    benchmark: str

    def labels(self, **further: str) -> dict[str, str]:
        """Return the labels, with further ones."""
        return self._asdict() | further

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "RunKey":
        """Return the key of a result."""
        spec = document["metadata"].get("target", {}).get("spec", "")
        return cls(str(spec), document["category"], document["benchmark"])


@dataclass(frozen=True, slots=True)
class SoakVerdicts:
    """What is thought of a soak after one of its windows.

    Attributes:
        validity: Of the window: a state of `catalog.VALIDITY`.
        leak: A state of `catalog.LEAK`.
        leak_bytes_per_operation: What each operation leaves behind; None if not known.
        drift: A state of `catalog.DRIFT`.
        drift_ratio: Service time now over what it was; None if not known.
    """

    validity: str
    leak: str
    leak_bytes_per_operation: float | None
    drift: str
    drift_ratio: float | None


@dataclass(frozen=True, slots=True)
class Regression:
    """What the past of a benchmark says of its newest runs.

    Attributes:
        verdict: A state of `catalog.REGRESSION`.
        ratio: How many times worse the figure is that changed most; None without a change.
        changed_at: When the first run after that change ended, in seconds since 1970.
    """

    verdict: str
    ratio: float | None
    changed_at: float | None


def operation_labels(run: RunKey, key: SeriesKey) -> dict[str, str]:
    """Return the labels of the series of one kind of operation."""
    return run.labels(operation=key.operation, tier=key.tier, outcome=key.outcome)


class RunMetrics:
    """Keeps a registry up to date with runs; any thread may tell it of its own run."""

    def __init__(self, registry: MetricRegistry) -> None:
        """Write into a registry."""
        self.registry = registry
        self._last_samples: dict[RunKey, ProcessSample] = {}

    def started(self, run: RunKey) -> None:
        """A run begins."""
        self._last_samples.pop(run, None)
        self._set(catalog.BENCHMARK_RUNNING, run, 1)
        self._set(catalog.BENCHMARK_PROGRESS, run, 0)

    def progressed(self, run: RunKey, ratio: float) -> None:
        """A run has come to this share of its work, from 0 to 1."""
        self._set(catalog.BENCHMARK_PROGRESS, run, min(1.0, ratio))

    def measured(self, run: RunKey, delta: Aggregate) -> None:
        """These operations were measured since the last call."""
        for key, series in delta:
            labels = operation_labels(run, key)
            self.registry.add(catalog.OPERATIONS, labels, series.service_time.count)
            for name, histogram in series.histograms().items():
                if histogram.count:
                    self.registry.merge(_HISTOGRAMS[name], labels, histogram)

    def observed(self, run: RunKey, name: str, labels: Mapping[str, str], value: float) -> None:
        """Something besides operations was seen: a gauge by name, without the run's own labels.

        Raises:
            ValueError: If there is no such gauge, or it has other labels.
        """
        metric = METRICS.get(name)
        if metric is None:
            raise ValueError(f"there is no metric {name!r}")
        own = {label: value for label, value in run.labels().items() if label in metric.labels}
        self.registry.set(metric, {**own, **labels}, value)

    def sampled(self, run: RunKey, sample: ProcessSample) -> None:
        """The worker's process was looked at; counters grow by what came since the last look."""
        before = self._last_samples.get(run)
        self._last_samples[run] = sample
        for metric, name in _SIZES:
            self._set(metric, run, getattr(sample, name))
        if before is None:
            return
        for metric, labels, name in _COUNTERS:
            first, last = getattr(before, name), getattr(sample, name)
            if first is not None and last is not None:
                self.registry.add(metric, run.labels(**labels), max(0, last - first))

    def soaked(self, run: RunKey, verdicts: SoakVerdicts) -> None:
        """A window of a soak has ended, and this is what is thought of the soak since."""
        self.registry.add(catalog.SOAK_WINDOWS, run.labels(verdict=verdicts.validity), 1)
        self._set_state(catalog.VALIDITY, run, verdicts.validity)
        self._set_state(catalog.LEAK, run, verdicts.leak)
        self._set_or_drop(catalog.LEAK_BYTES, run, verdicts.leak_bytes_per_operation)
        self._set_state(catalog.DRIFT, run, verdicts.drift)
        self._set_or_drop(catalog.DRIFT_RATIO, run, verdicts.drift_ratio)

    def judged(self, run: RunKey, regression: Regression) -> None:
        """The newest runs were compared with those before."""
        self._set_state(catalog.REGRESSION, run, regression.verdict)
        self._set_or_drop(catalog.REGRESSION_RATIO, run, regression.ratio)
        self._set_or_drop(catalog.REGRESSION_CHANGED, run, regression.changed_at)

    def unjudged(self, run: RunKey) -> None:
        """Nobody compares these runs any more."""
        for metric in (catalog.REGRESSION, catalog.REGRESSION_RATIO, catalog.REGRESSION_CHANGED):
            self.registry.drop(metric, run.labels())

    def ended(self, document: Mapping[str, Any]) -> None:
        """A run ended with this result, which is that of operations and samples already told."""
        run, metadata = RunKey.of(document), document["metadata"]
        status = metadata.get("status", "ok")
        ended = ended_at(document)
        self.registry.add(catalog.BENCHMARK_RUNS, run.labels(status=status), 1)
        self._set(catalog.BENCHMARK_RUNNING, run, 0)
        self._set(catalog.BENCHMARK_DURATION, run, metadata.get("execution_time"))
        self._set(catalog.BENCHMARK_LAST_END, run, ended)
        if status == "ok":
            self._set(catalog.BENCHMARK_PROGRESS, run, 1)
            self._set(catalog.BENCHMARK_LAST_SUCCESS, run, ended)
        self.describe(run.target, metadata)
        self._judge(run, metadata, document.get("results", {}))
        self._cost(run, metadata)

    def replay(self, document: Mapping[str, Any]) -> None:
        """Take over a stored result as if its run had just been watched."""
        run, metadata = RunKey.of(document), document["metadata"]
        self.measured(run, aggregate_of(metadata))
        resources = metadata.get("resources", {})
        for metric, name in _SIZES_OF_RESULT:
            self._set(metric, run, resources.get(name))
        for metric, labels, name in _COUNTERS:
            if (amount := resources.get(name)) is not None:
                self.registry.add(metric, run.labels(**labels), amount)
        for metric, name in (
            (catalog.LOAD_OFFERED, "offered_operations_per_second"),
            (catalog.LOAD_ACHIEVED, "achieved_operations_per_second"),
        ):
            self._set(metric, run, metadata.get("load", {}).get(name))
        self.ended(document)

    def describe(self, target: str, metadata: Mapping[str, Any]) -> None:
        """Say what is run where, in place of what was said of this target before.

        Args:
            target: Spec of the target, without secrets.
            metadata: ``host``, ``versions`` and ``vcs`` as in a result; what is missing is "".
        """
        host = metadata.get("host") or {}
        labels = {
            "target": target,
            "version": str((metadata.get("versions") or {}).get("agentmem-observe", "")),
            "commit": str((metadata.get("vcs") or {}).get("commit") or ""),
            "host": str(host.get("hostname", "")),
            "python": str((host.get("python") or {}).get("version", "")),
        }
        self.registry.set_alone(catalog.RUN_INFO, labels, 1, of="target")

    def _judge(self, run: RunKey, metadata: Mapping[str, Any], results: Any) -> None:
        self._set_state(catalog.VALIDITY, run, at(metadata, "validity", "verdict"))
        self._set_state(catalog.LEAK, run, at(results, "leak", "verdict"))
        by_cycles = at(results, "leak", "cycles", "bytes_per_operation")
        by_floor = at(results, "leak", "floor", "bytes_per_operation")
        leaked = by_floor if by_cycles is None else by_cycles
        if leaked is None and at(results, "leak", "verdict") == "none":
            leaked = 0.0
        self._set_or_drop(catalog.LEAK_BYTES, run, leaked)
        self._set(catalog.SCALING_SERIAL_SHARE, run, at(results, "serial_share", "ratio"))
        peak = at(results, "scaling_law", "peak_agents_count", "value")
        self._set(catalog.SCALING_PEAK_AGENTS, run, peak)
        cases = [int(name) for name in results if name.isdecimal()]
        largest = str(max(cases)) if cases else ""
        self._set_state(
            catalog.SCALING_BOTTLENECK, run, at(results, largest, "bottleneck", "kind")
        )
        for metric, points in curves_of(results).items():
            self.registry.set_curve(metric, run.labels(), points)

    def _cost(self, run: RunKey, metadata: Mapping[str, Any]) -> None:
        noise, resources = metadata.get("noise") or {}, metadata.get("resources") or {}
        for resource in ("cpu", "io", "memory"):
            pressure = noise.get(f"{resource}_pressure_ratio")
            self._set(catalog.NOISE_PRESSURE, run, pressure, resource=resource)
        self._set(catalog.NOISE_STEAL, run, noise.get("steal_ratio"))
        self._set(catalog.NOISE_FOREIGN_CPU, run, noise.get("foreign_cpu_ratio"))
        self._set(catalog.NOISE_THROTTLED, run, noise.get("throttled_seconds"))
        self._set(catalog.MEASURING_CPU, run, at(metadata, "overhead", "measuring_cpu_ratio"))
        garbage = at(resources, "benchmark", "gc") or {}
        self.registry.add(catalog.PROCESS_GC, run.labels(), garbage.get("gc_pause_seconds", 0))
        self.registry.add(
            catalog.PROCESS_GC_COLLECTIONS, run.labels(), garbage.get("gc_collections_total", 0)
        )
        succeeded, failed = (resources.get(f"probe_{how}_total") for how in ("success", "failure"))
        if succeeded is not None and failed is not None:
            took = resources.get("probe_cpu_seconds", 0.0) / max(1, succeeded + failed)
            self._set(catalog.PROBE_SUCCESS, run, float(not failed), probe=_PROCESS_PROBE)
            self._set(catalog.PROBE_DURATION, run, took, probe=_PROCESS_PROBE)

    # Results may come from anybody's benchmark: what is no number, or no state, is none of ours.

    def _set(self, metric: Metric, run: RunKey, value: object, **further: str) -> None:
        if isinstance(value, int | float):
            self.registry.set(metric, run.labels(**further), value)

    def _set_or_drop(self, metric: Metric, run: RunKey, value: object) -> None:
        """Set what belongs to a verdict; without a figure the last verdict's must not stay."""
        if isinstance(value, int | float):
            self._set(metric, run, value)
        else:
            self.registry.drop(metric, run.labels())

    def _set_state(self, metric: Metric, run: RunKey, state: object) -> None:
        if state in metric.states:
            self.registry.set_state(metric, run.labels(), str(state))
