"""Health of the exporter and the daemon themselves."""

from agentmem_observe.dashboards.board import Board, Row
from agentmem_observe.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    Placed,
    Query,
    State,
    lines,
    stat,
)
from agentmem_observe.dashboards.queries import rate, select, select_all, up
from agentmem_observe.telemetry import catalog

_INSTANCE = ("instance",)
_GOOD = {1: State("good", GREEN), 0: State("bad", RED)}
_ONE_IS_GOOD = ((None, RED), (1, GREEN))
_NONE_IS_GOOD = ((None, GREEN), (1, YELLOW))


def exporter() -> Board:
    """Return the dashboard of who watches."""
    return Board(
        uid="agentmem-exporter",
        title="Agent memory / Exporter and daemon",
        description="Is what measures in order, and what does it cost?",
        rows=[
            Row("In order?", _order()),
            Row("What it takes", _takes()),
            Row("Jobs", _jobs()),
            Row("Endpoint and exports", _exports()),
        ],
        of_runs=False,
    )


def _order() -> list[Placed]:
    return [
        stat(
            "Up",
            "Whether Prometheus can scrape it.",
            "short",
            Query(f"min({up()})"),
            states={1: State("up", GREEN), 0: State("down", RED)},
            steps=_ONE_IS_GOOD,
        ),
        stat(
            "Settings",
            "Whether they were good when they were last read; else older ones are in force.",
            "short",
            Query(f"min({select(catalog.SETTINGS_LOADED)})"),
            states=_GOOD,
            steps=_ONE_IS_GOOD,
        ),
        stat(
            "State directory",
            "Whether it takes what is written.",
            "short",
            Query(f"min({select(catalog.STATE_WRITABLE)})"),
            states=_GOOD,
            steps=_ONE_IS_GOOD,
        ),
        stat(
            "Running since",
            "When the daemon started.",
            "dateTimeFromNow",
            Query(f"min({select(catalog.DAEMON_STARTED)}) * 1000"),
        ),
        stat(
            "Refused samples",
            "Of series that would have been one too many, in the time shown.",
            "short",
            Query(f"sum(increase({select(catalog.EXPORTER_REFUSED)}[$__range])) or vector(0)"),
            steps=_NONE_IS_GOOD,
            decimals=0,
        ),
        stat(
            "Lost writes",
            "What no longer fitted into memory while the state directory took nothing.",
            "short",
            Query(f"sum({select(catalog.STATE_LOST)}) or vector(0)"),
            steps=_NONE_IS_GOOD,
        ),
    ]


def _takes() -> list[Placed]:
    return [
        lines(
            "CPU",
            "Cores: supervising, sampling and exporting, and what scrapes take of it.",
            "percentunit",
            Query(rate(catalog.EXPORTER_CPU, by=_INSTANCE), "{{instance}}"),
            Query(rate(catalog.EXPORTER_SCRAPE_CPU, by=_INSTANCE), "{{instance}} scrapes"),
        ),
        lines(
            "RSS",
            "Of the process that exports; workers are apart.",
            "bytes",
            Query(select(catalog.EXPORTER_RSS), "{{instance}}"),
        ),
        lines(
            "Series",
            "That are exported now.",
            "short",
            Query(select(catalog.EXPORTER_SERIES), "{{instance}}"),
        ),
        lines(
            "State directory",
            "Its size, and what waits in memory until it takes what is written.",
            "bytes",
            Query(select(catalog.STATE_BYTES), "{{instance}}"),
        ),
    ]


def _jobs() -> list[Placed]:
    return [
        lines(
            "Runs by how they ended",
            "Within the last hour, at each moment.",
            "short",
            Query(
                f"sum by (job_name, status) (increase({select(catalog.JOB_RUNS)}[1h]))",
                "{{job_name}} {{status}}",
            ),
        ),
        lines(
            "Failures and skipped runs",
            "Within the last hour, at each moment, with their causes.",
            "short",
            Query(
                f"sum by (job_name, cause) (increase({select(catalog.JOB_FAILURES)}[1h]))",
                "{{job_name}} {{cause}}",
            ),
            Query(
                f"sum by (job_name, reason) (increase({select(catalog.JOB_SKIPPED)}[1h]))",
                "{{job_name}} skipped: {{reason}}",
            ),
        ),
        lines(
            "Probes that fail",
            "How many do not see what they should.",
            "short",
            Query(
                f"sum by (probe) (1 - {select_all(catalog.PROBE_SUCCESS)})",
                "{{probe}}",
            ),
        ),
        lines(
            "What waits to be written",
            "Kept in memory until the state directory takes it.",
            "short",
            Query(select(catalog.STATE_PENDING), "{{instance}}"),
        ),
    ]


def _exports() -> list[Placed]:
    return [
        lines(
            "Requests",
            "A second, by answer.",
            "reqps",
            Query(rate(catalog.HTTP_REQUESTS, by=("handler", "code")), "{{handler}} {{code}}"),
        ),
        lines(
            "Refused at the door",
            "A second: wrong credentials, and connections beyond a limit.",
            "reqps",
            Query(
                rate(catalog.HTTP_AUTHENTICATION_FAILURES, by=_INSTANCE),
                "{{instance}} credentials",
            ),
            Query(rate(catalog.HTTP_CUT_CONNECTIONS, by=("limit",)), "{{limit}}"),
        ),
        lines(
            "Exports",
            "Spans, and pages of metrics, by what became of them.",
            "ops",
            Query(
                rate(catalog.EXPORTER_ITEMS, by=("exporter", "result")), "{{exporter}} {{result}}"
            ),
        ),
        lines(
            "Scrapes",
            "Answered, a second.",
            "reqps",
            Query(rate(catalog.EXPORTER_SCRAPES, by=_INSTANCE), "{{instance}}"),
        ),
    ]
