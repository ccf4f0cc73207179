"""Real duels on this machine whose truth is known: between equals, and with known slow-downs."""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.duel.installation import Installation
from agentmem_observe.bench.duel.rounds import A, B
from agentmem_observe.bench.duel.script import Mix
from agentmem_observe.bench.duel.supervisor import Contender, Duel, DuelOptions, Listener, fight
from agentmem_observe.suite.self import calibrated

_FACTORIES = {
    "even": "plain",
    "slower_by_1_5_percent": "slower_by_1_5_percent",
    "slower_by_3_percent": "slower_by_3_percent",
}
"""Each case, and who is against a plain one in it."""

_EVEN = "even"
_RECORDS = 10
_CPU_TRIALS = 2_000


def duelling(bench: Bench, duels: int, duel_rounds: int, duel_seconds: float) -> dict[str, Any]:
    """Fight so many duels of each case, one case after the other and all again.

    Args:
        bench: Gives the seed, and shows progress.
        duels: Of each case, >= 1.
        duel_rounds: Of each duel at the most.
        duel_seconds: Of measuring in each duel at the most.
    """
    bench.expect(duels * len(_FACTORIES))
    fought: dict[str, list[Duel]] = {case: [] for case in _FACTORIES}
    for number in range(duels):
        for place, case in enumerate(_FACTORIES):
            seed = (bench.seed * duels + number) * len(_FACTORIES) + place
            options = DuelOptions(
                mix=Mix({"search_memory": 1.0}),
                records=_RECORDS,
                rounds=duel_rounds,
                seconds=duel_seconds,
                seed=seed,
            )
            fought[case].append(fight(_contenders(case), options, Listener()))
            bench.phase(_so_far(fought))
            bench.advance(1)
    return {case: figures(case, of_case) for case, of_case in fought.items()} | {
        "true_change_ratio": {case: _units_ratio(case) for case in _FACTORIES},
        "cpu_change_ratio": _cpu_ratios(),
    }


def figures(case: str, fought: Sequence[Duel]) -> dict[str, Any]:
    """Return how the duels of one case ended.

    Args:
        case: Its name; what is right depends on it.
        fought: At least one.
    """
    verdicts: Counter[str] = Counter(duel.judgement.verdict for duel in fought)
    right = ("same", "inconclusive") if case == _EVEN else ("worse",)
    good = sum(verdicts[verdict] for verdict in right)
    told = {
        "false_verdict_ratio" if case == _EVEN else "found_ratio": (
            1 - good / len(fought) if case == _EVEN else good / len(fought)
        )
    }
    return {
        "duels": len(fought),
        "verdicts": dict(sorted(verdicts.items())),
        **told,
        "change_ratio_median": statistics.median(d.judgement.change_ratio for d in fought),
        "rounds_median": statistics.median(len(duel.rounds) for duel in fought),
        "measured_seconds_median": statistics.median(d.measured_seconds for d in fought),
        "measured_seconds_max": max(duel.measured_seconds for duel in fought),
        "duel_seconds_median": statistics.median(duel.seconds for duel in fought),
        "foreign_cpu_ratio_median": statistics.median(
            duel.noise.foreign_cpu_ratio or 0.0 for duel in fought if duel.noise
        ),
    }


def _contenders(case: str) -> Mapping[str, Contender]:
    def contender(factory: str) -> Contender:
        return Contender(f"{calibrated.__name__}:{factory}", Installation(sys.executable))

    return {A: contender(_FACTORIES[_EVEN]), B: contender(_FACTORIES[case])}


def _so_far(fought: Mapping[str, Sequence[Duel]]) -> str:
    counts = (
        f"{case}: "
        + ", ".join(
            f"{count} {verdict}"
            for verdict, count in Counter(d.judgement.verdict for d in of_case).most_common()
        )
        for case, of_case in fought.items()
        if of_case
    )
    return "; ".join(counts)


def _target(case: str) -> calibrated.CalibratedTarget:
    target: calibrated.CalibratedTarget = getattr(calibrated, _FACTORIES[case])()
    target.open()
    return target


def _units_ratio(case: str) -> float:
    return _target(case).units / calibrated.UNITS - 1


def _cpu_ratios() -> dict[str, float]:
    """Return how much more CPU time the work of each case takes than the plain one, at best."""
    targets = {case: _target(case) for case in _FACTORIES}
    best = dict.fromkeys(targets, float("inf"))
    for _ in range(_CPU_TRIALS):
        for case, target in targets.items():
            began = time.thread_time_ns()
            target.work()
            best[case] = min(best[case], time.thread_time_ns() - began)
    return {case: cost / best[_EVEN] - 1 for case, cost in best.items()}
