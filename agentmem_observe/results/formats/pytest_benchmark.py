"""The current side's times as pytest-benchmark saves them, for ``pytest-benchmark compare``.

It knows times alone, less is better, in seconds: other figures are left out.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentmem_observe.results.comparison import Comparison
from agentmem_observe.results.formats.exported import Exported, exported

_VERSION: Final = "5.1.0"  # of pytest-benchmark, whose form this is
_SECONDS: Final = {"seconds": 1.0, "milliseconds": 1e-3, "nanoseconds": 1e-9}


def render(comparison: Comparison) -> str:
    """Return a saved run: a benchmark for each figure that is a time, a value for each round."""
    times = [
        one
        for one in exported(comparison)
        if one.figure.unit in _SECONDS and one.figure.better == "lower"
    ]
    rounds = [one for rounds in comparison.current.rounds.values() for one in rounds]
    newest = max(rounds, key=lambda one: one.timestamp).metadata if rounds else {}
    document = {
        "machine_info": _machine(newest.get("host") or {}),
        "commit_info": _commit(newest.get("vcs") or {}),
        "benchmarks": [_benchmark(one) for one in times],
        "datetime": newest.get("ended_at") or "",
        "version": _VERSION,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _benchmark(one: Exported) -> dict[str, Any]:
    unit = _SECONDS[one.figure.unit]
    return {
        "group": one.label,
        "name": one.path,
        "fullname": f"{one.label}::{one.path}",
        "params": None,
        "param": None,
        "extra_info": {"target": one.identity.target, "params": json.loads(one.identity.params)},
        "options": {
            "disable_gc": False,
            "timer": "perf_counter_ns",
            "min_rounds": 1,
            "max_time": 1.0,
            "min_time": 0.0,
            "warmup": False,
        },
        "stats": _statistics([value * unit for value in one.values]),
    }


def _statistics(values: Sequence[float]) -> dict[str, Any]:
    """Return what pytest-benchmark says of its rounds; here a value is a whole run's figure."""
    ordered = sorted(values)
    mean = statistics.fmean(ordered)
    deviation = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    q1, median, q3 = (
        statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    )
    iqr = q3 - q1
    inside = [value for value in ordered if q1 - 1.5 * iqr <= value <= q3 + 1.5 * iqr]
    beyond = sum(abs(value - mean) > deviation for value in ordered)
    outside = len(ordered) - len(inside)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(ordered),
        "median": median,
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outside,
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{outside}",
        "ld15iqr": inside[0],
        "hd15iqr": inside[-1],
        "ops": 1 / mean if mean else 0.0,
        "total": sum(ordered),
        "data": list(values),
        "iterations": 1,
    }


def _machine(host: Mapping[str, Any]) -> dict[str, Any]:
    python = host.get("python")
    known = python if isinstance(python, Mapping) else {}
    system, _, release = str(host.get("kernel") or "").partition(" ")
    return {
        "node": host.get("hostname") or "",
        "processor": "",
        "machine": host.get("machine") or "",
        "python_implementation": known.get("implementation") or "",
        "python_version": known.get("version") or "",
        "python_build": [known.get("build") or ""],
        "python_compiler": known.get("compiler") or "",
        "system": system,
        "release": release,
        "cpu": {"brand_raw": host.get("cpu_model") or "", "count": host.get("cores")},
    }


def _commit(vcs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": vcs.get("commit") or "unversioned",
        "time": None,
        "author_time": None,
        "dirty": bool(vcs.get("dirty")),
        "project": "",
        "branch": vcs.get("branch") or "(unknown)",
    }
