"""Every alert, by promtool: it fires when it should, after its time, and not when it should not.

Histograms are classic here: promtool before 2.43 cannot write native ones. `test_real_histograms`
has both.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from agentmem_observe.alerts.alerting import all_alerts
from agentmem_observe.alerts.recording import recording_groups
from agentmem_observe.alerts.rules import Alert, Group, rules_text
from agentmem_observe.alerts.thresholds import Thresholds

HOST = {"job": "agentmem", "instance": "h:9464"}
SOAK = {**HOST, "target": "fake", "category": "soak", "benchmark": "steady"}
NIGHTLY = {**SOAK, "category": "storage", "benchmark": "reads"}
SEARCH = {**SOAK, "operation": "search_memory"}
"""As rates without tier and outcome have them."""

BUCKETS = ("0.0005", "0.001", "0.0025", "0.005", "0.01", "0.1", "0.25", "+Inf")


@dataclass(frozen=True)
class Fires:
    """One alert, as it is to be told.

    Attributes:
        at: When it is looked at, since the start.
        labels: All but name, severity and area.
        summary: Its annotation.
        description: Its annotation.
    """

    at: str
    labels: Mapping[str, str]
    summary: str
    description: str


@dataclass(frozen=True)
class Scenario:
    """What is seen, and what is made of it.

    Attributes:
        alert: Its name.
        what: What happens, in words.
        series: Values a minute apart, as promtool writes them.
        silent: When the alert must not fire.
        fires: When and how it must.
        changed: Thresholds other than the defaults.
    """

    alert: str
    what: str
    series: Mapping[str, str]
    silent: tuple[str, ...] = ()
    fires: Fires | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.alert}-{self.what.replace(' ', '_')}"


def of(name: str, labels: Mapping[str, str] = SOAK, **further: str) -> str:
    """Return a series of ours."""
    pairs = ",".join(f'{name}="{value}"' for name, value in {**labels, **further}.items())
    return f"agentmem_{name}{{{pairs}}}"


def histogram(
    name: str, values: Mapping[str, str], labels: Mapping[str, str] = SOAK
) -> dict[str, str]:
    """Return a classic histogram of ok searches, by the values of its buckets."""
    labels = {**labels, "operation": "search_memory", "tier": "stm", "outcome": "ok"}
    total = values["+Inf"]
    return {
        of(f"{name}_count", labels): total,
        **{of(f"{name}_bucket", labels, le=le): values[le] for le in values},
    }


def operations(ok: str, failed: str = "", labels: Mapping[str, str] = SOAK) -> dict[str, str]:
    """Return counters of operations."""
    labels = {**labels, "operation": "search_memory", "tier": "stm"}
    failures = {of("operations_total", labels, outcome="timeout"): failed} if failed else {}
    return {of("operations_total", labels, outcome="ok"): ok, **failures}


def void(labels: Mapping[str, str] = SOAK, values: str = "1x1000") -> dict[str, str]:
    return {of("validity", labels, verdict="void"): values}


VALID = void(values="0x1000")

# Verdicts

_WORSE = {
    of("regression", NIGHTLY, verdict="worse"): "0x2 1x8 0x60",
    of("regression", NIGHTLY, verdict="same"): "1x2 0x8 1x60",
    of("regression_ratio", NIGHTLY): "_x3 1.234x70",
}
_LEAKING = {
    of("leak", verdict="leak"): "0x2 1x60",
    of("leak_bytes_per_operation"): "2048x60",
}
_SLOWER = {of("drift", verdict="slower"): "1x60", of("drift_ratio"): "1.3x60"}
_REGRESSION = Fires(
    "5m",
    NIGHTLY,
    "storage.reads on fake became worse",
    "The newest runs of storage.reads on fake are worse than those before: the figure that "
    "changed most is 1.23 times worse.",
)

VERDICTS = [
    Scenario(
        "AgentMemRegression",
        "fires two minutes after a verdict and goes on for a while after it",
        _WORSE | void(NIGHTLY, "0x70"),
        silent=("2m", "4m", "40m"),
        fires=_REGRESSION,
    ),
    Scenario(
        "AgentMemRegression",
        "holds on for a quarter of an hour",
        _WORSE,
        fires=Fires("24m", NIGHTLY, _REGRESSION.summary, _REGRESSION.description),
    ),
    Scenario(
        "AgentMemRegression",
        "fires without a ratio too",
        {of("regression", NIGHTLY, verdict="worse"): "1x20"},
        fires=Fires(
            "5m",
            NIGHTLY,
            _REGRESSION.summary,
            "The newest runs of storage.reads on fake are worse than those before.",
        ),
    ),
    Scenario(
        "AgentMemRegression",
        "says nothing of a void run nor of other verdicts",
        _WORSE
        | void(NIGHTLY)
        | {
            of("regression", SOAK, verdict="worse"): "0x70",
            of("regression", SOAK, verdict="better"): "1x70",
            of("regression_ratio", SOAK): "0.5x70",
        },
        silent=("5m", "10m", "20m"),
    ),
    Scenario(
        "AgentMemLeak",
        "fires two minutes after a verdict",
        _LEAKING | VALID,
        silent=("4m",),
        fires=Fires(
            "5m",
            SOAK,
            "fake leaks, says soak.steady",
            "soak.steady on fake sees growth that never ends: each operation leaves 2kiB behind.",
        ),
    ),
    Scenario(
        "AgentMemLeak",
        "fires without a size too",
        {of("leak", verdict="leak"): "1x20"},
        fires=Fires(
            "5m",
            SOAK,
            "fake leaks, says soak.steady",
            "soak.steady on fake sees growth that never ends.",
        ),
    ),
    Scenario(
        "AgentMemLeak",
        "says nothing of what is void or only suspected",
        _LEAKING | void() | {of("leak", NIGHTLY, verdict="suspected"): "1x60"},
        silent=("5m", "30m"),
    ),
    Scenario(
        "AgentMemDriftSlower",
        "fires two minutes after a verdict",
        _SLOWER | VALID,
        silent=("1m",),
        fires=Fires(
            "3m",
            SOAK,
            "soak.steady on fake became slower for good",
            "The service time of soak.steady on fake has risen and does not come back: it is 1.3 "
            "times what it was.",
        ),
    ),
    Scenario(
        "AgentMemDriftSlower",
        "says nothing of a void soak nor of a faster one",
        _SLOWER
        | void()
        | {of("drift", NIGHTLY, verdict="faster"): "1x60", of("drift_ratio", NIGHTLY): "0.7x60"},
        silent=("3m", "30m"),
    ),
]

# Memory that runs out: 2 KiB times 10 operations per second

_TEN_A_SECOND = operations("0+600x60")
_EXHAUSTING = _LEAKING | _TEN_A_SECOND | {of("host_available_memory_bytes", HOST): "737280000x60"}

EXHAUSTION = [
    Scenario(
        "AgentMemMemoryExhaustion",
        "fires when there is memory for ten hours",
        _EXHAUSTING | VALID,
        silent=("6m",),
        fires=Fires(
            "20m",
            SOAK,
            "fake leaks all memory in 10h 0m 0s",
            "At the present load of soak.steady on fake, its leak uses up what memory h:9464 has "
            "left in 10h 0m 0s.",
        ),
    ),
    Scenario(
        "AgentMemMemoryExhaustion",
        "says nothing when there is memory for days",
        _EXHAUSTING | {of("host_available_memory_bytes", HOST): "7372800000x60"},
        silent=("20m", "60m"),
    ),
    Scenario(
        "AgentMemMemoryExhaustion",
        "says nothing of what is no leak",
        _EXHAUSTING | {of("leak", verdict="leak"): "0x60"},
        silent=("20m", "60m"),
    ),
    Scenario(
        "AgentMemMemoryExhaustion",
        "says nothing of a void run",
        _EXHAUSTING | void(),
        silent=("20m", "60m"),
    ),
]

# Service time: a median of 0.75 ms, after two hours of 1.75 ms

_SHORT_WEEK = {
    "service_time_offset": "2h",
    "service_time_baseline": "1h",
    "service_time_window": "30m",
}


def slower_after_two_hours(per_minute: int) -> dict[str, str]:
    until = f"0+{per_minute}x120 {121 * per_minute}x130"
    always = f"0+{per_minute}x250"
    return histogram(
        "operation_service_time_seconds",
        {"0.0005": "0x250", "0.001": until, "0.0025": always, "+Inf": always},
    )


SERVICE_TIMES = [
    Scenario(
        "AgentMemServiceTimeMedianUp",
        "fires when it is twice last week's",
        slower_after_two_hours(60) | VALID,
        silent=("122m", "150m"),
        fires=Fires(
            "200m",
            SEARCH,
            "search_memory of fake is slower than 2h ago",
            "The median of the service time of search_memory in soak.steady on fake is 2.33 times "
            "that of 2h ago (limit 1.25).",
        ),
        changed=_SHORT_WEEK,
    ),
    Scenario(
        "AgentMemServiceTimeMedianUp",
        "says nothing below its limit",
        slower_after_two_hours(60),
        silent=("200m", "240m"),
        changed=_SHORT_WEEK | {"service_time_median_ratio": 2.5},
    ),
    Scenario(
        "AgentMemServiceTimeMedianUp",
        "says nothing of a soak that is void",
        slower_after_two_hours(60) | void(values="0x120 1x130"),
        silent=("150m", "200m", "240m"),
        changed=_SHORT_WEEK,
    ),
    Scenario(
        "AgentMemServiceTimeMedianUp",
        "does not compare with what was void",
        slower_after_two_hours(60) | void(values="1x122 0x130"),
        silent=("150m", "200m", "240m"),
        changed=_SHORT_WEEK,
    ),
    Scenario(
        "AgentMemServiceTimeTailUp",
        "fires when it is over twice last week's",
        slower_after_two_hours(600) | VALID,
        silent=("122m", "148m"),
        fires=Fires(
            "200m",
            SEARCH,
            "search_memory of fake is slower than 2h ago",
            "The 99th percentile of the service time of search_memory in soak.steady on fake is "
            "2.5 times that of 2h ago (limit 1.5).",
        ),
        changed=_SHORT_WEEK,
    ),
    Scenario(
        "AgentMemServiceTimeTailUp",
        "is not made of few operations",
        slower_after_two_hours(60),
        silent=("200m", "240m"),
        changed=_SHORT_WEEK,
    ),
]

# Latency: 1,200 operations a minute; the promise is 99 % within 0.25 s


def slow(share: float, minutes: int = 120, per_minute: int = 1200) -> dict[str, str]:
    fast = round(per_minute * (1 - share))
    return histogram(
        "operation_latency_seconds",
        {"0.25": f"0+{fast}x{minutes}", "+Inf": f"0+{per_minute}x{minutes}"},
    )


def slow_for(minutes: int, share: float = 0.5) -> dict[str, str]:
    """Return three good hours, then some bad minutes, then good ones again."""
    bad, good = round(1200 * (1 - share)), 1200
    start = 180 * good
    bent = start + bad * minutes
    return histogram(
        "operation_latency_seconds",
        {
            "0.25": f"0+{good}x180 {start + bad}+{bad}x{minutes - 1} {bent + good}+{good}x300",
            "+Inf": f"0+{good}x{480 + minutes}",
        },
    )


def slow_and_void_now_and_then(minutes: int = 180) -> dict[str, str]:
    """Return a soak of which every tenth minute is slow, and void as is known a minute later."""
    fast = [0]
    for minute in range(minutes):
        fast.append(fast[-1] + (0 if minute % 10 == 0 else 1200))
    verdicts = (str(int(minute % 10 == 2)) for minute in range(minutes))
    return histogram(
        "operation_latency_seconds",
        {"0.25": " ".join(map(str, fast)), "+Inf": f"0+1200x{minutes}"},
    ) | void(values=" ".join(verdicts))


_TOO_SLOW = "Too many operations of soak.steady on fake are slow"

LATENCY = [
    Scenario(
        "AgentMemLatencyBudgetPage",
        "fires when a quarter is slow",
        slow(0.25) | VALID,
        silent=("7m",),
        fires=Fires(
            "15m",
            SOAK,
            _TOO_SLOW,
            "25% of the operations of soak.steady on fake in the last 1h or 6h were too slow; "
            "promised: 99% within 250 ms.",
        ),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "fires when 7 percent are slow for hours",
        slow(0.07) | VALID,
        fires=Fires(
            "60m",
            SOAK,
            _TOO_SLOW,
            "7% of the operations of soak.steady on fake in the last 1h or 6h were too slow; "
            "promised: 99% within 250 ms.",
        ),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "says nothing of a few bad minutes",
        slow_for(5),
        silent=("184m", "188m", "195m", "230m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "ends when it is over",
        slow_for(90),
        silent=("180m", "330m", "400m"),
        fires=Fires(
            "255m",
            SOAK,
            _TOO_SLOW,
            "50% of the operations of soak.steady on fake in the last 1h or 6h were too slow; "
            "promised: 99% within 250 ms.",
        ),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "leaves 5 percent to the ticket",
        slow(0.05),
        silent=("30m", "120m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "says nothing of few operations",
        slow(0.5, 300, per_minute=2),
        silent=("60m", "300m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "says nothing of a void soak",
        slow(0.25) | void(),
        silent=("15m", "60m", "120m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "does not count what was void when it is valid again",
        slow_for(40) | void(values="0x180 1x40 0x300"),
        silent=("200m", "215m", "219m", "222m", "225m", "230m", "240m", "300m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetPage",
        "does not count what is not judged yet",
        slow_and_void_now_and_then(),
        silent=("100m", "141m", "175m", "180m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetTicket",
        "fires when 5 percent are slow",
        slow(0.05) | VALID,
        silent=("15m",),
        fires=Fires(
            "30m",
            SOAK,
            _TOO_SLOW,
            "5% of the operations of soak.steady on fake in the last 1d or 3d were too slow; "
            "promised: 99% within 250 ms.",
        ),
    ),
    Scenario(
        "AgentMemLatencyBudgetTicket",
        "fires when 2 percent are slow for days",
        slow(0.02) | VALID,
        fires=Fires(
            "60m",
            SOAK,
            _TOO_SLOW,
            "2% of the operations of soak.steady on fake in the last 1d or 3d were too slow; "
            "promised: 99% within 250 ms.",
        ),
    ),
    Scenario(
        "AgentMemLatencyBudgetTicket",
        "says nothing while the promise is kept",
        slow(0.005),
        silent=("30m", "120m"),
    ),
    Scenario(
        "AgentMemLatencyBudgetTicket",
        "says nothing of a void soak",
        slow(0.05) | void(),
        silent=("30m", "120m"),
    ),
    Scenario(
        "AgentMemLatencyLowTraffic",
        "fires for few operations of which half are slow",
        slow(0.5, 300, per_minute=2) | VALID,
        silent=("38m",),
        fires=Fires(
            "300m",
            SOAK,
            "Of the few operations of soak.steady on fake, too many are slow",
            "50% of the operations of soak.steady on fake in the last day were too slow; "
            "promised: 99% within 250 ms.",
        ),
    ),
    Scenario(
        "AgentMemLatencyLowTraffic",
        "leaves many operations to the budget",
        slow(0.5),
        silent=("60m", "120m"),
    ),
    Scenario(
        "AgentMemLatencyLowTraffic",
        "says nothing while few are slow",
        histogram("operation_latency_seconds", {"0.25": "0x5 0+2x400", "+Inf": "0+2x5 10+2x400"}),
        silent=("60m", "120m"),
    ),
    Scenario(
        "AgentMemLatencyLowTraffic",
        "says nothing of a void soak",
        slow(0.5, 300, per_minute=2) | void(),
        silent=("300m",),
    ),
]

# Errors: 5 percent

_FAILING = operations("0+1140x90", "0+60x90")


def nightly_failing(running: str, verdict: str = "0x90") -> dict[str, str]:
    """Return a benchmark that runs for a quarter of an hour."""
    return (
        operations("0+1140x15 17100x75", "0+60x15 900x75", NIGHTLY)
        | void(NIGHTLY, verdict)
        | {of("benchmark_running", NIGHTLY): running}
    )


ERRORS = [
    Scenario(
        "AgentMemErrors",
        "fires when 5 percent of a soak fail",
        _FAILING | VALID | {of("benchmark_running"): "1x90"},
        silent=("10m",),
        fires=Fires(
            "20m",
            SOAK,
            "Operations of soak.steady on fake fail",
            "5% of the operations of soak.steady on fake in the last 30m did not succeed "
            "(limit 1%).",
        ),
    ),
    Scenario(
        "AgentMemErrors",
        "fires for a benchmark when it has ended",
        nightly_failing("1x15 0x75"),
        silent=("16m",),
        fires=Fires(
            "30m",
            NIGHTLY,
            "Operations of storage.reads on fake fail",
            "5% of the operations of storage.reads on fake in the last 30m did not succeed "
            "(limit 1%).",
        ),
    ),
    Scenario(
        "AgentMemErrors",
        "waits for a benchmark to be judged",
        nightly_failing("1x90"),
        silent=("16m", "30m", "45m"),
    ),
    Scenario(
        "AgentMemErrors",
        "says nothing of a benchmark that turns out void",
        nightly_failing("1x15 0x75", "0x15 1x75"),
        silent=("16m", "30m", "45m"),
    ),
    Scenario(
        "AgentMemErrors",
        "says nothing of a void soak",
        _FAILING | void(),
        silent=("20m", "60m"),
    ),
    Scenario(
        "AgentMemErrors",
        "says nothing when all succeed or few fail",
        operations("0+1140x90") | operations("0+10x90", "0x30 1x60", NIGHTLY),
        silent=("20m", "60m"),
    ),
]

# Load

_SATURATED = {
    of("load_achieved_operations_per_second"): "15x60",
    of("load_offered_operations_per_second"): "20x60",
}

LOAD = [
    Scenario(
        "AgentMemSaturated",
        "fires when three quarters are answered",
        _SATURATED | VALID,
        silent=("9m",),
        fires=Fires(
            "11m",
            SOAK,
            "fake does not keep up with its load",
            "Only 75% of the load that soak.steady on fake offers is answered in time "
            "(limit 95%).",
        ),
    ),
    Scenario(
        "AgentMemSaturated",
        "says nothing of what is void or no soak or good enough",
        _SATURATED
        | void()
        | {
            of("load_achieved_operations_per_second", NIGHTLY): "15x60",
            of("load_offered_operations_per_second", NIGHTLY): "20x60",
            of("load_achieved_operations_per_second", SOAK, benchmark="good"): "19.5x60",
            of("load_offered_operations_per_second", SOAK, benchmark="good"): "20x60",
        },
        silent=("11m", "60m"),
    ),
]

# Trust

_LATE = histogram(
    "operation_dispatch_delay_seconds", {"0.005": "0x60", "0.01": "0+600x60", "+Inf": "0+600x60"}
)


def noise(name: str, value: str, **further: str) -> dict[str, str]:
    return {
        of(name, NIGHTLY, **further): value,
        of("benchmark_last_end_timestamp_seconds", NIGHTLY): "0x120",
    }


def noisy(at: str, what: str, share: str, labels: Mapping[str, str] = NIGHTLY) -> Fires:
    run = f"{labels['category']}.{labels['benchmark']} on fake"
    return Fires(
        at,
        {**labels, "noise": what},
        f"h:9464 is busy with something else: {what}",
        f"{what} of {share} was seen on h:9464 during {run}. Alerts of performance there are held "
        "back.",
    )


TRUST = [
    Scenario(
        "AgentMemLoadGeneratorLate",
        "fires when operations are sent 10 ms late",
        _LATE | VALID,
        silent=("15m",),
        fires=Fires(
            "25m",
            SOAK,
            "The load generator of soak.steady on fake is late",
            "Operations of soak.steady on fake were sent 9.95ms late at p99 by the load "
            "generator's own doing (limit 5.00 ms).",
        ),
    ),
    Scenario(
        "AgentMemLoadGeneratorLate",
        "leaves a void soak to its own alert",
        _LATE | void(),
        silent=("25m", "60m"),
    ),
    Scenario(
        "AgentMemLoadGeneratorLate",
        "says nothing of a generator that is on time",
        histogram("operation_dispatch_delay_seconds", {"0.005": "0+600x60", "+Inf": "0+600x60"}),
        silent=("25m", "60m"),
    ),
    Scenario(
        "AgentMemRunVoid",
        "fires when a soak stays void",
        void(values="0x2 1x60"),
        silent=("16m",),
        fires=Fires(
            "18m",
            SOAK,
            "The numbers of soak.steady on fake are void",
            "The last run of soak.steady on fake says more about the load generator and its host "
            "than about the target. Until it is valid again, nothing that it says alerts.",
        ),
    ),
    Scenario(
        "AgentMemRunVoid",
        "says nothing of some void windows nor of degraded ones",
        void(values="1x10 0x2 1x10 0x60") | {of("validity", verdict="degraded"): "1x80"},
        silent=("10m", "18m", "22m", "60m"),
    ),
    Scenario(
        "AgentMemHostNoisy",
        "fires for pressure",
        noise("noise_pressure_ratio", "0.45x120", resource="cpu"),
        silent=("0m", "65m", "120m"),
        fires=noisy("5m", "CPU pressure", "45%"),
    ),
    Scenario(
        "AgentMemHostNoisy",
        "fires for steal",
        noise("noise_steal_ratio", "0.2x120"),
        fires=noisy("5m", "steal", "20%"),
    ),
    Scenario(
        "AgentMemHostNoisy",
        "fires for other processes",
        noise("noise_foreign_cpu_ratio", "0.6x120"),
        fires=noisy("5m", "foreign CPU", "60%"),
    ),
    Scenario(
        "AgentMemHostNoisy",
        "fires for the run queue of a soak",
        {of("process_run_queue_wait_seconds_total"): "0+15x120"},
        fires=noisy("20m", "run queue", "25%", SOAK),
    ),
    Scenario(
        "AgentMemHostNoisy",
        "says nothing of a quiet host nor of other resources",
        noise("noise_pressure_ratio", "0.2x120", resource="cpu")
        | noise("noise_pressure_ratio", "0.9x120", resource="io")
        | noise("noise_steal_ratio", "0.01x120")
        | noise("noise_foreign_cpu_ratio", "0.1x120")
        | {
            of("process_run_queue_wait_seconds_total"): "0+1x120",
            of("process_run_queue_wait_seconds_total", NIGHTLY): "0+600x120",
        },
        silent=("5m", "20m"),
    ),
]

# Jobs

JOB = {**HOST, "job_name": "nightly"}
SOAK_JOB = {of("job_state", HOST, job_name="soak", state="running"): "1x300"}

JOBS = [
    Scenario(
        "AgentMemJobStale",
        "fires after two periods and a quarter of an hour",
        {
            of("job_period_seconds", JOB): "60x60",
            of("job_last_success_timestamp_seconds", JOB): "0x60",
        },
        silent=("16m", "21m"),
        fires=Fires(
            "25m",
            JOB,
            "nightly of h:9464 has had no results for 25m 0s",
            "The last success of nightly of h:9464 is 25m 0s ago, more than 2 of its periods, "
            "15 min, and what it waited for the host.",
        ),
    ),
    Scenario(
        "AgentMemJobStale",
        "fires for what never had success",
        {
            of("job_period_seconds", JOB): "60x60",
            of("daemon_settings_last_reload_success_timestamp_seconds", HOST): "0x60",
        },
        silent=("21m",),
        fires=Fires(
            "25m",
            JOB,
            "nightly of h:9464 has had no results for 25m 0s",
            "The last success of nightly of h:9464 is 25m 0s ago, more than 2 of its periods, "
            "15 min, and what it waited for the host.",
        ),
    ),
    Scenario(
        "AgentMemJobStale",
        "gives a job that settings brought to an old daemon its time",
        {
            of("job_period_seconds", JOB): "_x29 60x60",
            of("daemon_start_timestamp_seconds", HOST): "0x90",
            of("daemon_settings_last_reload_success_timestamp_seconds", HOST): "0x29 1800x60",
        },
        silent=("36m", "47m", "52m"),
        fires=Fires(
            "55m",
            JOB,
            "nightly of h:9464 has had no results for 25m 0s",
            "The last success of nightly of h:9464 is 25m 0s ago, more than 2 of its periods, "
            "15 min, and what it waited for the host.",
        ),
    ),
    Scenario(
        "AgentMemJobStale",
        "fires when the host never comes free",
        {
            of("job_period_seconds", JOB): "60x300",
            of("job_last_success_timestamp_seconds", JOB): "0x300",
            of("job_state", JOB, state="waiting"): "1x300",
        },
        silent=("25m", "197m", "202m"),
        fires=Fires(
            "205m",
            JOB,
            "nightly of h:9464 has had no results for 3h 25m 0s",
            "The last success of nightly of h:9464 is 3h 25m 0s ago, more than 2 of its periods, "
            "15 min, and what it waited for the host.",
        ),
    ),
    Scenario(
        "AgentMemJobStale",
        "does not count an hour for which another had the host",
        {
            of("job_period_seconds", JOB): "60x300",
            of("job_last_success_timestamp_seconds", JOB): "0+60x180 10800x120",
            of("job_state", JOB, state="waiting"): "0x180 1x59 0x120",
        },
        silent=("206m", "240m", "245m", "256m", "261m"),
        fires=Fires(
            "265m",
            JOB,
            "nightly of h:9464 has had no results for 1h 25m 0s",
            "The last success of nightly of h:9464 is 1h 25m 0s ago, more than 2 of its periods, "
            "15 min, and what it waited for the host.",
        ),
    ),
    Scenario(
        "AgentMemJobStale",
        "says nothing of what succeeds nor of what has no period",
        {
            of("job_period_seconds", JOB): "3600x200",
            of("job_last_success_timestamp_seconds", JOB): "0x60 3600x60 7200x80",
            of("daemon_settings_last_reload_success_timestamp_seconds", HOST): "0x200",
            of("job_last_success_timestamp_seconds", HOST, job_name="once"): "0x200",
        },
        silent=("60m", "119m", "180m"),
    ),
    Scenario(
        "AgentMemJobFailing",
        "fires at three failures in a row",
        {of("job_consecutive_failures", JOB): "0 1 2 3x30"},
        silent=("2m", "7m"),
        fires=Fires(
            "9m",
            JOB,
            "nightly of h:9464 fails",
            "The last 3 runs of nightly of h:9464 failed, one after the other.",
        ),
    ),
    Scenario(
        "AgentMemJobFailing",
        "says nothing of two",
        {of("job_consecutive_failures", JOB): "2x30"},
        silent=("9m", "30m"),
    ),
    Scenario(
        "AgentMemJobOverdue",
        "fires half an hour after it was due",
        {
            of("job_next_run_timestamp_seconds", JOB): "0x60",
            of("job_state", JOB, state="waiting"): "0x60",
            of("job_state", JOB, state="running"): "0x60",
        },
        silent=("30m", "35m"),
        fires=Fires(
            "40m",
            JOB,
            "nightly of h:9464 was due and has not begun",
            "nightly of h:9464 was due 40m 0s ago and has not begun.",
        ),
    ),
    Scenario(
        "AgentMemJobOverdue",
        "fires when the host never comes free",
        {
            of("job_next_run_timestamp_seconds", JOB): "0x300",
            of("job_state", JOB, state="waiting"): "1x300",
            of("job_state", JOB, state="running"): "0x300",
        },
        silent=("40m", "210m", "215m"),
        fires=Fires(
            "220m",
            JOB,
            "nightly of h:9464 was due and has not begun",
            "nightly of h:9464 was due 3h 40m 0s ago and has not begun.",
        ),
    ),
    Scenario(
        "AgentMemJobOverdue",
        "fires for a job of which no state is known",
        {of("job_next_run_timestamp_seconds", JOB): "0x60"},
        silent=("30m", "35m"),
        fires=Fires(
            "40m",
            JOB,
            "nightly of h:9464 was due and has not begun",
            "nightly of h:9464 was due 40m 0s ago and has not begun.",
        ),
    ),
    Scenario(
        "AgentMemJobOverdue",
        "says nothing of what runs nor of what is due later",
        {
            of("job_next_run_timestamp_seconds", JOB): "0x60",
            of("job_state", JOB, state="running"): "1x60",
            of("job_next_run_timestamp_seconds", HOST, job_name="later"): "7200x60",
        },
        silent=("40m", "60m"),
    ),
    Scenario(
        "AgentMemJobMissing",
        "fires for a job that was there an hour ago",
        SOAK_JOB
        | {
            of("job_state", JOB, state="idle"): "1x20 stale",
            'up{job="agentmem",instance="h:9464"}': "1x300",
        },
        silent=("15m", "59m", "64m", "90m"),
        fires=Fires(
            "70m",
            JOB,
            "nightly is no longer there",
            "No daemon that is up has the job nightly, which h:9464 had.",
        ),
    ),
    Scenario(
        "AgentMemJobMissing",
        "leaves a daemon that is down to its own alert",
        SOAK_JOB
        | {
            of("job_state", JOB, state="idle"): "1x20 stale",
            'up{job="agentmem",instance="h:9464"}': "1x20 0x280",
        },
        silent=("65m", "70m"),
    ),
    Scenario(
        "AgentMemJobMissing",
        "fires for a soak that is nowhere",
        {
            of("job_state", JOB, state="idle"): "1x60",
            'up{job="agentmem",instance="h:9464"}': "1x60",
            'up{job="agentmem",instance="i:9464"}': "0x60",
        },
        silent=("4m",),
        fires=Fires(
            "6m",
            {"job_name": "soak"},
            "soak is no longer there",
            "No daemon that is up has the job soak.",
        ),
    ),
    Scenario(
        "AgentMemJobMissing",
        "expects nothing while every daemon is down or none is scraped",
        {
            'up{job="agentmem",instance="h:9464"}': "0x30 stale",
            'up{job="node",instance="h:9100"}': "1x60",
        },
        silent=("6m", "30m", "60m"),
    ),
    Scenario(
        "AgentMemJobMissing",
        "does not expect what nobody named",
        {
            of("job_state", JOB, state="idle"): "1x60",
            'up{job="agentmem",instance="h:9464"}': "1x60",
        },
        silent=("6m", "60m"),
        changed={"expected_jobs": []},
    ),
]

_HOURLY = {"benchmark_success_age": "1h"}
_FAILS = {
    of("benchmark_last_success_timestamp_seconds", NIGHTLY): "0x120",
    of("benchmark_last_end_timestamp_seconds", NIGHTLY): "0x30 1800x90",
    of("benchmark_runs_total", NIGHTLY, status="failed"): "0x30 1x90",
}


def stale(at: str, age: str) -> Fires:
    return Fires(
        at,
        NIGHTLY,
        f"storage.reads on fake has had no results for {age}",
        f"storage.reads on fake has failed, and its last results are {age} old (limit 1h).",
    )


BENCHMARKS = [
    Scenario(
        "AgentMemBenchmarkStale",
        "fires when it failed since its last success",
        _FAILS,
        silent=("59m", "64m"),
        fires=stale("70m", "1h 10m 0s"),
        changed=_HOURLY,
    ),
    Scenario(
        "AgentMemBenchmarkStale",
        "fires when it never succeeded",
        {
            of("daemon_start_timestamp_seconds", HOST): "0x150",
            of("daemon_settings_last_reload_success_timestamp_seconds", HOST): "0x29 1800x120",
            of("benchmark_last_end_timestamp_seconds", NIGHTLY): "_x60 3600x90",
            of("benchmark_runs_total", NIGHTLY, status="failed"): "_x60 1x90",
        },
        silent=("70m", "89m", "94m"),
        fires=stale("100m", "1h 10m 0s"),
        changed=_HOURLY,
    ),
    Scenario(
        "AgentMemBenchmarkStale",
        "says nothing of what was not run or was skipped or is a soak",
        {
            of("benchmark_last_success_timestamp_seconds", NIGHTLY): "0x120",
            of("benchmark_last_end_timestamp_seconds", NIGHTLY): "0x30 1800x90",
            of("benchmark_runs_total", NIGHTLY, status="skipped"): "0x30 1x90",
            of("benchmark_last_success_timestamp_seconds"): "0x120",
            of("benchmark_runs_total", SOAK, status="failed"): "0x30 1x90",
        },
        silent=("70m", "120m"),
        changed=_HOURLY,
    ),
]

# Daemons

_UP = 'up{job="agentmem",instance="h:9464"}'

DAEMONS = [
    Scenario(
        "AgentMemDaemonDown",
        "fires after five minutes",
        {_UP: "1x2 0x20"},
        silent=("2m", "7m"),
        fires=Fires(
            "9m",
            HOST,
            "h:9464 cannot be scraped",
            "The daemon at h:9464 does not answer Prometheus.",
        ),
    ),
    Scenario(
        "AgentMemDaemonDown",
        "says nothing of other jobs",
        {_UP: "1x20", 'up{job="node",instance="h:9100"}': "0x20"},
        silent=("9m", "20m"),
    ),
    Scenario(
        "AgentMemDaemonAbsent",
        "fires when there is no daemon to scrape",
        {'up{job="node",instance="h:9100"}': "1x20"},
        silent=("4m",),
        fires=Fires(
            "6m",
            {"job": "agentmem"},
            "Prometheus scrapes no daemon",
            "Prometheus has no target of the job agentmem: nobody would notice if all daemons "
            "were down.",
        ),
    ),
    Scenario(
        "AgentMemDaemonAbsent",
        "leaves a daemon that is down to its own alert",
        {_UP: "0x20"},
        silent=("6m", "20m"),
    ),
    Scenario(
        "AgentMemDaemonRestarts",
        "fires at the third restart within an hour",
        {of("daemon_start_timestamp_seconds", HOST): "0x5 300x5 600x5 900x120"},
        silent=("12m", "90m"),
        fires=Fires(
            "20m",
            HOST,
            "h:9464 starts again and again",
            "The daemon at h:9464 started 3 times in an hour.",
        ),
    ),
    Scenario(
        "AgentMemDaemonRestarts",
        "says nothing of one restart",
        {of("daemon_start_timestamp_seconds", HOST): "0x5 300x60"},
        silent=("10m", "60m"),
    ),
    Scenario(
        "AgentMemSettingsReloadFailed",
        "fires when settings were refused",
        {of("daemon_settings_last_reload_success", HOST): "1 0x20"},
        silent=("0m", "5m"),
        fires=Fires(
            "8m",
            HOST,
            "h:9464 goes by older settings",
            "The settings of the daemon at h:9464 were refused when they were read again; older "
            "ones are in force.",
        ),
    ),
    Scenario(
        "AgentMemSettingsReloadFailed",
        "ends when they are good",
        {of("daemon_settings_last_reload_success", HOST): "0x3 1x20"},
        silent=("8m", "20m"),
    ),
    Scenario(
        "AgentMemStateNotWritable",
        "fires when the disk takes nothing",
        {of("daemon_state_writable", HOST): "1 0x20"},
        silent=("0m", "5m"),
        fires=Fires(
            "8m",
            HOST,
            "The state directory of h:9464 takes nothing",
            "The daemon at h:9464 cannot write to its state directory and keeps results in "
            "memory, up to 64 MiB.",
        ),
    ),
    Scenario(
        "AgentMemStateNotWritable",
        "says nothing while it does",
        {of("daemon_state_writable", HOST): "1x20"},
        silent=("8m", "20m"),
    ),
    Scenario(
        "AgentMemStateWritesPending",
        "fires when writes wait",
        {of("daemon_state_pending_writes", HOST): "0 4x20"},
        silent=("0m", "5m"),
        fires=Fires(
            "8m",
            HOST,
            "Results of h:9464 are in memory only",
            "4 writes of the daemon at h:9464 wait in memory; a restart loses them.",
        ),
    ),
    Scenario(
        "AgentMemStateWritesPending",
        "says nothing of what is written soon",
        {of("daemon_state_pending_writes", HOST): "0 4x3 0x20"},
        silent=("4m", "8m", "20m"),
    ),
    Scenario(
        "AgentMemStateWritesLost",
        "fires at once and ends after an hour",
        {of("daemon_state_lost_writes_total", HOST): "0x70 6x100"},
        silent=("70m", "135m", "160m"),
        fires=Fires(
            "100m",
            HOST,
            "h:9464 has lost results",
            "The daemon at h:9464 lost 6 writes in the last hour: they no longer fitted into its "
            "memory.",
        ),
    ),
    Scenario(
        "AgentMemStateWritesLost",
        "says nothing of a daemon that lost none",
        {of("daemon_state_lost_writes_total", HOST): "0x100"},
        silent=("0m", "30m", "100m"),
    ),
]

# Exporters

_METRIC = {**HOST, "metric": "agentmem_operations_total"}
_OTLP = {**HOST, "exporter": "otlp_spans"}

EXPORTERS = [
    Scenario(
        "AgentMemSamplesRefused",
        "fires at the first one",
        {of("exporter_refused_samples_total", _METRIC): "_x10 7x100"},
        silent=("5m", "75m"),
        fires=Fires(
            "15m",
            _METRIC,
            "agentmem_operations_total of h:9464 has too many series",
            "7 samples of agentmem_operations_total were refused in the last hour: their series "
            "would have been one too many.",
        ),
    ),
    Scenario(
        "AgentMemSamplesRefused",
        "fires again when there are more",
        {of("exporter_refused_samples_total", _METRIC): "7x100 10x100"},
        silent=("90m", "170m"),
        fires=Fires(
            "130m",
            _METRIC,
            "agentmem_operations_total of h:9464 has too many series",
            "3 samples of agentmem_operations_total were refused in the last hour: their series "
            "would have been one too many.",
        ),
    ),
    Scenario(
        "AgentMemExportsFailing",
        "fires when spans do not arrive",
        {
            of("exporter_items_total", _OTLP, result="failed"): "0x2 20x100",
            of("exporter_items_total", _OTLP, result="dropped"): "_x3 5x100",
            of("exporter_items_total", _OTLP, result="sent"): "0+100x100",
        },
        silent=("2m", "6m", "90m"),
        fires=Fires(
            "62m",
            _OTLP,
            "h:9464 cannot export with otlp_spans",
            "25 items of otlp_spans did not arrive in the last hour.",
        ),
    ),
    Scenario(
        "AgentMemExportsFailing",
        "says nothing while they do",
        {of("exporter_items_total", _OTLP, result="sent"): "0+100x100"},
        silent=("10m", "60m"),
    ),
    Scenario(
        "AgentMemWatchdog",
        "always fires",
        {},
        fires=Fires(
            "0m",
            {},
            "Alerts arrive",
            "This alert always fires. When it stops arriving, no other would arrive.",
        ),
    ),
]

SCENARIOS = [
    *VERDICTS,
    *EXHAUSTION,
    *SERVICE_TIMES,
    *LATENCY,
    *ERRORS,
    *LOAD,
    *TRUST,
    *JOBS,
    *BENCHMARKS,
    *DAEMONS,
    *EXPORTERS,
]


def test_every_alert_has_a_scenario_in_which_it_fires_and_one_in_which_it_does_not():
    names = {alert.name for alert in all_alerts(Thresholds())}

    assert {one.alert for one in SCENARIOS if one.fires} == names
    assert {one.alert for one in SCENARIOS if one.silent} == names - {"AgentMemWatchdog"}


def test_every_alert_that_waits_has_a_moment_in_which_it_still_does():
    waiting = {alert.name for alert in all_alerts(Thresholds()) if alert.for_seconds}

    assert waiting - {one.alert for one in SCENARIOS if one.fires and one.silent} == set()


@pytest.mark.server
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.id)
def test_an_alert_fires_when_it_should_and_only_then(scenario, promtool, tmp_path):
    thresholds = Thresholds.model_validate(scenario.changed)
    groups = groups_for(alert_of(scenario.alert, thresholds), thresholds)
    (tmp_path / "rules.yml").write_text(rules_text(groups, 60, thresholds.runbook_base_url))
    file = tmp_path / "scenario.test.yml"
    file.write_text(yaml.safe_dump(promtool_test(scenario, thresholds), sort_keys=False))

    done = subprocess.run(
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def groups_for(alert: Alert, thresholds: Thresholds) -> list[Group]:
    """Return an alert, and what is recorded for it; with all others promtool takes far longer."""
    recorded = recording_groups(thresholds) if ":" in alert.expr else []
    return [*recorded, Group("alert", [alert])]


def alert_of(name: str, thresholds: Thresholds) -> Alert:
    (found,) = [alert for alert in all_alerts(thresholds) if alert.name == name]
    return found


def promtool_test(scenario: Scenario, thresholds: Thresholds) -> dict[str, Any]:
    """Return a scenario as promtool reads it."""
    alert = alert_of(scenario.alert, thresholds)
    expected: list[dict[str, Any]] = [
        {"eval_time": at, "alertname": alert.name, "exp_alerts": []} for at in scenario.silent
    ]
    if fires := scenario.fires:
        annotations = {
            "summary": fires.summary,
            "description": fires.description,
            "runbook_url": f"{thresholds.runbook_base_url}{alert.name}.md",
            "dashboard": alert.dashboard,
        }
        told = {
            "exp_labels": {**fires.labels, "severity": alert.severity, "area": alert.area},
            "exp_annotations": {name: text for name, text in annotations.items() if text},
        }
        expected.append({"eval_time": fires.at, "alertname": alert.name, "exp_alerts": [told]})
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        # Else it is any order, and some alerts are a minute later now and then.
        "group_eval_order": [group.name for group in groups_for(alert, thresholds)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": values}
                    for series, values in scenario.series.items()
                ],
                "alert_rule_test": expected,
            }
        ],
    }
