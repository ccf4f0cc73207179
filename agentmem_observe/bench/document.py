"""Makes the standard result document out of what is known of a run."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agentmem_observe.analysis.validity import Evidence, Validity, Verdict, judge
from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.messages import Request
from agentmem_observe.bench.supervisor import WorkerRun
from agentmem_observe.measure.recorder import OK
from agentmem_observe.results.histograms import histograms_of
from agentmem_observe.results.host import host, versions
from agentmem_observe.results.schema import FORMAT, TIMESTAMP_FORMAT
from agentmem_observe.targets.credentials import Credentials, redact

_SEVERITY: dict[Verdict, int] = {"valid": 0, "degraded": 1, "void": 2}
_WEIGHTY_SHARE = 0.1  # of the measured time: a loop of a millisecond must not judge a whole run
_DOUBTS: tuple[Verdict, ...] = ("void", "degraded")
_MOST_REASONS = 5
_FIGURE = re.compile(r"[\d.,]+")


def document(
    benchmark: Benchmark,
    request: Request,
    run: WorkerRun,
    *,
    beside: int = 1,
    working_copy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a result: the seeds' five keys, and under ``metadata`` what makes it trustworthy.

    Args:
        benchmark: What was run.
        request: How.
        run: How it went.
        beside: How many benchmarks ran at the same time, itself included.
        working_copy: What was run from when the worker started, by `results.host.vcs`.
    """
    now = datetime.now().astimezone()
    facts = run.finished.facts
    validity = _validity(run)
    credentials = Credentials(request.target)
    hidden = credentials.hidden_in
    metadata: dict[str, Any] = {
        "execution_time": facts.get("execution_time", run.noise.get("elapsed_seconds")),
        "params": hidden(facts.get("params", request.params)),
        "format": FORMAT,
        "ended_at": now.isoformat(timespec="milliseconds"),
        "status": run.finished.status,
        "warnings": hidden(_warnings(run, validity, beside)),
        "validity": validity | {"reasons": hidden(validity["reasons"])},
        "target": {"spec": redact(request.target)} | hidden(facts.get("target") or {}),
        "seed": request.seed,
        "host": host(),
        "versions": versions(),
        "vcs": working_copy,
        "overhead": _overhead(run),
        "noise": run.noise,
        "load": facts.get("load", {}),
        "resources": run.resources
        | {"uss_end_bytes": facts.get("uss_end_bytes"), "benchmark": _own_resources(facts)},
        "histograms": histograms_of(run.aggregate),
    }
    if request.traceparent:
        metadata["trace_id"] = request.traceparent.split("-")[1]
    if run.finished.status != "ok":
        metadata["reason"] = hidden(run.finished.reason)
    if run.finished.status == "failed":
        metadata["cause"] = run.finished.cause
        metadata["traceback"] = hidden(run.finished.traceback)
        metadata["log_tail"] = credentials.hidden_in_tail(run.log_tail)
    return {
        "benchmark": benchmark.name,
        "category": benchmark.category,
        "timestamp": now.strftime(TIMESTAMP_FORMAT),
        "results": hidden(run.finished.results),
        "metadata": metadata,
    }


def reason_without_content(metadata: Mapping[str, Any]) -> str:
    """Return why a run failed or was skipped, fit to leave this machine; "" of one that is ok.

    Of an exception that is not ours it is the type alone: what it says may hold queries or
    records. The result file has it.

    Args:
        metadata: Of its result, which has no credentials.
    """
    reason: str = metadata.get("reason", "")
    return reason.partition(":")[0] if metadata.get("traceback") else reason


def _own_resources(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the benchmark function used, without the start of its process."""
    names = ("cpu_seconds", "rss_before_bytes", "rss_after_bytes", "gc")
    return {name: facts[name] for name in names if name in facts}


def _warnings(run: WorkerRun, validity: Mapping[str, Any], beside: int) -> list[str]:
    """Return what a reader must know before any number, most important first.

    What the benchmark itself found, such as records that are gone, matters less than that its
    numbers are void, and more than that they are to be read with care.
    """
    doubts: list[str] = []
    if validity["verdict"] != "valid":
        first, *others = validity["reasons"]  # the others may be of a milder verdict
        doubts = [f"{validity['verdict']}: {first}", *others]
    found = run.finished.facts.get("warnings", [])
    warnings = [*_failures(run.aggregate.outcomes())]
    warnings += [*doubts, *found] if validity["verdict"] == "void" else [*found, *doubts]
    if beside > 1:
        warnings.append(f"run beside up to {beside - 1} other benchmarks: they disturb each other")
    return warnings


def _failures(outcomes: Mapping[str, int]) -> Sequence[str]:
    failed = {outcome: count for outcome, count in outcomes.items() if outcome != OK}
    if not failed:
        return ()
    parts = ", ".join(f"{count:,} {outcome}" for outcome, count in failed.items())
    return (
        f"{sum(failed.values()):,} of {sum(outcomes.values()):,} operations did not succeed "
        f"({parts}); throughput and latency are of the others only",
    )


def _validity(run: WorkerRun) -> dict[str, Any]:
    """Judge the run as a whole: by what its loops said of themselves, and by its host.

    A run that failed has no figures to trust, whatever its host did.
    """
    loops = run.finished.facts.get("validities", [])
    if run.finished.status == "failed":
        judgements = [Validity("void", ("the run failed: its figures are not complete",))]
    else:
        judgements = [judge(_evidence(run)), _judge_loops(loops)]
    judgements.sort(key=lambda judgement: -_SEVERITY[judgement.verdict])
    reasons: dict[str, str] = {}  # of reasons that differ in their figures only, the first
    for reason in itertools.chain.from_iterable(judgement.reasons for judgement in judgements):
        reasons.setdefault(_FIGURE.sub("", reason), reason)
    counts = dict.fromkeys(_SEVERITY, 0) | Counter(loop["verdict"] for loop in loops)
    return {
        "verdict": judgements[0].verdict,
        "reasons": list(reasons.values())[:_MOST_REASONS],
        "loops": counts,
    }


def _judge_loops(loops: Sequence[Mapping[str, Any]]) -> Validity:
    """Return the worst verdict that loops with a weighty share of the measured time deserve.

    Those of one verdict are weighed together: no benchmark of many short loops can hide that all
    of them are void.
    """
    seconds = sum(loop["elapsed_seconds"] for loop in loops)
    longest_first = sorted(loops, key=lambda loop: -loop["elapsed_seconds"])
    for verdict in _DOUBTS:
        bad = [one for one in longest_first if _SEVERITY[one["verdict"]] >= _SEVERITY[verdict]]
        if bad and sum(one["elapsed_seconds"] for one in bad) >= _WEIGHTY_SHARE * seconds:
            own = [one["reasons"] for one in bad if one["verdict"] == verdict]
            return Validity(verdict, tuple(itertools.chain.from_iterable(own)))
    return Validity("valid")


def _evidence(run: WorkerRun) -> Evidence:
    resources, noise, facts = run.resources, run.noise, run.finished.facts
    elapsed = resources.get("sampled_seconds") or 0.0
    waited = resources.get("run_queue_wait_seconds")
    seen = waited / elapsed if elapsed and waited is not None else None
    # The worker's own figure leaves out how its interpreter started; one that died has none.
    outside_loops = facts.get("run_queue_wait_ratio", seen)
    return Evidence(
        elapsed_seconds=elapsed,
        # Loops have answered for the time that was measured; what several threads that fill a
        # target wait for one another, before and between, is in no figure.
        run_queue_wait_ratio=0.0 if facts.get("validities") else outside_loops,
        steal_ratio=noise.get("steal_ratio"),
        cpu_pressure_ratio=noise.get("cpu_pressure_ratio"),
        throttled_seconds=noise.get("throttled_seconds"),
    )


def _overhead(run: WorkerRun) -> dict[str, Any]:
    """Return what measuring cost, in CPU time."""
    facts = run.finished.facts
    each = facts.get("timed_operation_cpu_seconds")
    operations = sum(run.aggregate.outcomes().values())
    used = facts.get("cpu_seconds")
    return {
        "timed_operation_cpu_seconds": each,
        "operations_total": operations,
        "measuring_cpu_ratio": each * operations / used if each and used else None,
        "probe_cpu_seconds": run.resources.get("probe_cpu_seconds"),
    }
