"""What cases of different size say together: laws, shares and bottlenecks, as keys of a result."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agentmem_observe.analysis import scaling
from agentmem_observe.analysis.bottleneck import find_bottleneck
from agentmem_observe.analysis.growth import log_log_slope
from agentmem_observe.analysis.scaling import Estimate, Refusal
from agentmem_observe.suite.scalability.traces import Traces


def scaling_laws(
    throughputs: Mapping[int, float], service_seconds: Mapping[int, float]
) -> dict[str, Any]:
    """Return how throughput follows the number of agents.

    Args:
        throughputs: Operations per second by number of agents, one of them 1.
        service_seconds: Mean service time by number of agents.

    Returns:
        ``scaling_law`` and ``serial_share``; each has its figures with intervals, or a ``reason``
        why there are none.
    """
    agents, rates = list(throughputs), list(throughputs.values())
    fit = scaling.fit_usl(agents, rates)
    law: dict[str, Any] = asdict(fit)
    if not isinstance(fit, Refusal):
        law = {
            "throughput_alone_ops_per_second": _interval(fit.rate),
            "contention_ratio": _interval(fit.contention),
            "coherence_ratio": _interval(fit.coherence),
            "peak_agents_count": _interval(fit.peak_agents),
            "peak_throughput_ops_per_second": _interval(fit.peak_throughput),
            "misfit_ratio": fit.misfit_ratio,
        }
    return {"scaling_law": law, "serial_share": _serial_share(agents, rates, service_seconds)}


def bottlenecks(
    traces: Mapping[int, tuple[Traces, int]],
    throughputs: Mapping[int, float],
    service_seconds: Mapping[int, float],
) -> dict[int, dict[str, Any]]:
    """Name what limits each number of agents.

    Args:
        traces: What was seen and how many operations there were, by number of agents.
        throughputs: Operations per second, one of one agent.
        service_seconds: Mean service times.
    """
    share = _serial_share(list(throughputs), list(throughputs.values()), service_seconds)
    return {
        agents: asdict(
            find_bottleneck(
                seen.evidence(
                    agents,
                    operations,
                    throughput=throughputs[agents],
                    throughput_alone=throughputs[1],
                    service_seconds=service_seconds[agents],
                    service_alone_seconds=service_seconds[1],
                    serial_share_ratio=share.get("ratio"),
                )
            )
        )
        for agents, (seen, operations) in traces.items()
    }


def degradation(volumes: Sequence[int], seconds: Sequence[float | None]) -> dict[str, Any]:
    """Return how a duration grows with the volume of records.

    Args:
        volumes: Records held.
        seconds: A median duration at each; volumes without one are left out.
    """
    known = [(v, s) for v, s in zip(volumes, seconds, strict=True) if s]
    slope = log_log_slope([v for v, _ in known], [s for _, s in known])
    if isinstance(slope, Refusal):
        return asdict(slope)
    return {
        "slope_exponent": _interval(slope.exponent),
        "confidence_ratio": slope.confidence_ratio,
        "growth": slope.growth,
    }


def _serial_share(
    agents: Sequence[int], rates: Sequence[float], service_seconds: Mapping[int, float]
) -> dict[str, Any]:
    if not service_seconds.get(1):
        return asdict(Refusal("no operation succeeded with one agent; see the errors of that run"))
    return asdict(scaling.serial_share(agents, rates, service_seconds[1]))


def _interval(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else asdict(estimate)
