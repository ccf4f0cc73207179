"""The current side's figures in Bencher's metric format, for ``bencher run --adapter json``."""

import json
import statistics
from typing import Any

from agentmem_observe.results.comparison import Comparison
from agentmem_observe.results.formats.exported import exported

_LONGEST_BENCHMARK = 1024
_LONGEST_MEASURE = 64


def render(comparison: Comparison) -> str:
    """Return one JSON object: benchmark, measure, and its median with the extremes of its rounds.

    A benchmark is one of ours and where in its results the figure stands; a measure is the
    figure's name, with its unit.
    """
    found: dict[str, dict[str, Any]] = {}
    for figure in exported(comparison):
        *above, name = figure.path.rsplit(".", 1)
        benchmark = " ".join([figure.label, *above])[:_LONGEST_BENCHMARK]
        metric: dict[str, float] = {"value": statistics.median(figure.values)}
        if len(figure.values) > 1:
            metric |= {"lower_value": min(figure.values), "upper_value": max(figure.values)}
        found.setdefault(benchmark, {})[name[:_LONGEST_MEASURE]] = metric
    return json.dumps(found, indent=2, allow_nan=False) + "\n"
