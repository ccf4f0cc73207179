"""Alerts of whoever measures: hosts, load generators, jobs and daemons."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from agentmem_observe.alerts.performance import WHICH
from agentmem_observe.alerts.promql import (
    OF_DAEMON,
    OF_JOB,
    OF_RUN,
    SOAK,
    block,
    combined,
    duration,
    either,
    grew,
    on,
    series,
    state,
    trusted,
)
from agentmem_observe.alerts.recording import BASE_SECONDS, DISPATCH_DELAY
from agentmem_observe.alerts.rules import Alert
from agentmem_observe.alerts.thresholds import Thresholds
from agentmem_observe.telemetry import catalog
from agentmem_observe.units import format_period, format_seconds

WATCHDOG: Final = "AgentMemWatchdog"
NOISY: Final = "AgentMemHostNoisy"
VOID: Final = "AgentMemRunVoid"
DOWN: Final = "AgentMemDaemonDown"

_HOUR = 3600.0
_JOB = "{{ $labels.job_name }} of {{ $labels.instance }}"


def operation_alerts(thresholds: Thresholds) -> list[Alert]:
    """Return them all, the Watchdog last."""
    return [
        *_trust(thresholds),
        *_jobs(thresholds),
        *_benchmarks(thresholds),
        *_daemons(thresholds),
        *_state(thresholds),
        *_exporters(thresholds),
        Alert(
            name=WATCHDOG,
            expr="vector(1)",
            severity="none",
            area="watchdog",
            summary="Alerts arrive",
            description="This alert always fires. When it stops arriving, no other would arrive.",
        ),
    ]


def _trust(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield alerts of what makes numbers doubtful."""
    late = thresholds.dispatch_delay_seconds
    yield Alert(
        name="AgentMemLoadGeneratorLate",
        expr=trusted(f"{DISPATCH_DELAY} > {late:g}"),
        severity="warning",
        area="validity",
        summary=f"The load generator of {WHICH} is late",
        description=(
            f"Operations of {WHICH} were sent {{{{ $value | humanizeDuration }}}} late at p99 by "
            f"the load generator's own doing (limit {format_seconds(late)})."
        ),
        dashboard="agentmem-exporter",
        for_seconds=thresholds.validity_for,
    )
    yield Alert(
        name=VOID,
        expr=state(catalog.VALIDITY, "void"),
        severity="warning",
        area="validity",
        summary=f"The numbers of {WHICH} are void",
        description=(
            f"The last run of {WHICH} says more about the load generator and its host than about "
            "the target. Until it is valid again, nothing that it says alerts."
        ),
        dashboard="agentmem-benchmark",
        for_seconds=thresholds.validity_for,
    )
    yield Alert(
        name=NOISY,
        expr=_noise(thresholds),
        severity="info",
        area="noise",
        summary="{{ $labels.instance }} is busy with something else: {{ $labels.noise }}",
        description=(
            f"{{{{ $labels.noise }}}} of {{{{ $value | humanizePercentage }}}} was seen on "
            f"{{{{ $labels.instance }}}} during {WHICH}. Alerts of performance there are held "
            "back."
        ),
        dashboard="agentmem-benchmark",
        for_seconds=thresholds.noise_for,
    )


def _noise(thresholds: Thresholds) -> str:
    of_cpu = series(catalog.NOISE_PRESSURE, 'resource="cpu"')
    pressure = f"sum without (resource) ({of_cpu})"
    ended = either(
        _named(f"{pressure} > {thresholds.noise_cpu_pressure_ratio:g}", "CPU pressure"),
        _named(f"{catalog.NOISE_STEAL.name} > {thresholds.noise_steal_ratio:g}", "steal"),
        _named(
            f"{catalog.NOISE_FOREIGN_CPU.name} > {thresholds.noise_foreign_cpu_ratio:g}",
            "foreign CPU",
        ),
    )
    # These are of the last run; what it saw long ago says nothing of the host now.
    age = f"time() - {catalog.BENCHMARK_LAST_END.name} < {thresholds.noise_recent:g}"
    waited = series(catalog.PROCESS_RUN_QUEUE_WAIT, f'category="{SOAK}"')
    return either(
        block(combined(block(ended), f"and {on(OF_RUN)}", f"({age})")),
        _named(
            f"rate({waited}[{duration(BASE_SECONDS)}]) > {thresholds.noise_run_queue_ratio:g}",
            "run queue",
        ),
    )


def _named(expr: str, noise: str) -> str:
    return f'label_replace({expr}, "noise", "{noise}", "", "")'


def _jobs(thresholds: Thresholds) -> Iterator[Alert]:
    alert = partial(
        Alert,
        severity="warning",
        area="jobs",
        dashboard="agentmem-fleet",
        for_seconds=thresholds.job_for,
    )
    yield alert(
        name="AgentMemJobStale",
        expr=_stale(thresholds),
        summary=f"{_JOB} has had no results for {{{{ $value | humanizeDuration }}}}",
        description=(
            f"The last success of {_JOB} is {{{{ $value | humanizeDuration }}}} ago, more than "
            f"{thresholds.job_periods} of its periods, {format_period(thresholds.job_slack)}, and "
            "what it waited for the host."
        ),
    )
    yield alert(
        name="AgentMemJobFailing",
        expr=f"{catalog.JOB_FAILURES_IN_A_ROW.name} >= {thresholds.job_failures}",
        summary=f"{_JOB} fails",
        description=f"The last {{{{ $value }}}} runs of {_JOB} failed, one after the other.",
    )
    yield alert(
        name="AgentMemJobOverdue",
        expr=_overdue(thresholds),
        summary=f"{_JOB} was due and has not begun",
        description=f"{_JOB} was due {{{{ $value | humanizeDuration }}}} ago and has not begun.",
    )
    yield alert(
        name="AgentMemJobMissing",
        expr=_missing(thresholds),
        summary="{{ $labels.job_name }} is no longer there",
        description=(
            "No daemon that is up has the job {{ $labels.job_name }}"
            "{{ with $labels.instance }}, which {{ . }} had{{ end }}."
        ),
    )


def _stale(thresholds: Thresholds) -> str:
    # What never succeeded is as old as the settings in force: they may have brought it.
    began = combined(
        f"{catalog.JOB_PERIOD.name} * 0",
        f"+ {on(OF_DAEMON)} group_left ()",
        catalog.SETTINGS_LOADED_AT.name,
    )
    age = f"time() - {block(either(catalog.JOB_LAST_SUCCESS.name, block(began)))}"
    most = f"{thresholds.job_periods} * {catalog.JOB_PERIOD.name} + {thresholds.job_slack:g}"
    return combined(block(age), f"> {on(OF_JOB)}", block(_beside_waiting(most, thresholds)))


def _overdue(thresholds: Thresholds) -> str:
    age = f"time() - {catalog.JOB_NEXT_RUN.name}"
    most = f"{catalog.JOB_NEXT_RUN.name} * 0 + {thresholds.job_overdue:g}"
    late = combined(block(age), f"> {on(OF_JOB)}", block(_beside_waiting(most, thresholds)))
    at_it = series(catalog.JOB_STATE, 'state=~"running|backing_off"')
    return combined(block(late), f"unless {on(OF_JOB)}", f"({at_it} == 1)")


def _beside_waiting(most: str, thresholds: Thresholds) -> str:
    """Return a limit of jobs, longer by what each waited lately while others had the host."""
    waiting = series(catalog.JOB_STATE, 'state="waiting"')
    longest = thresholds.job_waiting
    waited = f"{longest:g} * avg_over_time({waiting}[{duration(longest)}])"
    return combined(
        block(combined(most, f"+ {on(OF_JOB)}", waited)), f"or {on(OF_JOB)}", block(most)
    )


def _missing(thresholds: Thresholds) -> str:
    jobs = f"group by ({', '.join(OF_JOB)})"
    name = catalog.JOB_STATE.name
    gone = combined(
        f"{jobs} ({name} offset {duration(thresholds.job_gone)})", "unless", f"{jobs} ({name})"
    )
    up = f'up{{job="{thresholds.scrape_job}"}} == 1'
    expected_jobs = [
        series(catalog.JOB_STATE, f'job_name="{job}"') for job in thresholds.expected_jobs
    ]
    nowhere = [
        block(combined(f"absent({expected})", f"and {on(())}", f"(count({up}) > 0)"))
        for expected in expected_jobs
    ]
    return either(block(combined(block(gone), f"and {on(OF_DAEMON)}", f"({up})")), *nowhere)


def _benchmarks(thresholds: Thresholds) -> Iterator[Alert]:
    others = f'category!="{SOAK}"'
    span = duration(thresholds.benchmark_success_age)
    # As with jobs.
    began = combined(
        f"{series(catalog.BENCHMARK_LAST_END, others)} * 0",
        f"+ {on(OF_DAEMON)} group_left ()",
        catalog.SETTINGS_LOADED_AT.name,
    )
    since = either(series(catalog.BENCHMARK_LAST_SUCCESS, others), block(began))
    failed = grew(
        catalog.BENCHMARK_RUNS, 'status="failed"', window=thresholds.benchmark_success_age
    )
    yield Alert(
        name="AgentMemBenchmarkStale",
        expr=combined(
            f"time() - {block(since)} > {thresholds.benchmark_success_age:g}",
            f"and {on(OF_RUN)}",
            block(failed),
        ),
        severity="warning",
        area="jobs",
        summary=f"{WHICH} has had no results for {{{{ $value | humanizeDuration }}}}",
        description=(
            f"{WHICH} has failed, and its last results are {{{{ $value | humanizeDuration }}}} "
            f"old (limit {span})."
        ),
        dashboard="agentmem-benchmark",
        for_seconds=thresholds.job_for,
    )


def _daemons(thresholds: Thresholds) -> Iterator[Alert]:
    up = f'up{{job="{thresholds.scrape_job}"}}'
    alert = partial(Alert, area="daemon", dashboard="agentmem-fleet")
    yield alert(
        name=DOWN,
        expr=f"{up} == 0",
        severity="critical",
        summary="{{ $labels.instance }} cannot be scraped",
        description="The daemon at {{ $labels.instance }} does not answer Prometheus.",
        for_seconds=thresholds.daemon_for,
    )
    yield alert(
        name="AgentMemDaemonAbsent",
        expr=f"absent({up})",
        severity="critical",
        summary="Prometheus scrapes no daemon",
        description=(
            f"Prometheus has no target of the job {thresholds.scrape_job}: nobody would notice if "
            "all daemons were down."
        ),
        for_seconds=thresholds.daemon_for,
    )
    yield alert(
        name="AgentMemDaemonRestarts",
        expr=(
            f"changes({catalog.DAEMON_STARTED.name}[{duration(_HOUR)}])"
            f" >= {thresholds.daemon_restarts}"
        ),
        severity="warning",
        summary="{{ $labels.instance }} starts again and again",
        description="The daemon at {{ $labels.instance }} started {{ $value }} times in an hour.",
    )
    yield alert(
        name="AgentMemSettingsReloadFailed",
        expr=f"{catalog.SETTINGS_LOADED.name} == 0",
        severity="warning",
        summary="{{ $labels.instance }} goes by older settings",
        description=(
            "The settings of the daemon at {{ $labels.instance }} were refused when they were "
            "read again; older ones are in force."
        ),
        for_seconds=thresholds.daemon_for,
    )


def _state(thresholds: Thresholds) -> Iterator[Alert]:
    alert = partial(Alert, area="daemon", dashboard="agentmem-fleet")
    yield alert(
        name="AgentMemStateNotWritable",
        expr=f"{catalog.STATE_WRITABLE.name} == 0",
        severity="critical",
        summary="The state directory of {{ $labels.instance }} takes nothing",
        description=(
            "The daemon at {{ $labels.instance }} cannot write to its state directory and keeps "
            "results in memory, up to 64 MiB."
        ),
        for_seconds=thresholds.daemon_for,
    )
    yield alert(
        name="AgentMemStateWritesPending",
        expr=f"{catalog.STATE_PENDING.name} > 0",
        severity="warning",
        summary="Results of {{ $labels.instance }} are in memory only",
        description=(
            "{{ $value }} writes of the daemon at {{ $labels.instance }} wait in memory; a "
            "restart loses them."
        ),
        for_seconds=thresholds.daemon_for,
    )
    yield alert(
        name="AgentMemStateWritesLost",
        expr=grew(catalog.STATE_LOST, window=_HOUR),
        severity="critical",
        summary="{{ $labels.instance }} has lost results",
        description=(
            'The daemon at {{ $labels.instance }} lost {{ $value | printf "%.0f" }} writes in the '
            "last hour: they no longer fitted into its memory."
        ),
    )


def _exporters(thresholds: Thresholds) -> Iterator[Alert]:
    alert = partial(Alert, area="daemon", dashboard="agentmem-exporter")
    yield alert(
        name="AgentMemSamplesRefused",
        expr=grew(catalog.EXPORTER_REFUSED, window=_HOUR),
        severity="warning",
        summary="{{ $labels.metric }} of {{ $labels.instance }} has too many series",
        description=(
            '{{ $value | printf "%.0f" }} samples of {{ $labels.metric }} were refused in the '
            "last hour: their series would have been one too many."
        ),
    )
    lost = grew(catalog.EXPORTER_ITEMS, 'result=~"failed|dropped"', window=_HOUR)
    yield alert(
        name="AgentMemExportsFailing",
        expr=f"sum without (result) {block(lost)}",
        severity="warning",
        summary="{{ $labels.instance }} cannot export with {{ $labels.exporter }}",
        description=(
            '{{ $value | printf "%.0f" }} items of {{ $labels.exporter }} did not arrive in the '
            "last hour."
        ),
        for_seconds=thresholds.daemon_for,
    )
