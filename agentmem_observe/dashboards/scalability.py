"""Scalability: agents against throughput, records against service time and recall."""

from agentmem_observe.dashboards.board import Board, Row
from agentmem_observe.dashboards.panels import (
    GREEN,
    YELLOW,
    Column,
    Placed,
    Query,
    curve,
    lines,
    stat,
    table,
)
from agentmem_observe.dashboards.queries import select
from agentmem_observe.telemetry import catalog

_TARGET = "{{target}}"


def scalability() -> Board:
    """Return the dashboard of laws and curves."""
    return Board(
        uid="agentmem-scalability",
        title="Agent memory / Scalability",
        description="How does it go with more agents and more records, and where does it bend? "
        "Choose one target: curves of several are averaged.",
        rows=[
            Row("Agents", _agents()),
            Row("Records", _records()),
            Row("Over time", _over_time()),
        ],
        since="now-7d",
    )


def _agents() -> list[Placed]:
    throughput = select(catalog.SCALING_THROUGHPUT)
    return [
        curve(
            "Throughput by number of agents",
            "Of the last run, with the law fitted to it (Universal Scalability Law), and the "
            "ideal: as much more as there are more agents.",
            "ops",
            Query(f"avg by (agents, line) ({throughput})"),
            along="agents",
            series="line",
            width=16,
            height=12,
        ),
        stat(
            "Serial share",
            "Share of an operation that only one agent at a time can be in: a fifth lets five "
            "times the throughput of one agent through at most.",
            "percentunit",
            Query(f"max({select(catalog.SCALING_SERIAL_SHARE)})"),
            steps=((None, GREEN), (0.2, YELLOW)),
            decimals=1,
        ),
        stat(
            "Peak",
            "Number of agents beyond which throughput falls; no data where no peak is in sight.",
            "short",
            Query(f"min({select(catalog.SCALING_PEAK_AGENTS)})"),
            decimals=0,
            none="none in sight",
        ),
        table(
            "What is in the way",
            "Of the largest number of agents that was measured.",
            [Column("target", "Target"), Column("bottleneck", "Bottleneck")],
            Query(f"max by (target, bottleneck) ({select(catalog.SCALING_BOTTLENECK)} == 1)"),
            width=8,
            height=8,
        ),
    ]


def _records() -> list[Placed]:
    return [
        curve(
            "Service time by number of records",
            "Medians of the last run, by operation. A flat line is what one wants.",
            "s",
            Query(
                "avg by (records, operation) "
                f"({select(catalog.VOLUME_SERVICE_TIME, percentile='p50')})"
            ),
            along="records",
            series="operation",
        ),
        curve(
            "Recall by number of records",
            "Share of the k truly nearest records that searches found: speed of less recall is "
            "no speed.",
            "percentunit",
            Query(f"avg by (records, k) ({select(catalog.VOLUME_RECALL)})"),
            along="records",
            series="k",
        ),
        table(
            "Service times",
            "Of the last run: percentiles by operation and number of records.",
            [
                Column("target", "Target"),
                Column("operation", "Operation"),
                Column("records", "Records"),
                Column("percentile", "Percentile"),
                Column("Value", "Service time", "s"),
            ],
            Query(
                "max by (target, operation, records, percentile) "
                f"({select(catalog.VOLUME_SERVICE_TIME)})"
            ),
        ),
    ]


def _over_time() -> list[Placed]:
    return [
        lines(
            "Throughput by number of agents",
            "Of each run.",
            "ops",
            Query(
                select(catalog.SCALING_THROUGHPUT, line="measured"), f"{_TARGET} {{{{agents}}}}"
            ),
            steps=True,
        ),
        lines(
            "Median search by number of records",
            "Of each run.",
            "s",
            Query(
                select(catalog.VOLUME_SERVICE_TIME, percentile="p50", operation="search_memory"),
                f"{_TARGET} {{{{records}}}}",
            ),
            log=True,
            steps=True,
        ),
        lines(
            "Records held",
            "By tier, when the target was last asked after a loop.",
            "short",
            Query(
                f"max by (target, tier) ({select(catalog.MEMORY_RECORDS)})",
                f"{_TARGET} {{{{tier}}}}",
            ),
            steps=True,
        ),
        lines(
            "Bytes stored",
            "What those records take, as the target itself says.",
            "bytes",
            Query(
                f"max by (target, tier) ({select(catalog.MEMORY_BYTES)})",
                f"{_TARGET} {{{{tier}}}}",
            ),
            steps=True,
        ),
    ]
