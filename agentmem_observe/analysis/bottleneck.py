"""What keeps more agents from getting more done: figures go in, a name with evidence comes out.

Each resource leaves its own trace: a CPU is used up, an interpreter lock is one used-up core among
idle ones, a disk shows as I/O pressure, a lock or a target elsewhere as waiting with idle CPUs.
Nothing is measured here.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from agentmem_observe.units import format_bytes

Kind: TypeAlias = Literal["cpu", "gil", "disk", "target", "lock", "none"]
"""``cpu``: all cores are taken, by us or by others. ``gil``: the interpreter lock of the process
that sends the load (and holds the target, if that is in it). ``disk``: the target in our process
waits for storage. ``target``: agents wait for a system outside our process. ``lock``: agents wait
for each other inside our process, without using its CPUs. ``none``: nothing limits, or no figure
says what."""

Confidence: TypeAlias = Literal["high", "medium", "low"]
"""``high``: nothing known speaks against it. ``medium``: one doubt. ``low``: more."""


@dataclass(frozen=True, slots=True)
class UsageEvidence:
    """What is known about a closed loop with many agents; None where it is not known.

    Attributes:
        agents: Agents at work, >= 1.
        in_process: Whether the target runs in the process that sends the load.
        cpu_count: CPUs of the host, or of the container's quota.
        throughput: Operations per second of all agents.
        throughput_alone: The same with one agent.
        service_seconds: Mean service time, from `Aggregate`.
        service_alone_seconds: The same with one agent.
        serial_share_ratio: As `scaling.serial_share` names it, 0 to 1.
        cpu_ratio: CPU time of our process over elapsed time; 1 is one core.
        target_cpu_ratio: The same of a target in another process.
        cpu_wait_ratio: Run-queue wait of our process, all threads, over elapsed time: how many
            threads were ready but had no CPU, on average. Sample while the threads live: the
            kernel forgets the wait of those that ended.
        host_cpu_ratio: Share of all CPUs' time spent working, for whomever, 0 to 1.
        voluntary_switches_per_operation: Times a thread gave its CPU up to wait, per operation.
            Of the whole process, as ``getrusage`` has them, for the same reason.
        involuntary_switches_per_operation: Times a thread was taken off its CPU, per operation.
        disk_bytes_per_second: Fetched from and sent to the block layer by our process.
        io_pressure_ratio: Share of the time in which some task of the host waited for I/O.
    """

    agents: int
    in_process: bool
    cpu_count: float | None = None
    throughput: float | None = None
    throughput_alone: float | None = None
    service_seconds: float | None = None
    service_alone_seconds: float | None = None
    serial_share_ratio: float | None = None
    cpu_ratio: float | None = None
    target_cpu_ratio: float | None = None
    cpu_wait_ratio: float | None = None
    host_cpu_ratio: float | None = None
    voluntary_switches_per_operation: float | None = None
    involuntary_switches_per_operation: float | None = None
    disk_bytes_per_second: float | None = None
    io_pressure_ratio: float | None = None

    def __post_init__(self) -> None:
        if self.agents < 1:
            raise ValueError(f"agents must be >= 1, not {self.agents!r}")
        # NaN would fail every comparison, and so be evidence of nothing without a word.
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(
                    f"{field.name} must be >= 0, not {value!r}; leave out what is not known"
                )

    @property
    def efficiency(self) -> float | None:
        """Return X(N) / (N X(1)), or the same from service times, or None if neither is known.

        Without pauses between operations both say the same.
        """
        if self.throughput is not None and self.throughput_alone:
            return self.throughput / (self.agents * self.throughput_alone)
        if self.service_seconds and self.service_alone_seconds is not None:
            return self.service_alone_seconds / self.service_seconds
        return None


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits a run.

    Attributes:
        kind: Its name.
        confidence: How sure that is.
        evidence: Sentences with figures: what speaks for it first, then the doubts, each
            starting with "but".
    """

    kind: Kind
    confidence: Confidence
    evidence: tuple[str, ...]


EFFICIENT_RATIO = 0.8
"""Efficiency that counts as scaling. Sleeping operations that share nothing keep 0.99; a knee
between two numbers of agents takes it to 0.5 and less."""

BUSY_RATIO = 0.8
"""Share of a resource that counts as all of it. A pure Python loop in 20 threads on a host that
others use too gets 0.87 of a core, a saturated single-threaded server 0.93."""

MOST_GIL_CORES = 1.25
"""Cores that an interpreter lock alone explains: one, and what runs while it is released. The
embedded memory, which computes in numpy, uses 1.1."""

CROWDED_THREADS = 1.0
"""Threads waiting for a CPU. Behind an interpreter lock one thread at a time wants one: 0.7 on a
host shared with a busy neighbour. 20 threads that hash on two CPUs show 14."""

IO_PRESSURE_RATIO = 0.15
"""Share of time. An fsync per operation shows 0.17 to 0.53 on a virtual disk, runs that
leave the disk alone 0.00 to 0.02."""

LEAST_SWITCHES = 0.5
"""Voluntary switches per operation of agents who wait for each other: at least one for those that
do, and most do. A scripted serial section with 20 agents shows 3.9."""

FULL_HOST_RATIO = 0.95
"""Share of all CPUs' time beyond which others' work may be what is felt."""


@dataclass(frozen=True, slots=True)
class _Suspect:
    kind: Kind
    evidence: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def find_bottleneck(usage: UsageEvidence) -> Bottleneck:
    """Name what limits a closed loop.

    A busy resource comes before a waiting one: who computes all the time does not wait. A lock
    held while computing in Python cannot be told from the interpreter lock, nor a lock inside the
    adapter of a remote target from the target.

    Examples:
        >>> usage = UsageEvidence(
        ...     agents=20,
        ...     in_process=True,
        ...     cpu_count=8,
        ...     throughput=3421,
        ...     throughput_alone=3500,
        ...     cpu_ratio=0.99,
        ...     cpu_wait_ratio=0.02,
        ... )
        >>> found = find_bottleneck(usage)
        >>> found.kind, found.confidence
        ('gil', 'high')
        >>> print(*found.evidence, sep="; ")
        20 agents get 1.0 times the throughput of one; 20 agents use 0.99 of 8 cores together
    """
    efficiency = 1.0 if usage.agents == 1 else usage.efficiency
    if efficiency is not None and efficiency >= EFFICIENT_RATIO:
        return Bottleneck("none", "high", (_scaling(usage, efficiency),))
    looks = (_cpu, _gil, _disk, _target, _lock)
    suspects = [suspect for look in looks if (suspect := look(usage)) is not None]
    if not suspects:
        return Bottleneck("none", "low", (*_growth(usage), *_nothing_found(usage)))
    first, *others = suspects
    doubts = [
        *first.doubts,
        *_common_doubts(usage, first.kind),
        *(f"but it may be {other.kind} too: {other.evidence[0]}" for other in others),
    ]
    evidence = (*_growth(usage), *first.evidence, *_serial(usage), *doubts)
    levels: tuple[Confidence, ...] = ("high", "medium", "low")
    return Bottleneck(first.kind, levels[min(len(doubts), 2)], evidence)


def _scaling(usage: UsageEvidence, efficiency: float) -> str:
    if usage.agents == 1:
        return "one agent shares nothing"
    return (
        f"{usage.agents} agents get {efficiency:.0%} of {usage.agents} times the throughput of "
        "one: nothing limits them yet"
    )


def _growth(usage: UsageEvidence) -> tuple[str, ...]:
    efficiency = usage.efficiency
    if efficiency is None:
        return ()
    return (
        f"{usage.agents} agents get {efficiency * usage.agents:.1f} times the throughput of one",
    )


def _serial(usage: UsageEvidence) -> tuple[str, ...]:
    share = usage.serial_share_ratio
    return (
        () if share is None else (f"agents pass one by one through {share:.0%} of an operation",)
    )


def _common_doubts(usage: UsageEvidence, kind: Kind) -> tuple[str, ...]:
    doubts: tuple[str, ...] = ()
    if usage.efficiency is None:
        doubts += ("but what one agent does alone is not known, so nothing need be limited",)
    host = usage.host_cpu_ratio
    if kind != "cpu" and host is not None and host >= FULL_HOST_RATIO:
        doubts += (f"but the host's CPUs were {host:.0%} busy: others slow it down too",)
    return doubts


def _nothing_found(usage: UsageEvidence) -> tuple[str, ...]:
    needed = ("cpu_ratio", "cpu_count", "io_pressure_ratio", "disk_bytes_per_second")
    unknown = [name for name in needed if getattr(usage, name) is None]
    if unknown:
        return (f"no sign of CPU, disk, lock or target, without {', '.join(unknown)}",)
    return ("no sign of CPU, disk, lock or target in the figures",)


def _all_cores_used(usage: UsageEvidence) -> bool:
    if usage.cpu_ratio is None or usage.cpu_count is None:
        return False
    used = usage.cpu_ratio + (usage.target_cpu_ratio or 0.0)
    return used >= BUSY_RATIO * usage.cpu_count


def _cpu(usage: UsageEvidence) -> _Suspect | None:
    waiting, involuntary = usage.cpu_wait_ratio, usage.involuntary_switches_per_operation
    crowded = waiting is not None and waiting >= CROWDED_THREADS
    ours = _all_cores_used(usage)
    if not (crowded or ours):
        return None
    evidence: list[str] = []
    doubts: list[str] = []
    if ours:
        used = (usage.cpu_ratio or 0.0) + (usage.target_cpu_ratio or 0.0)
        evidence.append(f"{used:.2f} of {usage.cpu_count:g} cores are in use by load and target")
    if crowded:
        evidence.append(f"{waiting:.1f} threads wait for a CPU at any time")
        evidence.extend(_taken_by_others(usage) if not ours else ())
    elif waiting is not None and (usage.cpu_count or 0) > 1:
        doubts.append(f"but only {waiting:.1f} threads wait for a CPU at any time")
    if involuntary is not None and involuntary >= LEAST_SWITCHES:
        evidence.append(f"{involuntary:.1f} times per operation a thread is taken off its CPU")
    return _Suspect("cpu", tuple(evidence), tuple(doubts))


def _taken_by_others(usage: UsageEvidence) -> tuple[str, ...]:
    host, own = usage.host_cpu_ratio, usage.cpu_ratio
    if host is None or own is None or host < FULL_HOST_RATIO:
        return ()
    return (f"the host's CPUs are {host:.0%} busy while this process gets {own:.2f} cores",)


def _gil(usage: UsageEvidence) -> _Suspect | None:
    if usage.cpu_ratio is None or _all_cores_used(usage):
        return None
    # On a shared host the thread that holds the lock waits for a CPU now and then.
    wanted = usage.cpu_ratio + (usage.cpu_wait_ratio or 0.0)
    if wanted < BUSY_RATIO or usage.cpu_ratio < BUSY_RATIO / 2:
        return None
    count = usage.cpu_count
    of_cores = "cores" if count is None else f"of {count:g} cores"
    evidence = [f"{usage.agents} agents use {usage.cpu_ratio:.2f} {of_cores} together"]
    if not usage.in_process:
        evidence.append("the target is elsewhere: it is the load generator; use more processes")
    doubts: list[str] = []
    if count is None:
        doubts.append("but the number of CPUs is not known: they may be all taken")
    if usage.cpu_ratio > MOST_GIL_CORES:
        doubts.append("but that is more than one interpreter lock lets through")
    return _Suspect("gil", tuple(evidence), tuple(doubts))


def _is_waiting(usage: UsageEvidence) -> bool:
    return usage.cpu_ratio is not None and not _all_cores_used(usage) and not _gil(usage)


def _disk(usage: UsageEvidence) -> _Suspect | None:
    pressure, moved = usage.io_pressure_ratio, usage.disk_bytes_per_second
    if not usage.in_process or pressure is None or pressure < IO_PRESSURE_RATIO or moved == 0:
        return None
    evidence = [f"some task waited for I/O during {pressure:.0%} of the time"]
    if moved is None:
        return _Suspect(
            "disk", tuple(evidence), ("but it is not known whether this process used the disk",)
        )
    evidence.append(f"this process moved {format_bytes(moved)} a second")
    return _Suspect("disk", tuple(evidence))


def _target(usage: UsageEvidence) -> _Suspect | None:
    if usage.in_process or not _is_waiting(usage):
        return None
    evidence = [f"the process that sends the load uses {usage.cpu_ratio:.2f} cores and waits"]
    server = usage.target_cpu_ratio
    if server is not None and server >= BUSY_RATIO:
        evidence.append(f"the target uses {server:.2f} cores")
    pressure = usage.io_pressure_ratio
    if pressure is not None and pressure >= IO_PRESSURE_RATIO:
        evidence.append(f"some task of this host waited for I/O during {pressure:.0%} of the time")
    return _Suspect("target", tuple(evidence))


def _lock(usage: UsageEvidence) -> _Suspect | None:
    switches = usage.voluntary_switches_per_operation
    if not usage.in_process or not _is_waiting(usage) or _disk(usage):
        return None
    if usage.efficiency is None and usage.serial_share_ratio is None:
        return None  # idle CPUs alone may as well be agents who sleep side by side
    evidence = [f"the process uses only {usage.cpu_ratio:.2f} cores"]
    doubts: list[str] = []
    if usage.io_pressure_ratio is None:
        doubts.append("but I/O pressure is not known: it may be the disk")
    if switches is None:
        doubts.append("but it is not known how often threads gave up their CPU to wait")
    elif switches < LEAST_SWITCHES:
        doubts.append(f"but a thread waits only {switches:.2f} times per operation")
    else:
        evidence.append(f"a thread gives its CPU up to wait {switches:.1f} times per operation")
    return _Suspect("lock", tuple(evidence), tuple(doubts))
