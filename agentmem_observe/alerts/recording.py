"""Recording rules: figures that alerts and dashboards share, computed once and kept for weeks.

Only operations whose run can still be trusted when it has been judged are counted: figures look
back from ``judged_within`` ago, and leave out what has been void since. Numerators and
denominators are recorded apart, to be added up over any length of time before they are divided.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentmem_observe.alerts.promql import (
    BEYOND_OPERATION,
    BEYOND_RUN,
    OF_RUN,
    SOAK,
    Recent,
    block,
    combined,
    count_rate,
    duration,
    fast_rate,
    on,
    quantile,
    recent_rate,
    trusted_throughout,
)
from agentmem_observe.alerts.rules import Group, Recording
from agentmem_observe.alerts.thresholds import Thresholds
from agentmem_observe.telemetry import catalog

BASE_SECONDS: Final = 300.0
"""What every rate looks at: ten scrapes at an interval of half a minute."""

MEDIAN_OPERATIONS: Final = 20
"""Fewer operations within `BASE_SECONDS` have no median worth keeping."""

_OPERATIONS: Final = catalog.OPERATIONS.name.removesuffix("_total")  # what is recorded is no count
RATE: Final = f"benchmark:{_OPERATIONS}:rate5m"
OK_RATE: Final = f"benchmark:{_OPERATIONS}:ok_rate5m"
FAILED_RATE: Final = f"benchmark:{_OPERATIONS}:failed_rate5m"
ANSWERED_RATE: Final = f"benchmark:{catalog.OPERATION_LATENCY.name}:rate5m"
FAST_RATE: Final = f"benchmark:{catalog.OPERATION_LATENCY.name}:fast_rate5m"
DISPATCH_DELAY: Final = f"benchmark:{catalog.OPERATION_DISPATCH_DELAY.name}:p99_5m"

Part: TypeAlias = Literal["p50", "p99"]
"""The typical operation, and the slowest one of a hundred."""

_QUANTILES: Final[dict[Part, float]] = {"p50": 0.5, "p99": 0.99}
_OK: Final = 'outcome="ok"'
_SOAKS: Final = f'category="{SOAK}"'


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast an error budget of 30 days may burn, and over which times that is looked at.

    Attributes:
        factor: Times the rate that uses the budget up in exactly 30 days.
        long_seconds: Over this time, so that few slow operations do not call.
        short_seconds: And over this, so that it ends soon after its cause.
    """

    factor: float
    long_seconds: float
    short_seconds: float


PAGES: Final = (Burn(14.4, 3600, 300), Burn(6, 6 * 3600, 1800))
"""2 % of the budget in an hour, or 5 % in six: the limits of Google's SRE workbook."""

TICKETS: Final = (Burn(3, 86_400, 7200), Burn(1, 3 * 86_400, 6 * 3600))
"""10 % of the budget in a day, or in three days."""

DAY_SECONDS: Final = 86_400.0


def slow_ratio(seconds: float) -> str:
    """Return the series of the share of operations that broke the promise, over a time."""
    return f"benchmark:{catalog.OPERATION_LATENCY.name}:slow_ratio{duration(seconds)}"


def service_time(part: Part, what: Literal["5m", "now", "baseline", "over_baseline"]) -> str:
    """Return the series of a service time, by operation."""
    return f"operation:{catalog.OPERATION_SERVICE_TIME.name}:{part}_{what}"


def recording_groups(thresholds: Thresholds) -> list[Group]:
    """Return all recording rules."""
    return [
        Group("agentmem-operations", _operations(thresholds)),
        Group("agentmem-latency-objective", _objective()),
        Group("agentmem-service-time", _service_times(thresholds)),
    ]


def _operations(thresholds: Thresholds) -> list[Recording]:
    recent = Recent(BEYOND_RUN, BASE_SECONDS, thresholds.judged_within)
    failed = recent_rate(recent, catalog.OPERATIONS, 'outcome!="ok"')
    latency, bound = catalog.OPERATION_LATENCY, thresholds.latency_objective_seconds
    exprs = {
        RATE: recent_rate(recent, catalog.OPERATIONS),
        OK_RATE: recent_rate(recent, catalog.OPERATIONS, _OK),
        # Where nothing ever failed there is no series that says so.
        FAILED_RATE: combined(failed, "or", f"0 * {RATE}"),
        ANSWERED_RATE: count_rate(recent, latency, _SOAKS, _OK),
        FAST_RATE: fast_rate(recent, bound, latency, _SOAKS, _OK),
        DISPATCH_DELAY: quantile(recent, 0.99, catalog.OPERATION_DISPATCH_DELAY),
    }
    since = BASE_SECONDS + thresholds.judged_within
    return [
        *(Recording(name, trusted_throughout(expr, since)) for name, expr in exprs.items()),
        *(_service_time(part, thresholds) for part in _QUANTILES),
    ]


def _service_time(part: Part, thresholds: Thresholds) -> Recording:
    recent = Recent(BEYOND_OPERATION, BASE_SECONDS, thresholds.judged_within)
    which = (catalog.OPERATION_SERVICE_TIME, _SOAKS, _OK)
    least = MEDIAN_OPERATIONS if part == "p50" else thresholds.tail_operations
    expr = combined(
        block(quantile(recent, _QUANTILES[part], *which)),
        f"and {on((*OF_RUN, 'operation'))}",
        f"({block(count_rate(recent, *which))} * {BASE_SECONDS:g} >= {least})",
    )
    return Recording(
        service_time(part, "5m"),
        trusted_throughout(expr, BASE_SECONDS + thresholds.judged_within, _SOAKS),
    )


def _objective() -> list[Recording]:
    spans = sorted(
        {
            seconds
            for burn in (*PAGES, *TICKETS)
            for seconds in (burn.long_seconds, burn.short_seconds)
        }
    )
    return [
        Recording(
            slow_ratio(span),
            combined(
                f"1 - sum_over_time({FAST_RATE}[{duration(span)}])",
                "/",
                f"sum_over_time({ANSWERED_RATE}[{duration(span)}])",
            ),
        )
        for span in spans
    ]


def _service_times(thresholds: Thresholds) -> list[Recording]:
    now, baseline, offset = map(
        duration,
        (
            thresholds.service_time_window,
            thresholds.service_time_baseline,
            thresholds.service_time_offset,
        ),
    )
    return [
        rule
        for part in _QUANTILES
        for rule in (
            Recording(
                service_time(part, "now"),
                f"quantile_over_time(0.5, {service_time(part, '5m')}[{now}])",
            ),
            Recording(
                service_time(part, "baseline"),
                f"quantile_over_time(0.5, {service_time(part, '5m')}[{baseline}] offset {offset})",
            ),
            Recording(
                service_time(part, "over_baseline"),
                combined(service_time(part, "now"), "/", service_time(part, "baseline")),
            ),
        )
    ]
