"""Every metric once: what exporters, docs/metrics.md, dashboards and alert rules are made from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NAMESPACE = "agentmem"


class Kind(StrEnum):
    """How the values of a metric behave.

    A state is a gauge with one series per value of the metric's last label: 1 for the value that
    holds, 0 for the others.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    STATE = "state"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A dimension of series; its values are a bounded set.

    Attributes:
        name: In Prometheus.
        attribute: In OpenTelemetry.
        help: What its values are.
    """

    name: str
    attribute: str
    help: str


LABELS: Final = {
    label.name: label
    for label in (
        Label("target", "agentmem.target", "The memory under test, as its spec, secrets removed."),
        Label("category", "agentmem.category", "Category of the benchmark, such as storage."),
        Label("benchmark", "agentmem.benchmark", "Name of the benchmark."),
        Label("operation", "gen_ai.operation.name", "What was asked of the target."),
        Label("tier", "agentmem.tier", "The tier worked on: stm, im, ltm; empty for none."),
        Label("outcome", "agentmem.outcome", "ok, empty, wrong, timeout, or error:<type>."),
        Label("status", "agentmem.status", "ok, skipped or failed."),
        Label("verdict", "agentmem.verdict", "The verdicts that there are; 1 is the one given."),
        Label("bottleneck", "agentmem.bottleneck", "What limits; 1 is the one named."),
        Label("agents", "agentmem.agents", "How many agents shared the target."),
        Label("line", "agentmem.line", "Of a curve: measured; law, the fit to it; or ideal."),
        Label("records", "agentmem.records", "How many records the target held."),
        Label("percentile", "agentmem.percentile", "p50, p95 or p99."),
        Label("k", "agentmem.k", "How many hits a search asked for."),
        Label("resource", "agentmem.resource", "What was waited for: cpu, io or memory."),
        Label("direction", "agentmem.direction", "read or write; received, sent or loopback."),
        Label("type", "agentmem.type", "voluntary or involuntary switch; minor or major fault."),
        Label("probe", "agentmem.probe", "What observes."),
        Label("metric", "agentmem.metric", "Name of a metric."),
        Label(
            "exporter",
            "agentmem.exporter",
            "otlp, otlp_file or console, each with _spans or _metrics; pushgateway; or "
            "worker_spans, those that a worker did not send.",
        ),
        Label("result", "agentmem.result", "sent, failed or dropped."),
        Label(
            "code",
            "http.response.status_code",
            "Status of an answer; 499 if a client did not wait.",
        ),
        Label(
            "handler",
            "http.route",
            "Route of the endpoint, such as /api/v1/runs/{id}; other where none fits, malformed "
            "for what is not HTTP.",
        ),
        Label(
            "limit",
            "agentmem.limit",
            "connections or client_connections, of which there were too many; handshake, which "
            "took too long or failed; headers, body or answer, which took too long.",
        ),
        # Not "job": Prometheus itself calls what it scrapes so.
        Label("job_name", "agentmem.job.name", "Name of a job in the settings of the daemon."),
        Label("cause", "agentmem.cause", "Why a run failed, in a word: crashed, hung, target ..."),
        Label("reason", "agentmem.reason", "missed or overlap."),
        Label("state", "agentmem.state", "The states that there are; 1 is the one it is in."),
        Label("version", "service.version", "Of agentmem-observe."),
        Label("commit", "vcs.ref.head.revision", "Commit of the code that was run, or empty."),
        Label("host", "host.name", "Name of the machine."),
        Label("python", "process.runtime.version", "Of the interpreter."),
    )
}  # fmt: skip

RUN = ("target", "category", "benchmark")
OPERATION = (*RUN, "operation", "tier", "outcome")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: In Prometheus; ends in its unit, and counters in ``_total``.
        kind: How its values behave.
        unit: UCUM's code, as OpenTelemetry wants it: ``s``, ``By``, ``1`` or ``{operation}``.
        labels: Names out of `LABELS`.
        help: What it tells, in a sentence.
        states: The values of the last label; of a state only.
        better: ``lower`` or ``higher`` where one is better, else "".
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    states: tuple[str, ...] = ()
    better: str = ""

    @property
    def otel_name(self) -> str:
        """Return OpenTelemetry's name: dotted, without unit.

        Examples:
            >>> OPERATION_SERVICE_TIME.otel_name
            'agentmem.operation.service_time'
        """
        namespace, thing, *rest = self.name.removesuffix("_total").split("_")
        if rest and rest[-1] in _UNIT_SUFFIXES and len(rest) > 1:
            rest.pop()
        return ".".join((namespace, thing, *(["_".join(rest)] if rest else [])))

    @property
    def base_unit(self) -> str:
        """Return Prometheus' name of the unit, which the name ends in, or "" if there is none.

        Examples:
            >>> EXPORTER_CPU.base_unit, LEAK_BYTES.base_unit
            ('seconds', '')
        """
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in _UNIT_SUFFIXES else ""


_UNIT_SUFFIXES = {"seconds", "bytes", "ratio"}

METRICS: Final[dict[str, Metric]] = {}
"""All of them by name, in the order of docs/metrics.md."""


def _metric(
    name: str,
    kind: Kind,
    unit: str,
    labels: tuple[str, ...],
    help: str,
    *,
    states: tuple[str, ...] = (),
    better: str = "",
) -> Metric:
    metric = Metric(f"{NAMESPACE}_{name}", kind, unit, labels, help, states, better)
    METRICS[metric.name] = metric
    return metric


# Operations

OPERATION_LATENCY = _metric(
    "operation_latency_seconds", Kind.HISTOGRAM, "s", OPERATION,
    "From when an operation was due until it was answered: what a user of the load waits.",
    better="lower",
)  # fmt: skip
OPERATION_SERVICE_TIME = _metric(
    "operation_service_time_seconds", Kind.HISTOGRAM, "s", OPERATION,
    "From when an operation was sent until it was answered: what the target takes.",
    better="lower",
)  # fmt: skip
OPERATION_LATENESS = _metric(
    "operation_lateness_seconds", Kind.HISTOGRAM, "s", OPERATION,
    "From when an operation was due until it was sent; open loops only.",
    better="lower",
)  # fmt: skip
OPERATION_DISPATCH_DELAY = _metric(
    "operation_dispatch_delay_seconds", Kind.HISTOGRAM, "s", OPERATION,
    "The part of the lateness that is the load generator's own doing; open loops only.",
    better="lower",
)  # fmt: skip
OPERATIONS = _metric(
    "operations_total", Kind.COUNTER, "{operation}", OPERATION,
    "Operations by how they ended; only ok ones are throughput.",
)  # fmt: skip
LOAD_OFFERED = _metric(
    "load_offered_operations_per_second", Kind.GAUGE, "{operation}/s", RUN,
    "Scheduled rate of the last open loop.",
)  # fmt: skip
LOAD_ACHIEVED = _metric(
    "load_achieved_operations_per_second", Kind.GAUGE, "{operation}/s", RUN,
    "Rate at which operations of the last loop were answered, whatever their outcome.",
    better="higher",
)  # fmt: skip

# Benchmarks

BENCHMARK_RUNS = _metric(
    "benchmark_runs_total", Kind.COUNTER, "{run}", (*RUN, "status"), "Runs by how they ended."
)
BENCHMARK_RUNNING = _metric(
    "benchmark_running", Kind.GAUGE, "1", RUN, "1 while a run is under way, else 0."
)
BENCHMARK_PROGRESS = _metric(
    "benchmark_progress_ratio", Kind.GAUGE, "1", RUN, "Share of the run that is done."
)
BENCHMARK_DURATION = _metric(
    "benchmark_duration_seconds", Kind.GAUGE, "s", RUN, "How long the last run took."
)
BENCHMARK_LAST_END = _metric(
    "benchmark_last_end_timestamp_seconds", Kind.GAUGE, "s", RUN,
    "When the last run ended, however it did; seconds since 1970.",
)  # fmt: skip
BENCHMARK_LAST_SUCCESS = _metric(
    "benchmark_last_success_timestamp_seconds", Kind.GAUGE, "s", RUN,
    "When the last run ended that had results; seconds since 1970.",
)  # fmt: skip
RUN_INFO = _metric(
    "run_info", Kind.GAUGE, "1", ("target", "version", "commit", "host", "python"),
    "Always 1; its labels say what was run where, for joins.",
)  # fmt: skip

# What the target holds

MEMORY_RECORDS = _metric(
    "memory_records", Kind.GAUGE, "{record}", ("target", "tier"),
    "Records that the target held when it was last asked, after a loop.",
)  # fmt: skip
MEMORY_BYTES = _metric(
    "memory_bytes", Kind.GAUGE, "By", ("target", "tier"),
    "What those records take, as the target itself says.",
)  # fmt: skip

# Verdicts

VALIDITY = _metric(
    "validity", Kind.STATE, "1", (*RUN, "verdict"),
    "Whether the last run's numbers can be trusted; void ones must not be alerted on.",
    states=("valid", "degraded", "void"),
)  # fmt: skip
LEAK = _metric(
    "leak", Kind.STATE, "1", (*RUN, "verdict"),
    "Whether the target was seen to leak.",
    states=("none", "suspected", "leak", "unknown"),
)  # fmt: skip
LEAK_BYTES = _metric(
    "leak_bytes_per_operation", Kind.GAUGE, "By/{operation}", RUN,
    "What each operation leaves behind, by the surest detector that could say.",
    better="lower",
)  # fmt: skip
DRIFT = _metric(
    "drift", Kind.STATE, "1", (*RUN, "verdict"),
    "Whether the service time of a soak has changed for good.",
    states=("none", "slower", "faster", "unknown"),
)  # fmt: skip
DRIFT_RATIO = _metric(
    "drift_ratio", Kind.GAUGE, "1", RUN,
    "Service time now over what it was, by the trend of the soak's windows.", better="lower",
)  # fmt: skip
REGRESSION = _metric(
    "regression", Kind.STATE, "1", (*RUN, "verdict"),
    "How the newest runs compare with those before, by the figure that changed most.",
    states=("better", "same", "worse", "inconclusive"),
)  # fmt: skip
REGRESSION_RATIO = _metric(
    "regression_ratio", Kind.GAUGE, "1", RUN,
    "How many times worse that figure is: 1.1 is 10 % worse, 0.9 better; absent without a change.",
    better="lower",
)  # fmt: skip
REGRESSION_CHANGED = _metric(
    "regression_change_timestamp_seconds", Kind.GAUGE, "s", RUN,
    "When the first run after that change ended; absent without one; seconds since 1970.",
)  # fmt: skip
SCALING_SERIAL_SHARE = _metric(
    "scaling_serial_share_ratio", Kind.GAUGE, "1", RUN,
    "Share of an operation that only one agent at a time can be in.", better="lower",
)  # fmt: skip
SCALING_PEAK_AGENTS = _metric(
    "scaling_peak_agents", Kind.GAUGE, "{agent}", RUN,
    "Number of agents beyond which throughput falls, by the Universal Scalability Law.",
    better="higher",
)  # fmt: skip
SCALING_BOTTLENECK = _metric(
    "scaling_bottleneck", Kind.STATE, "1", (*RUN, "bottleneck"),
    "What limits the largest number of agents that was measured.",
    states=("none", "cpu", "gil", "lock", "disk", "target"),
)  # fmt: skip

SCALING_THROUGHPUT = _metric(
    "scaling_operations_per_second", Kind.GAUGE, "{operation}/s", (*RUN, "agents", "line"),
    "Throughput by number of agents, of the last run that has such a curve.",
)  # fmt: skip
VOLUME_SERVICE_TIME = _metric(
    "volume_service_time_seconds", Kind.GAUGE, "s", (*RUN, "records", "operation", "percentile"),
    "Service time by number of records held, of the last run that has such a curve.",
    better="lower",
)  # fmt: skip
VOLUME_RECALL = _metric(
    "volume_recall_ratio", Kind.GAUGE, "1", (*RUN, "records", "k"),
    "Share of the k truly nearest that searches found, by number of records held.",
    better="higher",
)  # fmt: skip

# Jobs of the daemon

JOB_STATE = _metric(
    "job_state", Kind.STATE, "1", ("job_name", "state"), "What a job is doing.",
    states=("idle", "waiting", "running", "backing_off", "finished"),
)  # fmt: skip
JOB_RUNS = _metric(
    "job_runs_total",
    Kind.COUNTER,
    "{run}",
    ("job_name", "status"),
    "Runs of a job by how they ended.",
)
JOB_FAILURES = _metric(
    "job_failures_total",
    Kind.COUNTER,
    "{run}",
    ("job_name", "cause"),
    "Failed runs by their cause.",
)
JOB_FAILURES_IN_A_ROW = _metric(
    "job_consecutive_failures", Kind.GAUGE, "{run}", ("job_name",),
    "Failed runs since the last good one.",
    better="lower",
)  # fmt: skip
JOB_SKIPPED = _metric(
    "job_skipped_total", Kind.COUNTER, "{run}", ("job_name", "reason"),
    "Due times without a run: the daemon was away (missed), or the job was still at it (overlap).",
)  # fmt: skip
JOB_LAST_SUCCESS = _metric(
    "job_last_success_timestamp_seconds", Kind.GAUGE, "s", ("job_name",),
    "When a job last had results, a soak its last window; seconds since 1970.",
)  # fmt: skip
JOB_NEXT_RUN = _metric(
    "job_next_run_timestamp_seconds", Kind.GAUGE, "s", ("job_name",),
    "When a job is due next; seconds since 1970.",
)  # fmt: skip
JOB_PERIOD = _metric(
    "job_period_seconds", Kind.GAUGE, "s", ("job_name",),
    "How far apart its due times are, or how long a soak's windows last.",
)  # fmt: skip
SOAK_WINDOWS = _metric(
    "soak_windows_total", Kind.COUNTER, "{window}", (*RUN, "verdict"),
    "Windows of a soak by whether their numbers can be trusted.",
)  # fmt: skip

# The daemon

DAEMON_STARTED = _metric(
    "daemon_start_timestamp_seconds", Kind.GAUGE, "s", (),
    "When the daemon started; seconds since 1970.",
)  # fmt: skip
SETTINGS_LOADED = _metric(
    "daemon_settings_last_reload_success", Kind.GAUGE, "1", (),
    "1 if the settings were good when they were last read; else older ones are in force.",
)  # fmt: skip
SETTINGS_LOADED_AT = _metric(
    "daemon_settings_last_reload_success_timestamp_seconds", Kind.GAUGE, "s", (),
    "When the settings in force were read; seconds since 1970.",
)  # fmt: skip
STATE_WRITABLE = _metric(
    "daemon_state_writable", Kind.GAUGE, "1", (),
    "1 if the state directory takes what is written; else it is kept in memory for now.",
)  # fmt: skip
STATE_PENDING = _metric(
    "daemon_state_pending_writes", Kind.GAUGE, "{write}", (),
    "What waits in memory until the state directory takes it.", better="lower",
)  # fmt: skip
STATE_LOST = _metric(
    "daemon_state_lost_writes_total", Kind.COUNTER, "{write}", (),
    "What no longer fitted into that memory.",
)  # fmt: skip
STATE_BYTES = _metric("daemon_state_bytes", Kind.GAUGE, "By", (), "Size of the state directory.")

# The host's noise

NOISE_PRESSURE = _metric(
    "noise_pressure_ratio", Kind.GAUGE, "1", (*RUN, "resource"),
    "Share of the last run during which some task of the host waited for it.", better="lower",
)  # fmt: skip
NOISE_STEAL = _metric(
    "noise_steal_ratio", Kind.GAUGE, "1", RUN,
    "Share of the host's CPU time that the hypervisor gave to others.", better="lower",
)  # fmt: skip
NOISE_FOREIGN_CPU = _metric(
    "noise_foreign_cpu_ratio", Kind.GAUGE, "1", RUN,
    "Share of the host's CPU time that processes other than the run's used.", better="lower",
)  # fmt: skip
NOISE_THROTTLED = _metric(
    "noise_throttled_seconds", Kind.GAUGE, "s", RUN,
    "For how long a CPU quota held the last run up.", better="lower",
)  # fmt: skip

# The worker's process

PROCESS_RSS = _metric("process_resident_memory_bytes", Kind.GAUGE, "By", RUN, "RSS of the worker.")
PROCESS_USS = _metric(
    "process_unique_memory_bytes", Kind.GAUGE, "By", RUN,
    "USS of the worker: what would be freed if it ended; read once, at its end.",
)  # fmt: skip
PROCESS_CPU = _metric(
    "process_cpu_seconds_total",
    Kind.COUNTER,
    "s",
    RUN,
    "CPU time of the workers, without that of processes which a benchmark starts.",
)
PROCESS_THREADS = _metric("process_threads", Kind.GAUGE, "{thread}", RUN, "Threads of the worker.")
PROCESS_FDS = _metric(
    "process_open_fds", Kind.GAUGE, "{file}", RUN, "Open file descriptors of the worker."
)
PROCESS_SWITCHES = _metric(
    "process_context_switches_total", Kind.COUNTER, "{switch}", (*RUN, "type"),
    "Context switches of the workers.",
)  # fmt: skip
PROCESS_FAULTS = _metric(
    "process_page_faults_total", Kind.COUNTER, "{fault}", (*RUN, "type"),
    "Page faults of the workers.",
)  # fmt: skip
PROCESS_DISK = _metric(
    "process_disk_bytes_total", Kind.COUNTER, "By", (*RUN, "direction"),
    "Bytes that the workers moved from and to block devices.",
)  # fmt: skip
PROCESS_NETWORK = _metric(
    "process_network_bytes_total", Kind.COUNTER, "By", (*RUN, "direction"),
    "Bytes through the interfaces of the workers' network namespace, the whole host's by default.",
)  # fmt: skip
PROCESS_RUN_QUEUE_WAIT = _metric(
    "process_run_queue_wait_seconds_total", Kind.COUNTER, "s", RUN,
    "For how long the workers' threads were ready but had no CPU.",
)  # fmt: skip
PROCESS_GC = _metric(
    "process_gc_pause_seconds_total", Kind.COUNTER, "s", RUN,
    "For how long garbage collection held the benchmarks up.",
)  # fmt: skip
PROCESS_GC_COLLECTIONS = _metric(
    "process_gc_collections_total", Kind.COUNTER, "{collection}", RUN,
    "Garbage collections during benchmarks.",
)  # fmt: skip

# What measuring and exporting cost

MEASURING_CPU = _metric(
    "measuring_cpu_ratio", Kind.GAUGE, "1", RUN,
    "Share of the last run's CPU time that went into measuring.", better="lower",
)  # fmt: skip
PROBE_SUCCESS = _metric(
    "probe_success", Kind.GAUGE, "1", (*RUN, "probe"), "1 if the probe's last reading succeeded."
)
PROBE_DURATION = _metric(
    "probe_duration_seconds", Kind.GAUGE, "s", (*RUN, "probe"),
    "CPU time of the probe's last reading.",
)  # fmt: skip
EXPORTER_CPU = _metric(
    "exporter_cpu_seconds_total", Kind.COUNTER, "s", (),
    "CPU time of this process: supervising, sampling and exporting.",
)  # fmt: skip
EXPORTER_RSS = _metric(
    "exporter_resident_memory_bytes", Kind.GAUGE, "By", (), "RSS of this process."
)
HOST_AVAILABLE = _metric(
    "host_available_memory_bytes", Kind.GAUGE, "By", (),
    "What processes here can still take before they swap, or their container is full.",
    better="higher",
)  # fmt: skip
EXPORTER_SERIES = _metric(
    "exporter_series", Kind.GAUGE, "{series}", (), "Series that are exported now."
)
EXPORTER_REFUSED = _metric(
    "exporter_refused_samples_total", Kind.COUNTER, "{sample}", ("metric",),
    "Samples whose series would have been one too many; counters and histograms keep them under "
    "the label value 'overflow', gauges lose them.",
)  # fmt: skip
EXPORTER_SCRAPES = _metric(
    "exporter_scrapes_total", Kind.COUNTER, "{scrape}", (), "Answered scrapes."
)
EXPORTER_SCRAPE_CPU = _metric(
    "exporter_scrape_cpu_seconds_total", Kind.COUNTER, "s", (), "CPU time that scrapes took."
)
EXPORTER_ITEMS = _metric(
    "exporter_items_total", Kind.COUNTER, "{item}", ("exporter", "result"),
    "Spans, or pages of metrics, by what became of them.",
)  # fmt: skip

# The endpoint

HTTP_REQUESTS = _metric(
    "http_requests_total", Kind.COUNTER, "{request}", ("code", "handler"),
    "Requests by how they were answered.",
)  # fmt: skip
HTTP_AUTHENTICATION_FAILURES = _metric(
    "http_authentication_failures_total", Kind.COUNTER, "{request}", (),
    "Requests with wrong credentials; those without any are not among them.",
)  # fmt: skip
HTTP_CUT_CONNECTIONS = _metric(
    "http_cut_connections_total", Kind.COUNTER, "{connection}", ("limit",),
    "Connections that were refused or closed because of a limit.",
)  # fmt: skip

OVERFLOW = "overflow"
"""Value of every label of the series that takes what is beyond the limit."""
