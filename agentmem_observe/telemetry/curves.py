"""Curves in results: how throughput, service time and recall go with agents and records."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from agentmem_observe.analysis.scaling import usl_throughput
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.catalog import Metric

Points: TypeAlias = dict[tuple[str, ...], float]
"""By the values of a metric's labels behind those of the run."""

_PERCENTILES: Final = ("p50", "p95", "p99")


def curves_of(results: Any) -> dict[Metric, Points]:
    """Return the curves that the results of a run have; most have none.

    Args:
        results: Of a result file, from anybody's benchmark: what has another shape is no curve.

    Examples:
        >>> ten = {"throughput_ops_per_second": 900.0}
        >>> for metric, points in curves_of({"10": ten}).items():
        ...     print(metric.name, points)
        agentmem_scaling_operations_per_second {('10', 'measured'): 900.0}
    """
    curves: dict[Metric, Points] = {
        catalog.SCALING_THROUGHPUT: _throughputs(results),
        catalog.VOLUME_SERVICE_TIME: _service_times(results),
        catalog.VOLUME_RECALL: _recalls(results),
    }
    return {metric: points for metric, points in curves.items() if points}


def at(tree: Any, *path: str) -> Any:
    """Return what is at the end of a path of keys, or None if it ends before."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _throughputs(results: Any) -> Points:
    cases = {**_cases(at(results, "parallel_operations")), **_cases(results)}
    measured = {
        agents: rate
        for agents, case in sorted(cases.items())
        if (rate := _number(at(case, "throughput_ops_per_second"))) is not None
    }
    points: Points = {(f"{agents}", "measured"): rate for agents, rate in measured.items()}
    if 1 in measured:
        points |= {(f"{agents}", "ideal"): agents * measured[1] for agents in measured}
    alone, contention, coherence = (
        _number(at(results, "scaling_law", name, "value"))
        for name in ("throughput_alone_ops_per_second", "contention_ratio", "coherence_ratio")
    )
    if alone is not None and contention is not None and coherence is not None:
        for agents in measured:
            points[f"{agents}", "law"] = usl_throughput(agents, alone, contention, coherence)
    return points


def _service_times(results: Any) -> Points:
    points: Points = {}
    for records, case in _cases(results).items():
        # With agents for cases it is the same shape, and another question.
        operations = at(case, "operations") if at(case, "filled_count") is not None else None
        if isinstance(operations, Mapping):
            for operation, figures in operations.items():
                for name in _PERCENTILES:
                    seconds = _number(at(figures, f"service_time_{name}_seconds"))
                    if seconds is not None:
                        points[f"{records}", operation, name] = seconds
    return points


def _recalls(results: Any) -> Points:
    points: Points = {}
    for records, case in _cases(results).items():
        if (recall := _number(at(case, "recall_at_10_ratio"))) is not None:
            points[f"{records}", "10"] = recall
    for records, case in _cases(results, "volume_").items():
        for k, figures in _cases(case, "k_").items():
            if (recall := _number(at(figures, "recall_at_k_ratio"))) is not None:
                points[f"{records}", f"{k}"] = recall
    return points


def _cases(tree: Any, prefix: str = "") -> dict[int, Any]:
    """Return what stands under numbers, such as ``"10"``, or ``"volume_10"`` with a prefix."""
    if not isinstance(tree, Mapping):
        return {}
    return {
        int(name.removeprefix(prefix)): case
        for name, case in tree.items()
        if name.startswith(prefix) and name.removeprefix(prefix).isdecimal()
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
