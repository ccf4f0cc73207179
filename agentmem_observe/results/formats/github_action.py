"""The current side's figures for github-action-benchmark, which takes one direction a file."""

import json
import statistics
from typing import Any

from agentmem_observe.results.comparison import Comparison
from agentmem_observe.results.figures import Better
from agentmem_observe.results.formats.exported import Exported, exported

_UNITS = {
    "seconds": "s",
    "milliseconds": "ms",
    "nanoseconds": "ns",
    "per_second": "1/s",
    "mebibytes": "MiB",
    "percent": "%",
}


def render_smaller(comparison: Comparison) -> str:
    """Return what ``customSmallerIsBetter`` takes."""
    return _render(comparison, "lower")


def render_bigger(comparison: Comparison) -> str:
    """Return what ``customBiggerIsBetter`` takes."""
    return _render(comparison, "higher")


def _render(comparison: Comparison, better: Better) -> str:
    found = [_entry(one) for one in exported(comparison) if one.figure.better == better]
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _entry(one: Exported) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{one.label} {one.path}",
        "unit": _UNITS.get(one.figure.unit, one.figure.unit),
        "value": statistics.median(one.values),
        "extra": f"median of rounds: {len(one.values)}",
    }
    if len(one.values) > 1:
        entry["range"] = f"{statistics.stdev(one.values):.6g}"
    return entry
