"""Fleet: many instances and targets on one page."""

from agentmem_observe.dashboards import verdicts
from agentmem_observe.dashboards.board import Board, Row
from agentmem_observe.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    Column,
    Placed,
    Query,
    State,
    lines,
    link,
    table,
    timeline,
)
from agentmem_observe.dashboards.queries import quantile, select, up
from agentmem_observe.telemetry import catalog

_ONE_IS_GOOD = ((None, RED), (1, GREEN))
_NONE_IS_GOOD = ((None, GREEN), (1, RED))


def fleet() -> Board:
    """Return the dashboard of all daemons and all memories."""
    return Board(
        uid="agentmem-fleet",
        title="Agent memory / Fleet",
        description="Every instance and every target, side by side.",
        rows=[
            Row("Instances", [_instances(), _up()]),
            Row("Targets", [_targets(), *_compared()]),
        ],
    )


def _instances() -> Placed:
    def each(metric: catalog.Metric) -> Query:
        return Query(f"max by (job, instance) ({select(metric)})")

    return table(
        "Instances",
        "Daemons, and runs that serve their metrics.",
        [
            Column("job", "Job"),
            Column(
                "instance",
                "Instance",
                link=link("exporter", "Instance"),
            ),
            Column("Value #A", "Up", "short", _ONE_IS_GOOD),
            Column("Value #B", "State writable", "short", _ONE_IS_GOOD),
            Column("Value #C", "Failing jobs", "short", _NONE_IS_GOOD),
            Column("Value #D", "Series", "short"),
            Column("Value #E", "RSS", "bytes"),
            Column("Value #F", "Memory left", "bytes"),
        ],
        Query(f"max by (job, instance) ({up()})"),
        each(catalog.STATE_WRITABLE),
        Query(
            f"count by (job, instance) ({verdicts.FAILING}) or "
            f"0 * max by (job, instance) ({select(catalog.STATE_WRITABLE)})"
        ),
        each(catalog.EXPORTER_SERIES),
        each(catalog.EXPORTER_RSS),
        each(catalog.HOST_AVAILABLE),
    )


def _up() -> Placed:
    return timeline(
        "Up",
        "Whether Prometheus could scrape each instance.",
        {1: State("up", GREEN), 0: State("down", RED)},
        Query(up(), "{{job}} {{instance}}"),
    )


def _targets() -> Placed:
    by = "target, instance"
    return table(
        "Targets",
        "The latency and throughput that each memory has now, and what is thought of it.",
        [
            Column("target", "Target", link=link("benchmark", "Target")),
            Column("instance", "Instance"),
            Column("Value #A", "Operations a second", "ops"),
            Column("Value #B", "p50", "s"),
            Column("Value #C", "p99", "s"),
            Column("Value #D", "Regressions", "short", _NONE_IS_GOOD),
            Column("Value #E", "Leaks", "short", _NONE_IS_GOOD),
            Column("Value #F", "Void", "short", ((None, GREEN), (1, YELLOW))),
        ],
        Query(f"sum by ({by}) (rate({select(catalog.OPERATIONS, outcome='ok')}[5m]))"),
        *(
            Query(
                quantile(share, catalog.OPERATION_LATENCY, by=("target", "instance"), outcome="ok")
            )
            for share in (0.5, 0.99)
        ),
        *(
            Query(f"sum by ({by}) ({select(metric, verdict=verdict)})")
            for metric, verdict in (
                (catalog.REGRESSION, "worse"),
                (catalog.LEAK, "leak"),
                (catalog.VALIDITY, "void"),
            )
        ),
    )


def _compared() -> list[Placed]:
    by = ("target", "instance")
    return [
        lines(
            "Latency p50 by target",
            "What half of all users waited less than.",
            "s",
            Query(
                quantile(0.5, catalog.OPERATION_LATENCY, by=by, outcome="ok"),
                "{{target}} {{instance}}",
            ),
            log=True,
        ),
        lines(
            "Latency p99 by target",
            "What 99 of 100 users waited less than.",
            "s",
            Query(
                quantile(0.99, catalog.OPERATION_LATENCY, by=by, outcome="ok"),
                "{{target}} {{instance}}",
            ),
            log=True,
        ),
    ]
