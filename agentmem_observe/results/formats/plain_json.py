"""A comparison as JSON: everything there is to say, for programs."""

import json
from collections.abc import Iterable
from typing import Any

from agentmem_observe.results.comparison import Alone, Change, Comparison
from agentmem_observe.results.formats.wording import closing, warnings
from agentmem_observe.results.identity import RunIdentity
from agentmem_observe.results.sides import Side

# 1  as docs/comparing.md has it.
FORMAT = 1


def render(comparison: Comparison) -> str:
    """Return it as one JSON object."""
    return json.dumps(_document(comparison), indent=2, allow_nan=False) + "\n"


def _document(comparison: Comparison) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "exit_code": comparison.exit_code,
        "summary": closing(comparison),
        "threshold_ratio": comparison.criteria.threshold,
        "forced": comparison.criteria.force,
        "verdicts": comparison.counts,
        "errors": comparison.errors,
        "warnings": warnings(comparison),
        "changes": [_change(change) for change in comparison.changes],
        "missing": [_alone(one) for one in comparison.missing],
        "new": [_alone(one) for one in comparison.new],
        "missing_figures": _figures(comparison.missing_figures),
        "new_figures": _figures(comparison.new_figures),
        "unknown_figures": dict(comparison.unknown),
        "not_judged_total": comparison.described,
        "differences": [
            _names(identity) | {"differences": found}
            for identity, found in comparison.differences.items()
        ],
        "baseline": _side(comparison.baseline),
        "current": _side(comparison.current),
    }


def _names(identity: RunIdentity) -> dict[str, Any]:
    return identity._asdict() | {"params": json.loads(identity.params)}


def _change(change: Change) -> dict[str, Any]:
    judgement = change.judgement
    there, here = change.middles
    return _names(change.identity) | {
        "metric": change.path,
        "verdict": change.verdict,
        "change_ratio": judgement.change_ratio,
        "interval_ratio": judgement.interval,
        "p_value": judgement.p,
        "adjusted_p_value": judgement.adjusted_p,
        "least_change_ratio": judgement.least_change_ratio,
        "rounds_needed": judgement.rounds_needed,
        "weak": judgement.weak,
        "reasons": judgement.reasons,
        "threshold_ratio": change.threshold,
        "unit": change.figure.unit,
        "better": change.figure.better,
        "baseline": {"median": there, "values": list(change.baseline)},
        "current": {"median": here, "values": list(change.current)},
    }


def _alone(one: Alone) -> dict[str, Any]:
    return _names(one.identity) | {"reason": one.reason, "failed": one.failed}


def _figures(alone: Iterable[tuple[RunIdentity, str]]) -> list[dict[str, Any]]:
    return [_names(identity) | {"metric": path} for identity, path in alone]


def _side(side: Side) -> dict[str, Any]:
    return {
        "directory": side.name,
        "results_total": sum(map(len, side.rounds.values())),
        "left_out": [
            {"path": one.path, "cause": one.cause, "reason": one.reason} for one in side.left_out
        ],
    }
