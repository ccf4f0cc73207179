"""Regressions: what changed, when, by how much, against what was there before."""

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
    table,
    timeline,
)
from agentmem_observe.dashboards.queries import quantile, select
from agentmem_observe.telemetry import catalog

_NAME = "{{target}} {{category}}.{{benchmark}}"


def regressions() -> Board:
    """Return the dashboard of what changed."""
    return Board(
        uid="agentmem-regressions",
        title="Agent memory / Regressions",
        description="Did it become slower, and is that real? Red marks are changes.",
        rows=[
            Row("Changes", [_changes()]),
            Row("Verdicts", _verdicts()),
            Row("The figures themselves", _figures()),
            Row("What was run where", [_versions()]),
        ],
        since="now-30d",
    )


def _changes() -> Placed:
    run = "target, category, benchmark, instance"
    return table(
        "Changes",
        "Of each benchmark, the figure that changed most: how many times worse it is, and when "
        "the first run after the change ended. `agentmem-observe results history` names figures "
        "and commits.",
        [
            Column("target", "Target"),
            Column("category", "Category"),
            Column("benchmark", "Benchmark"),
            Column("instance", "Instance"),
            Column("verdict", "Verdict"),
            Column(
                "Value #B", "Times worse", "short", ((None, GREEN), (1.02, YELLOW), (1.1, RED))
            ),
            Column("Value #C", "Since", "dateTimeAsIso"),
        ],
        Query(f"max by ({run}, verdict) ({select(catalog.REGRESSION)} == 1)"),
        Query(f"max by ({run}) ({select(catalog.REGRESSION_RATIO)})"),
        Query(f"max by ({run}) ({select(catalog.REGRESSION_CHANGED)}) * 1000"),
        none="nothing was compared yet",
    )


def _verdicts() -> list[Placed]:
    return [
        timeline(
            "Are the newest runs worse?",
            "Inconclusive: something may have changed, and the evidence does not tell yet.",
            verdicts.states_of(catalog.REGRESSION),
            Query(verdicts.code_of(catalog.REGRESSION), _NAME),
        ),
        lines(
            "How many times worse",
            "By the figure that changed most: 1.1 is a tenth worse, 0.9 better.",
            "short",
            Query(select(catalog.REGRESSION_RATIO), _NAME),
            width=24,
            least=None,
            decimals=2,
            steps=True,
        ),
    ]


def _figures() -> list[Placed]:
    by = ("target", "category", "benchmark", "operation")
    now = quantile(0.5, catalog.OPERATION_SERVICE_TIME, by=by, outcome="ok")
    return [
        lines(
            "Service time p50",
            "Of each run, or of a soak all the time.",
            "s",
            Query(now, f"{_NAME} {{{{operation}}}}"),
            log=True,
        ),
        lines(
            "Against a week ago",
            "Median service time over that of the same time a week before: 1 is no change.",
            "short",
            Query(
                f"{now} / {now.replace('[$__rate_interval]', '[$__rate_interval] offset 1w')}",
                f"{_NAME} {{{{operation}}}}",
            ),
            least=None,
            decimals=2,
        ),
        lines(
            "How long runs take",
            "Of the last run of each benchmark.",
            "s",
            Query(select(catalog.BENCHMARK_DURATION), _NAME),
            steps=True,
        ),
        lines(
            "Was the host quiet?",
            "Share of the last run during which some task waited for a CPU: a slow figure on a "
            "busy host is the host's.",
            "percentunit",
            Query(select(catalog.NOISE_PRESSURE, resource="cpu"), _NAME),
            steps=True,
        ),
    ]


def _versions() -> Placed:
    return table(
        "Versions",
        "What the last runs were of.",
        [
            Column("target", "Target"),
            Column("version", "agentmem-observe"),
            Column("commit", "Commit"),
            Column("host", "Host"),
            Column("python", "Python"),
            Column("instance", "Instance"),
        ],
        Query(select(catalog.RUN_INFO)),
    )
