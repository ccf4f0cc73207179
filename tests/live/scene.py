"""A daemon with something of everything: soaks, benchmarks, a leak, a regression, failures."""

import copy
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import JOB, run_of_result
from tests.daemons import Daemon, Daemons, job_table

SUITE = Path(__file__).parent / "suite"

_DAY_SECONDS = 86_400
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
        _make_up_a_past(daemon.state)
        jobs = {"nightly": _NIGHTLY}
        jobs |= {name: {"soak": True, **values} for name, values in _SOAKS.items()}
        jobs |= {name: {**values, "every": "40s"} for name, values in _BENCHMARKS.items()}
        for name in ("nightly", *_BENCHMARKS):
            jobs[name]["beside_others"] = True
        daemon.configure("\n".join(job_table(name, values) for name, values in jobs.items()))
        yield daemon.start()
    finally:
        daemons.end()


def _make_up_a_past(directory: Path) -> None:
    """Keep the only run once more for each night before, give or take 2 %."""
    noise = random.Random(1)
    with State.open(directory) as state:
        (row,) = state.runs("nightly")
        result = state.result(row)
        assert result is not None
        for night in range(_NIGHTS, 0, -1):
            at = row.ended_at - _DAY_SECONDS * night
            slow = 1.5 if night <= _SLOW_NIGHTS else 1.0
            again = copy.deepcopy(result)
            again["results"]["service_time_p50_seconds"] *= noise.gauss(1, 0.02) * slow
            again["timestamp"] = time.strftime("%Y%m%d_%H%M%S", time.localtime(at))
            again["metadata"] |= {
                "ended_at": datetime.fromtimestamp(at, UTC).isoformat(),
                "vcs": {"commit": "a" * 40},
                "validity": {"verdict": "valid", "reasons": []},
                JOB: "nightly",
            }
            kept = run_of_result(again, state.results("nightly").save_document(again))
            assert kept is not None
            state.save_run(replace(kept, target=row.target))
