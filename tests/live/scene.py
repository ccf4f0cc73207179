"""A daemon with something of everything: soaks, benchmarks, a leak, a regression, failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentmem_observe.daemon.state.directory import State
from tests.daemons import Daemon, Daemons, job_table
from tests.nights import remember

SUITE = Path(__file__).parent / "suite"

_NIGHTS = 34
_SLOW_NIGHTS = 4

_NOBODY_LISTENS = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_METRIC_EXPORT_INTERVAL": "5000",  # milliseconds
}

_NIGHTLY: dict[str, Any] = {"suites": [str(SUITE)], "once": True, "target": "fake"}
_SOAKS: dict[str, dict[str, Any]] = {
    "steady": {"target": "embedded", "rate": 50, "window": "2s"},
    "leaking": {
        "target": "fake?leaks_one_in=1&returns_nothing_one_in=50",
        "rate": 100,
        "window": "1s",
        "leak_windows": 10,
    },
    "away": {"target": "redis://127.0.0.1:1/0"},
}
_BENCHMARKS: dict[str, dict[str, Any]] = {
    "agents": {
        "category": "scalability",
        "benchmark": "agent_scaling",
        "params": {"agent_counts": [1, 2, 4, 8], "least_operations": 1000},
    },
    "volumes": {
        "category": "scalability",
        "benchmark": "memory_size_scaling",
        "params": {
            "memory_sizes": [100, 1000],
            "stores_per_volume": 20,
            "lookups_per_volume": 100,
        },
    },
    "load": {
        "category": "scalability",
        "benchmark": "resource_utilization",
        "params": {"duration_seconds": 5, "operation_rate": 50},
    },
}


@contextmanager
def playing(directory: Path) -> Iterator[Daemon]:
    """Yield a daemon in which everything happens that its metrics can tell, or soon will.

    Its job ``nightly`` has a past in which it became half as slow again four nights ago.

    Args:
        directory: Of its own.
    """
    daemons = Daemons(directory, _NOBODY_LISTENS)
    try:
        daemon = daemons(job_table("nightly", _NIGHTLY))
        daemon.start()
        daemon.until("the first run of nightly", lambda: daemon.runs("nightly"))
        daemon.stop()
        with State.open(daemon.state) as state:
            remember(
                state,
                "nightly",
                _NIGHTS,
                factor=lambda night: 1.5 if night <= _SLOW_NIGHTS else 1.0,
                validity={"verdict": "valid", "reasons": []},
            )
        jobs = {"nightly": _NIGHTLY}
        jobs |= {name: {"soak": True, **values} for name, values in _SOAKS.items()}
        jobs |= {name: {**values, "every": "40s"} for name, values in _BENCHMARKS.items()}
        for name in ("nightly", *_BENCHMARKS):
            jobs[name]["beside_others"] = True
        daemon.configure("\n".join(job_table(name, values) for name, values in jobs.items()))
        yield daemon.start()
    finally:
        daemons.end()
