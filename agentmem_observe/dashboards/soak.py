"""Soaks and resources: does it leak, has it become slower, what does it take."""

from agentmem_observe.dashboards import verdicts
from agentmem_observe.dashboards.board import Board, Row
from agentmem_observe.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    Placed,
    Query,
    lines,
    stat,
    timeline,
)
from agentmem_observe.dashboards.queries import INSTANCE_RUN, quantile, rate, select
from agentmem_observe.telemetry import catalog

_NAME = "{{target}} {{benchmark}}"
_DAY = 86_400


def soak() -> Board:
    """Return the dashboard of what lasts."""
    return Board(
        uid="agentmem-soak",
        title="Agent memory / Soak and resources",
        description="Does it leak, has it become slower, and what does it take to keep it going?",
        rows=[
            Row("Verdicts", _verdicts()),
            Row("Memory", _memory()),
            Row("Speed over days", _speed()),
            Row("CPU, disk, network", _resources()),
            Row("Python", _python()),
        ],
        since="now-24h",
    )


def leaked_per_second() -> str:
    """Return how many bytes a second each run loses: per operation, times operations."""
    kept = ", ".join(INSTANCE_RUN)
    operations = f"sum by ({kept}) (rate({select(catalog.OPERATIONS, outcome='ok')}[1h]))"
    return f"max by ({kept}) ({select(catalog.LEAK_BYTES)}) * {operations}"


def _verdicts() -> list[Placed]:
    return [
        stat(
            "Leak",
            "The worst verdict: a memory that leaks keeps something of every operation, for ever.",
            "short",
            Query(f"max({verdicts.code_of(catalog.LEAK)})"),
            states=verdicts.states_of(catalog.LEAK),
            steps=((None, GREEN), (1, YELLOW), (2, RED)),
        ),
        stat(
            "Leaked per operation",
            "Bytes that each operation leaves behind, by the surest detector that could say.",
            "bytes",
            Query(f"max({select(catalog.LEAK_BYTES)})"),
            steps=((None, GREEN), (1, RED)),
        ),
        stat(
            "Until memory is used up",
            "What the host, or its control group, has left, over what leaks a second now.",
            "s",
            Query(
                f"min({select(catalog.HOST_AVAILABLE)} / on (job, instance) group_right () "
                f"({leaked_per_second()} > 0))"
            ),
            steps=((None, RED), (7 * _DAY, YELLOW), (30 * _DAY, GREEN)),
            none="nothing leaks",
        ),
        stat(
            "Drift",
            "Service time now over what it was when the soak began, by the trend of its windows.",
            "percentunit",
            Query(f"max({select(catalog.DRIFT_RATIO)})"),
            steps=((None, GREEN), (1.1, YELLOW), (1.3, RED)),
        ),
        stat(
            "Windows",
            "Windows of soaks in the time shown.",
            "short",
            Query(f"sum(increase({select(catalog.SOAK_WINDOWS)}[$__range]))"),
            decimals=0,
        ),
        stat(
            "Windows that are void",
            "Share of them whose numbers cannot be trusted.",
            "percentunit",
            Query(
                f"sum(increase({select(catalog.SOAK_WINDOWS, verdict='void')}[$__range]) or "
                f"0 * increase({select(catalog.SOAK_WINDOWS)}[$__range])) / "
                f"sum(increase({select(catalog.SOAK_WINDOWS)}[$__range]))"
            ),
            steps=((None, GREEN), (0.05, YELLOW), (0.2, RED)),
            decimals=1,
        ),
        timeline(
            "Does it leak?",
            "By what is counted after each window where the memory is in the worker's process, by "
            "the floor of the server's RSS elsewhere.",
            verdicts.states_of(catalog.LEAK),
            Query(verdicts.code_of(catalog.LEAK), _NAME),
            width=12,
        ),
        timeline(
            "Has it drifted?",
            "Whether the service time has changed for good.",
            verdicts.states_of(catalog.DRIFT),
            Query(verdicts.code_of(catalog.DRIFT), _NAME),
            width=12,
        ),
    ]


def _memory() -> list[Placed]:
    return [
        lines(
            "RSS and USS of workers",
            "RSS while it runs; USS, what would be freed if the process ended, is read at the end "
            "of a run.",
            "bytes",
            Query(select(catalog.PROCESS_RSS), f"{_NAME} RSS"),
            Query(select(catalog.PROCESS_USS), f"{_NAME} USS"),
            least=None,
        ),
        lines(
            "Slope of RSS",
            "How much the RSS grew in the hour before each moment, by a straight line through it. "
            "A filling cache grows too: the verdict above knows the difference.",
            "Bps",
            Query(f"deriv({select(catalog.PROCESS_RSS)}[1h])", _NAME),
            least=None,
        ),
        lines(
            "Stored bytes",
            "What the records take, as the target says: growth that is the data's is no leak.",
            "bytes",
            Query(
                f"max by (target, tier) ({select(catalog.MEMORY_BYTES)})", "{{target}} {{tier}}"
            ),
            steps=True,
        ),
        lines(
            "Memory that the host has left",
            "Before it swaps, or its control group is full.",
            "bytes",
            Query(select(catalog.HOST_AVAILABLE), "{{instance}}"),
        ),
    ]


def _speed() -> list[Placed]:
    of_soaks = 'category="soak"'
    return [
        lines(
            "Service time p50 of soaks",
            "What the target takes; drift is judged by it.",
            "s",
            Query(
                quantile(
                    0.5,
                    catalog.OPERATION_SERVICE_TIME,
                    of_soaks,
                    by=("target", "benchmark", "operation"),
                    outcome="ok",
                ),
                f"{_NAME} {{{{operation}}}}",
            ),
            log=True,
        ),
        lines(
            "Drift",
            "Service time now over what it was: 1.1 is a tenth slower.",
            "percentunit",
            Query(select(catalog.DRIFT_RATIO), _NAME),
            least=None,
            steps=True,
        ),
    ]


def _resources() -> list[Placed]:
    by = ("target", "benchmark")
    return [
        lines(
            "CPU",
            "Cores that workers use.",
            "short",
            Query(rate(catalog.PROCESS_CPU, by=by), _NAME),
        ),
        lines(
            "Waiting for a CPU",
            "Seconds a second that the workers' threads were ready but had no CPU.",
            "short",
            Query(rate(catalog.PROCESS_RUN_QUEUE_WAIT, by=by), _NAME),
        ),
        lines(
            "Disk",
            "Bytes a second that workers moved from and to block devices.",
            "Bps",
            Query(rate(catalog.PROCESS_DISK, by=(*by, "direction")), f"{_NAME} {{{{direction}}}}"),
        ),
        lines(
            "Network",
            "Bytes a second through the interfaces of the workers' network namespace, the whole "
            "host's by default.",
            "Bps",
            Query(
                rate(catalog.PROCESS_NETWORK, by=(*by, "direction")), f"{_NAME} {{{{direction}}}}"
            ),
        ),
        lines(
            "Open files and threads",
            "Of workers.",
            "short",
            Query(select(catalog.PROCESS_FDS), f"{_NAME} files"),
            Query(select(catalog.PROCESS_THREADS), f"{_NAME} threads"),
        ),
        lines(
            "Page faults and context switches",
            "A second; major faults read from disk, involuntary switches took a CPU away.",
            "ops",
            Query(
                rate(catalog.PROCESS_FAULTS, by=("target", "type")), "{{target}} {{type}} faults"
            ),
            Query(
                rate(catalog.PROCESS_SWITCHES, by=("target", "type")),
                "{{target}} {{type}} switches",
            ),
        ),
    ]


def _python() -> list[Placed]:
    return [
        lines(
            "Garbage collection",
            "Share of the time for which it held benchmarks up; told when a run ends.",
            "percentunit",
            Query(rate(catalog.PROCESS_GC, by=("target", "benchmark")), _NAME),
        ),
        lines(
            "Collections",
            "A second; told when a run ends.",
            "ops",
            Query(rate(catalog.PROCESS_GC_COLLECTIONS, by=("target", "benchmark")), _NAME),
        ),
    ]
