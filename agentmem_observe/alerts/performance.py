"""Alerts of what a memory does: slower, leaking, failing, or behind its load.

None of them is about a run whose last verdict is void.
"""

from collections.abc import Iterator
from typing import Final

from agentmem_observe.alerts.promql import (
    OF_DAEMON,
    OF_RUN,
    SOAK,
    block,
    combined,
    duration,
    either,
    figure_of_state,
    on,
    series,
    state,
    trusted,
)
from agentmem_observe.alerts.recording import (
    ANSWERED_RATE,
    DAY_SECONDS,
    FAILED_RATE,
    FAST_RATE,
    OK_RATE,
    PAGES,
    RATE,
    TICKETS,
    Burn,
    Part,
    service_time,
    slow_ratio,
)
from agentmem_observe.alerts.rules import Alert, Severity
from agentmem_observe.alerts.thresholds import Thresholds
from agentmem_observe.telemetry import catalog
from agentmem_observe.units import format_seconds

WHICH: Final = "{{ $labels.category }}.{{ $labels.benchmark }} on {{ $labels.target }}"
"""The run, in a template."""


def performance_alerts(thresholds: Thresholds) -> list[Alert]:
    """Return them all, those that judge whole runs first."""
    return [
        *_verdicts(thresholds),
        _exhaustion(thresholds),
        *_against_last_week(thresholds),
        *_latency(thresholds),
        _errors(thresholds),
        _saturation(thresholds),
    ]


def _verdicts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield alerts of what the daemon judged itself."""
    lasting = {
        "for_seconds": thresholds.verdict_for,
        "keep_firing_seconds": thresholds.keep_firing_for,
    }
    yield Alert(
        name="AgentMemRegression",
        expr=trusted(figure_of_state(catalog.REGRESSION_RATIO, catalog.REGRESSION, "worse")),
        severity="warning",
        area="performance",
        summary=f"{WHICH} became worse",
        description=(
            f"The newest runs of {WHICH} are worse than those before"
            '{{ if gt $value 0.0 }}: the figure that changed most is {{ $value | printf "%.3g" }} '
            "times worse{{ end }}."
        ),
        dashboard="agentmem-regressions",
        **lasting,
    )
    yield Alert(
        name="AgentMemLeak",
        expr=trusted(figure_of_state(catalog.LEAK_BYTES, catalog.LEAK, "leak")),
        severity="warning",
        area="leak",
        summary="{{ $labels.target }} leaks, says {{ $labels.category }}.{{ $labels.benchmark }}",
        description=(
            f"{WHICH} sees growth that never ends"
            "{{ if gt $value 0.0 }}: each operation leaves {{ $value | humanize1024 }}B behind"
            "{{ end }}."
        ),
        dashboard="agentmem-soak",
        **lasting,
    )
    yield Alert(
        name="AgentMemDriftSlower",
        expr=trusted(figure_of_state(catalog.DRIFT_RATIO, catalog.DRIFT, "slower")),
        severity="warning",
        area="performance",
        summary=f"{WHICH} became slower for good",
        description=(
            f"The service time of {WHICH} has risen and does not come back"
            '{{ if gt $value 0.0 }}: it is {{ $value | printf "%.3g" }} times what it was'
            "{{ end }}."
        ),
        dashboard="agentmem-soak",
        **lasting,
    )


def _exhaustion(thresholds: Thresholds) -> Alert:
    leaked = combined(f"({catalog.LEAK_BYTES.name} > 0)", f"* {on(OF_RUN)}", f"({OK_RATE} > 0)")
    left = combined(
        catalog.HOST_AVAILABLE.name, f"/ {on(OF_DAEMON)} group_right ()", block(leaked)
    )
    leaking = combined(
        f"{block(left)} < {thresholds.exhaustion:g}",
        f"and {on(OF_RUN)}",
        block(state(catalog.LEAK, "leak")),
    )
    return Alert(
        name="AgentMemMemoryExhaustion",
        expr=trusted(leaking),
        severity="critical",
        area="leak",
        summary="{{ $labels.target }} leaks all memory in {{ $value | humanizeDuration }}",
        description=(
            f"At the present load of {WHICH}, its leak uses up what memory "
            "{{ $labels.instance }} has left in {{ $value | humanizeDuration }}."
        ),
        dashboard="agentmem-soak",
        for_seconds=thresholds.verdict_for,
        keep_firing_seconds=thresholds.keep_firing_for,
    )


def _against_last_week(thresholds: Thresholds) -> Iterator[Alert]:
    parts: tuple[tuple[Part, str, str, float], ...] = (
        ("p50", "Median", "The median", thresholds.service_time_median_ratio),
        ("p99", "Tail", "The 99th percentile", thresholds.service_time_tail_ratio),
    )
    ago = duration(thresholds.service_time_offset)
    for part, word, what, most in parts:
        yield Alert(
            name=f"AgentMemServiceTime{word}Up",
            expr=trusted(f"{service_time(part, 'over_baseline')} > {most:g}"),
            severity="warning",
            area="performance",
            summary=(
                f"{{{{ $labels.operation }}}} of {{{{ $labels.target }}}} is slower than {ago} ago"
            ),
            description=(
                f"{what} of the service time of {{{{ $labels.operation }}}} in {WHICH} is "
                f'{{{{ $value | printf "%.3g" }}}} times that of {ago} ago (limit {most:g}).'
            ),
            dashboard="agentmem-regressions",
            for_seconds=thresholds.performance_for,
            keep_firing_seconds=thresholds.keep_firing_for,
        )


def _latency(thresholds: Thresholds) -> Iterator[Alert]:
    budget = 1 - thresholds.latency_objective_ratio
    promise = (
        f"{100 * thresholds.latency_objective_ratio:.6g}% within "
        f"{format_seconds(thresholds.latency_objective_seconds)}"
    )
    interval = f"{thresholds.evaluation_interval:g}"
    a_day = f"sum_over_time({ANSWERED_RATE}[{duration(DAY_SECONDS)}]) * {interval}"
    least = thresholds.low_traffic_operations
    levels: tuple[tuple[str, tuple[Burn, ...], Severity, float], ...] = (
        ("Page", PAGES, "critical", thresholds.page_for),
        ("Ticket", TICKETS, "warning", thresholds.ticket_for),
    )
    for word, burns, severity, for_seconds in levels:
        burning = combined(
            block(either(*(_burning(burn, budget) for burn in burns))),
            "and",
            f"({a_day} >= {least})",
        )
        spans = " or ".join(f"{duration(burn.long_seconds)}" for burn in burns)
        yield Alert(
            name=f"AgentMemLatencyBudget{word}",
            expr=trusted(burning),
            severity=severity,
            area="performance",
            summary=f"Too many operations of {WHICH} are slow",
            description=(
                f"{{{{ $value | humanizePercentage }}}} of the operations of {WHICH} in the last "
                f"{spans} were too slow; promised: {promise}."
            ),
            dashboard="agentmem-overview",
            for_seconds=for_seconds,
            keep_firing_seconds=thresholds.keep_firing_for,
        )
    slow = f"(sum_over_time({ANSWERED_RATE}[1d]) - sum_over_time({FAST_RATE}[1d])) * {interval}"
    few = combined(
        f"({slow_ratio(DAY_SECONDS)} > {budget:.6g})",
        "and",
        combined(
            f"({slow} >= {thresholds.low_traffic_slow_operations})", "and", f"({a_day} < {least})"
        ),
    )
    yield Alert(
        name="AgentMemLatencyLowTraffic",
        expr=trusted(few),
        severity="warning",
        area="performance",
        summary=f"Of the few operations of {WHICH}, too many are slow",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the operations of {WHICH} in the last day "
            f"were too slow; promised: {promise}."
        ),
        dashboard="agentmem-overview",
        for_seconds=thresholds.ticket_for,
        keep_firing_seconds=thresholds.keep_firing_for,
    )


def _burning(burn: Burn, budget: float) -> str:
    limit = f"{burn.factor * budget:.6g}"
    return combined(
        f"({slow_ratio(burn.long_seconds)} > {limit}",
        "and",
        f"{slow_ratio(burn.short_seconds)} > {limit})",
    )


def _errors(thresholds: Thresholds) -> Alert:
    span = duration(thresholds.error_window)
    failed = f"sum_over_time({FAILED_RATE}[{span}])"
    many = combined(
        f"({failed} / sum_over_time({RATE}[{span}]) > {thresholds.error_ratio:g})",
        "and",
        f"({failed} * {thresholds.evaluation_interval:g} >= {thresholds.error_operations})",
    )
    # A benchmark is judged when it ends: until then, and while what it did is looked at, nobody
    # knows whether to believe it.
    others = f'category!="{SOAK}"'
    void = series(catalog.VALIDITY, 'verdict="void"', others)
    unjudged = either(
        f"{series(catalog.BENCHMARK_RUNNING, others)} == 1",
        f"max_over_time({void}[{span}]) == 1",
    )
    return Alert(
        name="AgentMemErrors",
        expr=trusted(combined(many, f"unless {on(OF_RUN)}", block(unjudged))),
        severity="warning",
        area="performance",
        summary=f"Operations of {WHICH} fail",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the operations of {WHICH} in the last "
            f"{span} did not succeed (limit {100 * thresholds.error_ratio:g}%)."
        ),
        dashboard="agentmem-benchmark",
        for_seconds=thresholds.performance_for,
        keep_firing_seconds=thresholds.keep_firing_for,
    )


def _saturation(thresholds: Thresholds) -> Alert:
    soaks = f'category="{SOAK}"'  # of others the last open and the last loop may be two loops
    reached = f"{series(catalog.LOAD_ACHIEVED, soaks)} / {series(catalog.LOAD_OFFERED, soaks)}"
    return Alert(
        name="AgentMemSaturated",
        expr=trusted(f"{reached} < {thresholds.saturation_ratio:g}"),
        severity="warning",
        area="performance",
        summary="{{ $labels.target }} does not keep up with its load",
        description=(
            f"Only {{{{ $value | humanizePercentage }}}} of the load that {WHICH} offers is "
            f"answered in time (limit {100 * thresholds.saturation_ratio:g}%)."
        ),
        dashboard="agentmem-soak",
        for_seconds=thresholds.performance_for,
        keep_firing_seconds=thresholds.keep_firing_for,
    )
