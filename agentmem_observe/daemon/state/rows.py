"""What the daemon remembers of runs and of windows of soaks, and runs read back from results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.measure.recorder import OK, Aggregate
from agentmem_observe.results.histograms import aggregate_of
from agentmem_observe.results.schema import ended_at

JOB = "job"
"""Key in a result's metadata: the job that it is of. A file without it is none of the daemon's."""

_MOST_WARNINGS = 3


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a benchmark.

    Attributes:
        id: Its number, later runs have higher ones; None before it is saved.
        job: The job's name.
        category: Of the benchmark.
        benchmark: Its name.
        target: What was measured, without credentials.
        started_at: Seconds since 1970.
        ended_at: Seconds since 1970.
        status: ``ok``, ``skipped`` or ``failed``.
        cause: Of a failure, one word; "" otherwise.
        reason: Why it failed or was skipped; "" otherwise.
        path: Of the result file; "" if there is none.
        validity: ``valid``, ``degraded``, ``void`` or "".
        figures: The few that tell how it went; JSON values.
    """

    id: int | None
    job: str
    category: str
    benchmark: str
    target: str
    started_at: float
    ended_at: float
    status: str
    cause: str
    reason: str
    path: str
    validity: str
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window of a soak.

    Attributes:
        job: The job's name.
        soak: Names one life of the process that holds the target.
        number: Of the window in its worker; a later worker may begin anew.
        started_at: Seconds since 1970.
        ended_at: Seconds since 1970.
        figures: What was seen; JSON values.
    """

    job: str
    soak: str
    number: int
    started_at: float
    ended_at: float
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SizedRun:
    """A run, and how many bytes its result file has."""

    row: RunRow
    result_bytes: int


def run_of_result(document: Mapping[str, Any], path: str) -> RunRow | None:
    """Return the row of a result whose own was lost with the process that should have written it.

    When the run started is taken to be the benchmark's own time before its end.

    Args:
        document: A valid result.
        path: Its file.

    Returns:
        The row, without an id; None if the result is of no job.

    Raises:
        ResultFormatError: If the result's time or a histogram cannot be read.
    """
    metadata = document["metadata"]
    if not isinstance(job := metadata.get(JOB), str):
        return None
    ended = ended_at(document)
    return RunRow(
        id=None,
        job=job,
        category=document["category"],
        benchmark=document["benchmark"],
        target=str((metadata.get("target") or {}).get("spec", "")),
        started_at=ended - (metadata.get("execution_time") or 0.0),
        ended_at=ended,
        status=metadata.get("status", "ok"),
        cause=str(metadata.get("cause", "")),
        reason=str(metadata.get("reason", "")),
        path=path,
        validity=str((metadata.get("validity") or {}).get("verdict", "")),
        figures={
            **headline(aggregate_of(metadata)),
            **_most_rss(metadata),
            "warnings": (metadata.get("warnings") or [])[:_MOST_WARNINGS],
            "validity_reasons": (metadata.get("validity") or {}).get("reasons") or [],
        },
    )


def headline(measured: Aggregate) -> dict[str, Any]:
    """Return the few figures that tell how it went: counts, and durations with enough samples.

    Examples:
        >>> headline(Aggregate())
        {'operations': 0, 'failed_operations': 0}
    """
    outcomes = measured.outcomes()
    ok = outcomes.get(OK, 0)
    figures: dict[str, Any] = {
        "operations": sum(outcomes.values()),
        "failed_operations": sum(outcomes.values()) - ok,
    }
    total = measured.total()
    for name, histogram in (("latency", total.latency), ("service_time", total.service_time)):
        for percent in (50, 99):
            if histogram.count >= fewest_samples_for(percent / 100):
                figures[f"{name}_p{percent}_seconds"] = histogram.percentile(percent)
        if histogram.count:
            figures[f"{name}_max_seconds"] = histogram.max_seconds
    return figures


def _most_rss(metadata: Mapping[str, Any]) -> dict[str, Any]:
    rss_bytes = (metadata.get("resources") or {}).get("rss_max_bytes")
    return {} if rss_bytes is None else {"rss_max_bytes": rss_bytes}
