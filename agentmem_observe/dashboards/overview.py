"""Overview: what is wrong now, then how fast everything is."""

from typing import Final

from agentmem_observe.dashboards import verdicts
from agentmem_observe.dashboards.board import Board, Row
from agentmem_observe.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    Column,
    Placed,
    Query,
    lines,
    link,
    stat,
    table,
    timeline,
)
from agentmem_observe.dashboards.queries import (
    NOT_OK,
    any_of,
    count_of,
    quantile,
    rate,
    select,
    up,
)
from agentmem_observe.telemetry import catalog

_BAD: Final = ((None, GREEN), (1, RED))
_DOUBTFUL: Final = ((None, GREEN), (1, YELLOW))

_PROBLEMS: Final = {
    "regression": verdicts.REGRESSED,
    "leak": verdicts.LEAKING,
    "became slower": verdicts.SLOWER,
    "void numbers": verdicts.VOID,
    "job fails": verdicts.FAILING,
    "instance is down": verdicts.DOWN,
    "busy host": verdicts.NOISY,
    "state not writable": verdicts.UNWRITABLE,
}


def overview() -> Board:
    """Return the dashboard to open first."""
    return Board(
        uid="agentmem-overview",
        title="Agent memory / Overview",
        description="What is wrong now? Verdicts first, then speed, load and jobs.",
        rows=[
            Row("What is wrong now?", [*_counts(), _problems()]),
            Row("How fast", _speed()),
            Row("Verdicts over time", _verdicts()),
            Row("Jobs", [_jobs()]),
        ],
    )


def _counts() -> list[Placed]:
    def count(title: str, description: str, expression: str, doubtful: bool = False) -> Placed:
        return stat(
            title,
            description,
            "short",
            Query(count_of(expression)),
            steps=_DOUBTFUL if doubtful else _BAD,
            width=3,
        )

    return [
        count("Regressions", "Benchmarks whose newest runs are worse.", verdicts.REGRESSED),
        count("Leaks", "Memories that were seen to leak.", verdicts.LEAKING),
        count("Slower", "Soaks whose service time has drifted up.", verdicts.SLOWER),
        count("Failing jobs", "Jobs whose last run failed.", verdicts.FAILING),
        count(
            "Down",
            "Instances that Prometheus cannot scrape; 1 if it knows none at all.",
            f"{verdicts.DOWN} or absent({up()})",
        ),
        count("State", "Daemons that cannot write to their state.", verdicts.UNWRITABLE),
        count(
            "Void",
            "Last runs and windows whose numbers say more about the load generator or the host "
            "than about the memory.",
            verdicts.VOID,
            doubtful=True,
        ),
        count(
            "Busy hosts",
            "Those with a run in the last hour during which some task waited for a CPU in 30 % "
            "of the time: mind that before you believe a slow figure.",
            f"count by (job, instance) ({verdicts.NOISY})",
            doubtful=True,
        ),
    ]


def _problems() -> Placed:
    return table(
        "Problems",
        "Everything that is not as it should be, one row each. Empty is good.",
        [
            Column("problem", "Problem"),
            Column("target", "Target", link=link("benchmark", "Target", "Benchmark")),
            Column("category", "Category"),
            Column("benchmark", "Benchmark"),
            Column("job_name", "Job"),
            Column("instance", "Instance", link=link("exporter", "Instance")),
        ],
        Query(any_of(_PROBLEMS)),
        none="–",  # noqa: RUF001  a dash, not minus
        height=6,
    )


def _speed() -> list[Placed]:
    ok = {"outcome": "ok"}
    by = ("target", "operation")
    failed, every = (rate(catalog.OPERATIONS, *which, by=("target",)) for which in ([NOT_OK], []))
    name = "{{target}} {{operation}}"
    return [
        lines(
            "Latency p99",
            "What a user waits, from when an operation was due: 99 of 100 waited less. Only of "
            "operations that succeeded.",
            "s",
            Query(quantile(0.99, catalog.OPERATION_LATENCY, by=by, **ok), name),
            log=True,
        ),
        lines(
            "Throughput",
            "Operations a second that succeeded.",
            "ops",
            Query(rate(catalog.OPERATIONS, by=by, **ok), name),
        ),
        lines(
            "Operations that did not succeed",
            "Share of all operations that were empty, wrong, too late or ended in an error.",
            "percentunit",
            Query(f"({failed} or 0 * {every}) / {every}", "{{target}}"),
        ),
        lines(
            "RSS of workers",
            "Resident memory of the processes that hold the load, and embedded memories.",
            "bytes",
            Query(
                f"max by (target, benchmark) ({select(catalog.PROCESS_RSS)})",
                "{{target}} {{benchmark}}",
            ),
        ),
    ]


def _verdicts() -> list[Placed]:
    def band(title: str, description: str, metric: catalog.Metric) -> Placed:
        return timeline(
            title,
            description,
            verdicts.states_of(metric),
            Query(verdicts.code_of(metric), "{{target}} {{benchmark}}"),
            width=12,
        )

    return [
        band(
            "Can the numbers be trusted?",
            "Of the last run, or the last window of a soak.",
            catalog.VALIDITY,
        ),
        band(
            "Does it leak?", "Whether a memory keeps something of every operation.", catalog.LEAK
        ),
        band(
            "Has a soak drifted?", "Whether the service time has changed for good.", catalog.DRIFT
        ),
        band(
            "Are the newest runs worse?",
            "By the figure that changed most against the runs before.",
            catalog.REGRESSION,
        ),
    ]


def _jobs() -> Placed:
    return table(
        "Jobs",
        "What the daemon's jobs do, when they last had results, and when they are due next.",
        [
            Column("job_name", "Job"),
            Column("instance", "Instance"),
            Column("state", "State"),
            Column("Value #B", "Last success", "dateTimeFromNow"),
            Column("Value #C", "Next run", "dateTimeFromNow"),
            Column("Value #D", "Failures in a row", "short", _BAD),
        ],
        Query(f"max by (job_name, instance, state) ({select(catalog.JOB_STATE)} == 1)"),
        Query(f"max by (job_name, instance) ({select(catalog.JOB_LAST_SUCCESS)}) * 1000"),
        Query(f"max by (job_name, instance) ({select(catalog.JOB_NEXT_RUN)}) * 1000"),
        Query(f"max by (job_name, instance) ({select(catalog.JOB_FAILURES_IN_A_ROW)})"),
    )
