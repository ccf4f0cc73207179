"""A duel as one JSON document, in the five keys of a result."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from agentmem_observe.analysis.duel import judge_duel
from agentmem_observe.analysis.location import center
from agentmem_observe.bench.duel.doubts import doubts
from agentmem_observe.bench.duel.rounds import A, B
from agentmem_observe.bench.duel.supervisor import Contender, Duel, DuelOptions, Round
from agentmem_observe.results.host import host
from agentmem_observe.targets.credentials import redact
from agentmem_observe.units import format_seconds


def document(
    duel: Duel, contenders: Mapping[str, Contender], options: DuelOptions, now: datetime
) -> dict[str, Any]:
    """Return all that is known of a duel, as JSON values.

    Args:
        duel: Which is over.
        contenders: Who fought.
        options: How.
        now: When it was over.
    """
    judgement = duel.judgement
    low, high = judgement.interval or (None, None)
    return {
        "benchmark": "duel",
        "category": "duel",
        "timestamp": f"{now:%Y%m%d_%H%M%S}",
        "results": {
            "verdict": judgement.verdict,
            "change_ratio": judgement.change_ratio,
            "change_low_ratio": low,
            "change_high_ratio": high,
            "least_change_ratio": judgement.least_change_ratio,
            "threshold_ratio": options.threshold_ratio,
            "rounds": len(duel.rounds),
            "most_rounds": duel.most_rounds,
            "measured_seconds": duel.measured_seconds,
            "operations": {kind: _kind(duel, kind, options) for kind in duel.mix.shares},
        },
        "metadata": {
            "execution_time": duel.seconds,
            "status": "ok",
            "reasons": _reasons(duel, options),
            "warnings": doubts(duel, contenders),
            "params": {
                "mix": dict(duel.mix.weights),
                "records": options.records,
                "rounds": options.rounds,
                "seconds": options.seconds,
                "seed": options.seed,
                "threshold_ratio": options.threshold_ratio,
            },
            "sides": {name.lower(): _side(duel, name, contenders[name]) for name in (A, B)},
            "plan": asdict(duel.plan),
            "rounds": [_round(each) for each in duel.rounds],
            "host": host(),
            "noise": duel.noise.to_dict() if duel.noise else None,
        },
    }


def _reasons(duel: Duel, options: DuelOptions) -> list[str]:
    reasons = list(duel.judgement.reasons)
    if not duel.judgement.final:
        reasons.append(
            f"it ended after {format_seconds(options.seconds)} of measuring; allow more with "
            "--seconds"
        )
    return reasons


def _kind(duel: Duel, kind: str, options: DuelOptions) -> dict[str, Any]:
    figures = [each.figures[kind] for each in duel.rounds if kind in each.figures]
    if not figures:
        return {"count": 0}
    judgement = judge_duel(
        [each.log_ratio for each in figures], duel.most_rounds, options.threshold_ratio
    )
    low, high = judgement.interval or (None, None)
    p95 = [each.p95_log_ratio for each in figures if each.p95_log_ratio is not None]
    return {
        "count": sum(each.operations for each in figures),
        "change_ratio": judgement.change_ratio,
        "change_low_ratio": low,
        "change_high_ratio": high,
        "p95_change_ratio": math.expm1(center(p95)) if p95 else None,
        "p50_seconds": {
            name.lower(): center([each.p50_seconds[name] for each in figures]) for name in (A, B)
        },
    }


def _side(duel: Duel, name: str, contender: Contender) -> dict[str, Any]:
    opened, installation = duel.opened[name], contender.installation
    return {
        "target": redact(contender.spec),
        "name": opened.name,
        "version": opened.version,
        "origin": installation.name_of(opened.origin),
        "commit": installation.commit or None,
        "interpreter": installation.python,
        "python": opened.python,
        "agentmem_observe": opened.observe,
        "paths": [str(path) for path in installation.paths if not installation.commit],
        "variables": sorted(installation.environment),
    }


def _round(each: Round) -> dict[str, Any]:
    return {
        "number": each.number,
        "first": each.first.lower(),
        "cpu": each.cpu,
        "log_ratio": each.log_ratio,
        "log_ratios": {kind: figures.log_ratio for kind, figures in each.figures.items()},
        "seconds": each.seconds,
        "cpu_seconds": each.cpu_seconds,
        "switches": each.switches,
    }
