"""When what is seen calls for somebody: all numbers that rules are made with, in one place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentmem_observe.alerts.promql import duration
from agentmem_observe.errors import ConfigError
from agentmem_observe.fields import (
    Wording,
    converted,
    is_number,
    leaf,
    period,
    problems,
)
from agentmem_observe.files import read_toml
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS

OBJECTIVE_BOUNDS: Final = tuple(bound for bound in BOUNDS_SECONDS if bound % 1)
"""Bounds of buckets, in seconds, whose label ``le`` is the same in every version of Prometheus:
before 3.0 the bound of one second is "1" or "1.0", as it was scraped."""

MOST_EVALUATION_SECONDS: Final = 120
"""Prometheus sees what is recorded for five minutes: one evaluation may be lost."""

_HELD_BACK: Final = ("verdict_for", "performance_for", "page_for")
"""How long that waits which a noisy host holds back."""

_TOML = Wording("a table")
_NAME = re.compile(r"[A-Za-z0-9_./:@-]+")
_URL = re.compile(r"https?://[^\s\"'{}]+")


def _written(default: Any) -> Any:
    return Field(default, validate_default=True)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(map(_is_name, value)):
        raise ValueError
    return tuple(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def _between(least: float, most: float) -> Any:
    return leaf(
        f"a number from {least:g} to {most:g}",
        lambda value: is_number(value) and least <= value <= most,
    )


Period: TypeAlias = Annotated[float, period(0)]
FromSecond: TypeAlias = Annotated[float, period(1)]
FromMinute: TypeAlias = Annotated[float, period(60)]
Share: TypeAlias = Annotated[float, _between(0, 1)]
Times: TypeAlias = Annotated[
    float, leaf("a number above 1", lambda value: is_number(value) and value > 1)
]
Count: TypeAlias = Annotated[
    int, leaf("a positive integer", lambda value: type(value) is int and value > 0)
]
Seconds: TypeAlias = Annotated[
    float, leaf("a number above 0", lambda value: is_number(value) and value > 0)
]
Name: TypeAlias = Annotated[str, leaf("a name of letters, digits and _./:@-", _is_name)]
Names: TypeAlias = Annotated[
    tuple[str, ...], converted("a list of names of letters, digits and _./:@-", _names)
]
Bound: TypeAlias = Annotated[
    float,
    leaf(
        f"a bound of a bucket, one of {', '.join(f'{bound:g}' for bound in OBJECTIVE_BOUNDS)}",
        lambda value: is_number(value) and value in OBJECTIVE_BOUNDS,
    ),
]
Objective: TypeAlias = Annotated[float, _between(0.95, 0.9999)]
Address: TypeAlias = Annotated[
    str,
    leaf(
        "an address that begins with http:// or https://",
        lambda value: isinstance(value, str) and bool(_URL.fullmatch(value)),
    ),
]


class Thresholds(BaseModel):
    """Every number of the rules, and where they lead; frozen.

    Lengths of time are in seconds here; in the file they can be written as ``"1h30m"``.

    Attributes:
        scrape_job: What Prometheus' configuration calls the job that scrapes the daemons.
        evaluation_interval: How often the rules are evaluated; at most every two minutes.
        judged_within: How long after an operation its run may still be judged void: a window of
            the soak and two scrapes. Live figures count that much later, and void ones never.
        expected_jobs: Jobs that some daemon must have.
        latency_objective_seconds: What is slower than this breaks the promise; a bucket's bound.
        latency_objective_ratio: Share of operations that must keep it over 30 days.
        low_traffic_operations: With fewer operations in a day, shares mean little: the rules of
            the error budget are silent, and slow operations are counted instead.
        low_traffic_slow_operations: So many slow ones in such a day are too many.
        error_ratio: Share of operations without success that is too many.
        error_operations: There must be so many of them.
        error_window: Over this time.
        service_time_median_ratio: How many times last week's the median may be.
        service_time_tail_ratio: The same of the 99th percentile.
        service_time_window: What "now" is; the median of it counts.
        service_time_offset: What "last week" is.
        service_time_baseline: How much of last week is looked at.
        tail_operations: Without so many in five minutes there is no 99th percentile.
        exhaustion: A leak that takes all memory within this time calls at once.
        saturation_ratio: Achieved over offered load below which a target does not keep up.
        dispatch_delay_seconds: How late the load generator itself may be at p99.
        noise_cpu_pressure_ratio: Share of a run in which some task waited for a CPU.
        noise_steal_ratio: Share of CPU time that the hypervisor gave to others.
        noise_foreign_cpu_ratio: Share of CPU time that other processes took.
        noise_run_queue_ratio: CPUs that a soak's worker had to wait for, on average.
        noise_recent: For how long the noise of a run says something of its host.
        job_periods: A job without success for so many of its periods is stale.
        job_slack: And so much longer.
        job_failures: Failed runs in a row that are too many.
        job_overdue: How long after it is due a job may begin.
        job_waiting: What a job waits while others have the host does not count, up to so much.
        job_gone: How long a job that was there is missed.
        benchmark_success_age: A benchmark that fails must have succeeded within this time.
        daemon_restarts: Starts of a daemon within an hour that are too many.
        verdict_for: How long a verdict (regression, leak, drift) must hold.
        performance_for: How long live figures must be bad.
        page_for: How long the error budget must burn fast.
        ticket_for: How long it must burn slowly.
        validity_for: How long numbers must be void, or the load generator late.
        noise_for: How long a host must be noisy; shorter than what it inhibits.
        job_for: How long something must be wrong with a job.
        daemon_for: How long something must be wrong with a daemon.
        keep_firing_for: How long an alert of performance goes on when its cause is not seen.
        runbook_base_url: Where runbooks are; ends in a slash.
        webhook_url: Where Alertmanager sends to.
        group_wait: How long it collects before the first message of a group.
        group_interval: How long until news of a group are told.
        repeat_interval: How long until what goes on is told again.
        watchdog_interval: How often the Watchdog is passed on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scrape_job: Name = "agentmem"
    evaluation_interval: FromSecond = _written("1m")
    judged_within: Period = _written("2m")
    expected_jobs: Names = _written(["soak"])
    latency_objective_seconds: Bound = 0.25
    latency_objective_ratio: Objective = 0.99
    low_traffic_operations: Count = 2000
    low_traffic_slow_operations: Count = 20
    error_ratio: Share = 0.01
    error_operations: Count = 10
    error_window: FromMinute = _written("30m")
    service_time_median_ratio: Times = 1.25
    service_time_tail_ratio: Times = 1.5
    service_time_window: FromMinute = _written("1h")
    service_time_offset: FromMinute = _written("1w")
    service_time_baseline: FromMinute = _written("1d")
    tail_operations: Count = 1000
    exhaustion: FromMinute = _written("1d")
    saturation_ratio: Share = 0.95
    dispatch_delay_seconds: Seconds = 0.005
    noise_cpu_pressure_ratio: Share = 0.3
    noise_steal_ratio: Share = 0.05
    noise_foreign_cpu_ratio: Share = 0.25
    noise_run_queue_ratio: Seconds = 0.1
    noise_recent: FromSecond = _written("1h")
    job_periods: Count = 2
    job_slack: Period = _written("15m")
    job_failures: Count = 3
    job_overdue: FromSecond = _written("30m")
    job_waiting: FromMinute = _written("3h")
    job_gone: FromMinute = _written("1h")
    benchmark_success_age: FromMinute = _written("2d")
    daemon_restarts: Count = 3
    verdict_for: Period = _written("2m")
    performance_for: Period = _written("10m")
    page_for: Period = _written("2m")
    ticket_for: Period = _written("15m")
    validity_for: Period = _written("15m")
    noise_for: Period = _written("1m")
    job_for: Period = _written("5m")
    daemon_for: Period = _written("5m")
    keep_firing_for: Period = _written("15m")
    runbook_base_url: Address = (
        "https://github.com/agentmem-observe/agentmem-observe/blob/main/docs/runbooks/"
    )
    webhook_url: Address = "http://127.0.0.1:9465/alerts"
    group_wait: Period = _written("30s")
    group_interval: FromSecond = _written("5m")
    repeat_interval: FromSecond = _written("4h")
    watchdog_interval: FromSecond = _written("5m")


def load_thresholds(file: Path | None) -> Thresholds:
    """Read thresholds.

    Args:
        file: TOML with some of the keys of `Thresholds`; None for the defaults.

    Raises:
        ConfigError: For all that is wrong at once, a line for each with file and key.
    """
    if file is None:
        return Thresholds()
    values = read_toml(file, ConfigError)
    try:
        thresholds = Thresholds.model_validate(values)
    except ValidationError as error:
        found = list(problems(Thresholds, error, wording=_TOML))
    else:
        found = list(_contradictions(thresholds))
        if not found:
            return thresholds
    raise ConfigError("\n".join(f"{file}: {line}" for line in found))


def _contradictions(thresholds: Thresholds) -> Iterator[str]:
    """Yield what is wrong with values that are good one by one."""
    if not thresholds.runbook_base_url.endswith("/"):
        yield (
            "runbook_base_url: expected an address that ends in /, "
            f"got {thresholds.runbook_base_url!r}"
        )
    if thresholds.low_traffic_slow_operations > thresholds.low_traffic_operations:
        yield (
            "low_traffic_slow_operations: expected at most the "
            f"{thresholds.low_traffic_operations} of low_traffic_operations, "
            f"got {thresholds.low_traffic_slow_operations}"
        )
    if thresholds.service_time_baseline > thresholds.service_time_offset:
        yield (
            "service_time_baseline: expected no longer than service_time_offset, "
            "or now would be compared with itself"
        )
    if thresholds.evaluation_interval > MOST_EVALUATION_SECONDS:
        yield (
            f"evaluation_interval: expected at most {duration(MOST_EVALUATION_SECONDS)}, got "
            f"{duration(thresholds.evaluation_interval)}: Prometheus forgets what was recorded "
            "after 5m"
        )
    # Where nothing waits, nothing could be known in time.
    waits = {name: wait for name in _HELD_BACK if (wait := getattr(thresholds, name))}
    shortest = min(waits, key=waits.__getitem__, default="")
    if shortest and thresholds.noise_for >= waits[shortest]:
        yield (
            f"noise_for: expected less than the {duration(waits[shortest])} of {shortest}, got "
            f"{duration(thresholds.noise_for)}, or what a noisy host holds back is told before"
        )
