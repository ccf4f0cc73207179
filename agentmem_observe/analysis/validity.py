"""Whether the numbers of a run can be trusted: was the load generator in the way?

Evidence goes in, a verdict with its reasons comes out; nothing is measured here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from agentmem_observe.units import format_rate, format_seconds

Verdict: TypeAlias = Literal["valid", "degraded", "void"]
"""``valid``: trust the numbers. ``degraded``: read them with care. ``void``: they say more about
the load generator and its host than about the target; never compare them nor alert on them."""

_SEVERITY: dict[Verdict, int] = {"valid": 0, "degraded": 1, "void": 2}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about how a run was measured; None where it is not known.

    Attributes:
        offered_rate: Operations scheduled over the length of their schedule, per second, > 0. The
            schedule's own count, not the nominal rate: Poisson arrivals scatter around that. None
            in a closed loop.
        achieved_rate: Operations finished, whatever their outcome, per second of the run, >= 0.
        operation_count: Operations finished, >= 0.
        dispatch_delay_p99_seconds: p99 of ``started - ready``, the time from an operation being
            due and its worker free to its start: the generator's own lateness. Ordinary lateness
            also holds the wait behind a slow target, which is truth about the target.
        latency_p50_seconds: Median latency as it will be reported.
        latency_p99_seconds: p99 latency as it will be reported.
        backlog_slope: Growth of lateness, in seconds per second of schedule.
        worker_busy_ratio: Share of the workers' time spent inside the target, 0 to 1. None in a
            closed loop whose workers pause on purpose.
        run_queue_wait_ratio: Run-queue wait of the worker process over ``elapsed_seconds`` times
            the threads that carry load.
        own_cpu_ratio: CPU time of the worker process over elapsed time; 1 is one core.
        cpu_pressure_ratio: Share of the time in which some task of the host waited for a CPU.
        steal_ratio: Share of the CPUs' time that the hypervisor gave to other machines.
        throttled_seconds: Time stood still because a CPU quota ran out, summed over CPUs.
        gc_pause_ratio: Share of the time in which the garbage collector stopped the worker.
        elapsed_seconds: Length of the run, >= 0.
    """

    offered_rate: float | None = None
    achieved_rate: float | None = None
    operation_count: int | None = None
    dispatch_delay_p99_seconds: float | None = None
    latency_p50_seconds: float | None = None
    latency_p99_seconds: float | None = None
    backlog_slope: float | None = None
    worker_busy_ratio: float | None = None
    run_queue_wait_ratio: float | None = None
    own_cpu_ratio: float | None = None
    cpu_pressure_ratio: float | None = None
    steal_ratio: float | None = None
    throttled_seconds: float | None = None
    gc_pause_ratio: float | None = None
    elapsed_seconds: float | None = None

    def __post_init__(self) -> None:
        # Every comparison with NaN is false: it would pass all limits and come out as valid.
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and math.isnan(value):
                raise ValueError(f"{field.name} is NaN; leave out what is not known")


@dataclass(frozen=True, slots=True)
class Validity:
    """The judgement on one run.

    Attributes:
        verdict: The worst of all findings.
        reasons: One sentence per finding, worst first: figure, limit, next step.
        target_saturated: The target did not keep up with the offered load although the generator
            did; a search for the highest sustainable load wants to know.
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    target_saturated: bool = False


@dataclass(frozen=True, slots=True)
class _Finding:
    verdict: Verdict
    reason: str
    target_saturated: bool = False


@dataclass(frozen=True, slots=True)
class DelayLimit:
    """How late at p99 the generator itself may start operations, given what it measured.

    Being late matters in proportion to the latency that is reported: a share of its p99, but no
    less than ``floor_seconds`` (no host wakes a thread in no time) and no more than a ceiling. The
    ceiling is there because a p99 made of a few freezes must not excuse a generator that
    is late for everything else; only a slow median raises it.

    Attributes:
        share_of_p99: Allowed share of the p99 latency.
        floor_seconds: Allowed whatever the latency.
        ceiling_seconds: Allowed at the most, while the median is short.
        share_of_median: Allowed share of the median latency, above the ceiling.
    """

    share_of_p99: float
    floor_seconds: float
    ceiling_seconds: float
    share_of_median: float

    def seconds(self, p50: float | None, p99: float | None) -> float:
        """Return the limit for a median and p99 latency in seconds, the ceiling if unknown.

        Examples:
            >>> DISPATCH_DELAY_VOID.seconds(p50=0.001, p99=0.9)  # freezes
            0.01
            >>> DISPATCH_DELAY_VOID.seconds(p50=2.0, p99=5.0)  # a language model in the path
            0.2
        """
        ceiling = max(self.ceiling_seconds, self.share_of_median * (p50 or 0.0))
        if p99 is None:
            return ceiling
        return min(ceiling, max(self.floor_seconds, self.share_of_p99 * p99))


DISPATCH_DELAY_DEGRADED = DelayLimit(
    share_of_p99=0.1, floor_seconds=100e-6, ceiling_seconds=1e-3, share_of_median=0.01
)
"""A tenth of the p99: less is within what two runs differ by. Floor: sleeping to a deadline wakes
up to 31 µs late at p99 on a core of one's own, some 90 µs with the default timer slack."""

DISPATCH_DELAY_VOID = DelayLimit(
    share_of_p99=0.5, floor_seconds=5e-3, ceiling_seconds=10e-3, share_of_median=0.1
)
"""Half the p99: beyond it the p99 is the generator's own. Floor: one turn of a neighbour on a
fully shared core costs 2.7 to 4.8 ms at p99 whatever the pacing, and leaves the median right; more
than that is starvation. Ceiling: two such turns."""


@dataclass(frozen=True, slots=True)
class RatioLimit:
    """A share of time that must stay small.

    Attributes:
        degraded: Beyond it the numbers are read with care.
        void: Beyond it they are worthless; infinite if this evidence alone never decides.
        sentence: What the share means.
        advice: What to do about it.
    """

    degraded: float
    void: float
    sentence: str
    advice: str


RUN_QUEUE_WAIT = RatioLimit(
    0.05,
    0.25,
    "the worker process waited for a CPU during {} of its time",
    "free a core, lower the rate or use fewer agents",
)
"""Share of time. Pacing on a free machine shows 0.005 at the most (1,000 to 50,000 operations a
second). 0.05 makes times 5 % longer: a change people look for. Of two busy processes on one CPU
each waits 0.5, of three on two CPUs each 0.33: 0.25 is where neighbours shape the numbers."""

STEAL = RatioLimit(
    0.01,
    0.25,
    "the hypervisor gave {} of the CPU time to other machines",
    "use a host that is not oversubscribed",
)
"""Share of CPU time. A hundredth of the time is all it takes to be the p99. Void as for the run
queue: to be stolen from is the same wait, which the guest's scheduler can't see."""

THROTTLED = RatioLimit(
    0.01,
    0.25,
    "a CPU quota stopped this process's cgroup for {} of the run",
    "raise the quota of the container, or lower the rate",
)
"""Throttled time over elapsed time; can exceed 1 as CPUs add up. Limits as for steal: the quota
stops every thread for tens of milliseconds at a time."""

CPU_PRESSURE = RatioLimit(
    0.30,
    math.inf,
    "some task of the host waited for a CPU during {} of the run",
    "stop other work on this host, or repeat the run",
)
"""Share of time. Our own wake-ups count: 10,000 to 50,000 paced operations a second on a free
machine show 0.07 to 0.20; two busy neighbours on two cores 0.45. Never void: it may have been
someone else who waited, and our own wait has its own evidence."""

GC_PAUSES = RatioLimit(
    0.05,
    math.inf,
    "the garbage collector stopped the worker during {} of the run",
    "keep fewer objects alive, or read it as the cost of a target in this process",
)
"""Share of time. 0.05 as for the run queue. Never void: with a target in the worker's process its
garbage is the target's truth as well."""

FEWEST_OFFERED_RATIO = 0.99
"""Achieved over offered load that counts as keeping up; the usual criterion of a sustainable load
and far above the end effect that `LARGEST_BACKLOG_SLOPE` takes out."""

LARGEST_BACKLOG_SLOPE = 0.01
"""Seconds of lateness gained per second. A target that serves 99 % of what is offered falls behind
by 1/0.99 - 1. Below it a shortfall is only the last operations' time to finish."""

BUSY_WORKERS = 0.9
"""Share of workers' time inside the target. If an offered load is not reached, nine tenths say
that the target held the workers; less, that the generator left them idle. A closed loop knows
nothing but the target: below, a tenth of its throughput is the loop's own doing."""


def judge(evidence: Evidence) -> Validity:
    """Decide whether a run's numbers can be trusted.

    More starvation of the generator never makes the verdict better. Too few samples for a
    percentile is not a question of validity; see `samples.fewest_samples_for`.

    Args:
        evidence: What is known; what is not known is not held against the run, unless nothing
            shows whether the generator itself was on time.

    Examples:
        >>> judge(Evidence(dispatch_delay_p99_seconds=20e-6, latency_p99_seconds=0.9)).verdict
        'valid'
        >>> print(*judge(Evidence(dispatch_delay_p99_seconds=0.05)).reasons)
        operations started 50.0 ms late at p99 although a worker was free (limit 10.0 ms): the \
load generator had too little CPU; free a core or lower the rate
    """
    findings = sorted(_findings(evidence), key=lambda f: -_SEVERITY[f.verdict])
    return Validity(
        verdict=findings[0].verdict if findings else "valid",
        reasons=tuple(finding.reason for finding in findings),
        target_saturated=any(finding.target_saturated for finding in findings),
    )


def _findings(evidence: Evidence) -> Iterator[_Finding]:
    yield from _completeness(evidence)
    yield from _dispatch_delay(evidence)
    yield from _load(evidence)
    yield from _ratio(evidence.run_queue_wait_ratio, RUN_QUEUE_WAIT)
    yield from _ratio(evidence.steal_ratio, STEAL)
    if evidence.throttled_seconds is not None and evidence.elapsed_seconds:
        yield from _ratio(evidence.throttled_seconds / evidence.elapsed_seconds, THROTTLED)
    yield from _ratio(evidence.cpu_pressure_ratio, CPU_PRESSURE)
    yield from _ratio(evidence.gc_pause_ratio, GC_PAUSES)


def _completeness(evidence: Evidence) -> Iterator[_Finding]:
    if evidence.operation_count == 0:
        yield _Finding("void", "no operation finished: there is nothing to trust; see the errors")
    if evidence.dispatch_delay_p99_seconds is None and evidence.run_queue_wait_ratio is None:
        yield _Finding(
            "degraded",
            "neither dispatch delay nor run-queue wait is known: nothing shows whether the load "
            "generator kept up; measure on Linux, or in an open loop",
        )


def _dispatch_delay(evidence: Evidence) -> Iterator[_Finding]:
    delay = evidence.dispatch_delay_p99_seconds
    if delay is None:
        return
    p50, p99 = evidence.latency_p50_seconds, evidence.latency_p99_seconds
    limits: tuple[tuple[Verdict, DelayLimit], ...] = (
        ("void", DISPATCH_DELAY_VOID),
        ("degraded", DISPATCH_DELAY_DEGRADED),
    )
    for verdict, limit in limits:
        allowed = limit.seconds(p50, p99)
        if delay > allowed:
            yield _Finding(
                verdict,
                f"operations started {format_seconds(delay)} late at p99 although a worker was "
                f"free (limit {format_seconds(allowed)}): the load generator had too little CPU; "
                "free a core or lower the rate",
            )
            return


def _load(evidence: Evidence) -> Iterator[_Finding]:
    busy = evidence.worker_busy_ratio
    if evidence.offered_rate is None:
        yield from _closed_loop(busy)
    elif _fell_behind(evidence):
        yield _saturation(evidence, busy)


def _closed_loop(busy: float | None) -> Iterator[_Finding]:
    if busy is not None and busy < BUSY_WORKERS:
        yield _Finding(
            "degraded",  # and never void: service times stay the target's own
            f"workers spent only {busy:.0%} of a closed loop inside the target (limit "
            f"{BUSY_WORKERS:.0%}): throughput is partly the loop's own, service times are not; "
            "make the loop longer, prepare inputs before it, or offer a fixed load",
        )


def _fell_behind(evidence: Evidence) -> bool:
    offered, achieved = evidence.offered_rate, evidence.achieved_rate
    if offered is None or achieved is None:
        return False
    slope = evidence.backlog_slope
    growing = slope is None or slope > LARGEST_BACKLOG_SLOPE
    return growing and achieved < FEWEST_OFFERED_RATIO * offered


def _saturation(evidence: Evidence, busy: float | None) -> _Finding:
    offered, achieved = evidence.offered_rate or 0.0, evidence.achieved_rate or 0.0
    shortfall = (
        f"offered load not reached, {format_rate(achieved)} of {format_rate(offered)} "
        f"(limit {FEWEST_OFFERED_RATIO:.0%})"
    )
    if busy is None:
        return _Finding(
            "degraded",
            f"{shortfall}: whether target or generator held it back is not known; lower the rate",
        )
    if busy < BUSY_WORKERS:
        cpu = evidence.own_cpu_ratio
        load = "" if cpu is None else f" while their process used {cpu:.0%} of a core"
        return _Finding(
            "void",
            f"{shortfall} although workers spent only {busy:.0%} of their time inside the target "
            f"(limit {BUSY_WORKERS:.0%}){load}: the load generator could not keep up; lower the "
            "rate or use more worker processes",
        )
    after = evidence.elapsed_seconds
    length = "" if after is None else f", here {format_seconds(after)}"
    return _Finding(
        "degraded",
        f"{shortfall}: the target is saturated (workers {busy:.0%} inside it). Throughput is its "
        f"capacity, but latency grows with the length of the run{length}; lower the rate, or "
        "report throughput and service time",
        target_saturated=True,
    )


def _ratio(value: float | None, limit: RatioLimit) -> Iterator[_Finding]:
    if value is None or value <= limit.degraded:
        return
    verdict: Verdict = "void" if value > limit.void else "degraded"
    allowed = limit.void if verdict == "void" else limit.degraded
    yield _Finding(
        verdict, f"{limit.sentence.format(f'{value:.1%}')} (limit {allowed:.0%}): {limit.advice}"
    )
