"""One benchmark in detail: latency against service time, load, outcomes, what it cost."""

from agentmem_observe.dashboards import verdicts
from agentmem_observe.dashboards.board import Board, Row
from agentmem_observe.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    Placed,
    Query,
    heatmap,
    lines,
    stat,
    timeline,
)
from agentmem_observe.dashboards.queries import (
    INSTANCE_RUN,
    NOT_OK,
    buckets,
    quantile,
    rate,
    select,
)
from agentmem_observe.telemetry import catalog

_OK = {"outcome": "ok"}
_NAME = "{{target}} {{benchmark}}"


def benchmark() -> Board:
    """Return the dashboard of what runs measure."""
    return Board(
        uid="agentmem-benchmark",
        title="Agent memory / Benchmark",
        description="How fast is it, and may one believe it? Choose a target and a benchmark.",
        rows=[
            Row("At a glance", _glance()),
            Row("Latency", _latency()),
            Row("Load", _load()),
            Row("Outcomes", _outcomes()),
            Row("What measuring cost, and what disturbed it", _cost()),
        ],
    )


def _glance() -> list[Placed]:
    def of(share: float) -> Query:
        return Query(quantile(share, catalog.OPERATION_LATENCY, **_OK))

    return [
        stat("p50", "Half of all users waited less.", "s", of(0.5)),
        stat("p95", "19 of 20 users waited less.", "s", of(0.95)),
        stat(
            "p99",
            "99 of 100 users waited less; with fewer than 1,000 operations it is hardly more "
            "than the slowest of them.",
            "s",
            of(0.99),
        ),
        stat(
            "Throughput",
            "Operations a second that succeeded.",
            "ops",
            Query(rate(catalog.OPERATIONS, **_OK)),
        ),
        stat(
            "Validity",
            "The worst verdict of the last runs: whether their numbers can be trusted.",
            "short",
            Query(f"max({verdicts.code_of(catalog.VALIDITY)})"),
            states=verdicts.states_of(catalog.VALIDITY),
            steps=((None, GREEN), (1, YELLOW), (2, RED)),
        ),
        stat(
            "Runs",
            "Benchmark runs in the time shown.",
            "short",
            Query(f"sum(increase({select(catalog.BENCHMARK_RUNS)}[$__range]))"),
            decimals=0,
        ),
    ]


def _latency() -> list[Placed]:
    by = ("operation",)
    return [
        heatmap(
            "Latency of operations that succeeded",
            "How many took how long, from when they were due. A stall is a column upwards; "
            "magenta dots are single operations, a click leads to their trace.",
            "s",
            Query(buckets(catalog.OPERATION_LATENCY, **_OK), "{{le}}", format="heatmap"),
        ),
        *(
            lines(
                f"Latency and service time, {name}",
                "Latency counts from when an operation was due, service time from when it was "
                "sent. Where they part, operations wait in line: the memory does not keep up.",
                "s",
                Query(
                    quantile(share, catalog.OPERATION_LATENCY, by=by, **_OK),
                    "{{operation}} latency",
                ),
                Query(
                    quantile(share, catalog.OPERATION_SERVICE_TIME, by=by, **_OK),
                    "{{operation}} service time",
                ),
                log=True,
                width=8,
            )
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        ),
        lines(
            "Latency p99 by tier",
            "STM, IM and LTM apart; a target without tiers has one curve.",
            "s",
            Query(
                quantile(0.99, catalog.OPERATION_LATENCY, by=("operation", "tier"), **_OK),
                "{{operation}} {{tier}}",
            ),
            log=True,
        ),
        lines(
            "Lateness p99",
            "How late operations were sent, and what of it is the load generator's own doing.",
            "s",
            Query(quantile(0.99, catalog.OPERATION_LATENESS), "lateness"),
            Query(quantile(0.99, catalog.OPERATION_DISPATCH_DELAY), "load generator's own"),
            log=True,
        ),
    ]


def _load() -> list[Placed]:
    return [
        lines(
            "Offered and achieved",
            "What the last open loop was to send, and what was answered. Achieved below offered: "
            "the memory, or the load generator, is saturated.",
            "ops",
            Query(select(catalog.LOAD_OFFERED), f"{_NAME} offered"),
            Query(select(catalog.LOAD_ACHIEVED), f"{_NAME} achieved"),
            steps=True,
        ),
        lines(
            "Operations by kind",
            "A second, whatever came of them.",
            "ops",
            Query(rate(catalog.OPERATIONS, by=("operation",)), "{{operation}}"),
            stacked=True,
        ),
        lines(
            "Progress",
            "Share of the run under way that is done.",
            "percentunit",
            Query(
                f"{select(catalog.BENCHMARK_PROGRESS)} and on ({', '.join(INSTANCE_RUN)}) "
                f"{select(catalog.BENCHMARK_RUNNING)} == 1",
                _NAME,
            ),
            steps=True,
        ),
        lines(
            "How long runs take",
            "Of the last run of each benchmark.",
            "s",
            Query(select(catalog.BENCHMARK_DURATION), _NAME),
            steps=True,
        ),
    ]


def _outcomes() -> list[Placed]:
    return [
        lines(
            "What did not succeed",
            "Operations a second that were empty, wrong, too late, or ended in an error. Failing "
            "fast is not speed.",
            "ops",
            Query(
                f"{rate(catalog.OPERATIONS, NOT_OK, by=('operation', 'outcome'))} or "
                f"0 * {rate(catalog.OPERATIONS, by=('operation',))}",
                "{{operation}} {{outcome}}",
            ),
        ),
        lines(
            "Runs by how they ended",
            "Within the last hour, at each moment.",
            "short",
            Query(
                f"sum by (status) (increase({select(catalog.BENCHMARK_RUNS)}[1h]))", "{{status}}"
            ),
            stacked=True,
        ),
        timeline(
            "Can the numbers be trusted?",
            "Void numbers say more about a starved load generator than about the memory.",
            verdicts.states_of(catalog.VALIDITY),
            Query(verdicts.code_of(catalog.VALIDITY), _NAME),
        ),
    ]


def _cost() -> list[Placed]:
    return [
        lines(
            "CPU pressure and foreign CPU",
            "Share of the last run during which some task waited for a CPU, and what other "
            "programs used.",
            "percentunit",
            Query(select(catalog.NOISE_PRESSURE, resource="cpu"), f"{_NAME} waited for a CPU"),
            Query(select(catalog.NOISE_FOREIGN_CPU), f"{_NAME} foreign"),
            Query(select(catalog.NOISE_STEAL), f"{_NAME} stolen"),
            steps=True,
        ),
        lines(
            "CPU time of measuring",
            "Share of the run's CPU time that went into measuring.",
            "percentunit",
            Query(select(catalog.MEASURING_CPU), _NAME),
            steps=True,
        ),
    ]
