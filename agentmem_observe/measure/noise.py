"""How busy the host was with other things while a run was measured."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.measure import procfs
from agentmem_observe.measure.procfs import HostCpu, Pressure

T = TypeVar("T")

_STEAL = 7
_NOT_WORK = (3, 4, _STEAL)
"""Positions in ``HostCpu.ticks`` of idle, iowait and steal; the others are work."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """What CPU quotas cost this process's cgroup and its ancestors, since their creation.

    Attributes:
        periods_total: Scheduling periods in which the quota ran out.
        seconds: How long they stood still, summed over CPUs.
    """

    periods_total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NoiseReading:
    """The host's own counters at one moment; None where the platform has no such figure.

    Attributes:
        at_seconds: When, on the probe's monotonic clock.
        cpu_pressure: Tasks waiting for a CPU; includes the wake-ups of our own processes.
        io_pressure: Tasks waiting for block I/O.
        memory_pressure: Tasks waiting for memory: reclaim, swap, refaults.
        host_cpu: What the CPUs did.
        load_1m: Load average over one minute: tasks running, ready, or in disk wait.
        throttling: What CPU quotas cost us.
        cpu_governor: Frequency governors in use, as in ``performance``, comma-separated.
    """

    at_seconds: float
    cpu_pressure: Pressure | None = None
    io_pressure: Pressure | None = None
    memory_pressure: Pressure | None = None
    host_cpu: HostCpu | None = None
    load_1m: float | None = None
    throttling: Throttling | None = None
    cpu_governor: str | None = None


class NoiseProbe:
    """Reads the host's noise counters: some ten small files, no state."""

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Prepare a probe.

        Args:
            proc: Where the proc file system is mounted.
            sys: Where the sys file system is mounted.
            clock: Gives ``at_seconds``.
        """
        self._proc = proc
        self._sys = sys
        self._clock = clock

    def read(self) -> NoiseReading:
        """Return the counters now."""
        return NoiseReading(
            at_seconds=self._clock.now_ns() / 1e9,
            cpu_pressure=_parsed(self._proc / "pressure" / "cpu", procfs.parse_pressure),
            io_pressure=_parsed(self._proc / "pressure" / "io", procfs.parse_pressure),
            memory_pressure=_parsed(self._proc / "pressure" / "memory", procfs.parse_pressure),
            host_cpu=_parsed(self._proc / "stat", procfs.parse_host_cpu),
            load_1m=_parsed(self._proc / "loadavg", lambda text: float(text.split()[0])),
            throttling=self._throttling(),
            cpu_governor=self._governor(),
        )

    def _throttling(self) -> Throttling | None:
        membership = procfs.read_text(self._proc / "self" / "cgroup")
        if membership is None:
            return None
        files = {
            self._sys / "fs" / "cgroup" / directory / "cpu.stat"
            for directory in cgroup_directories(membership)
        }
        found = [parse_throttling(procfs.read_text(file) or "") for file in files]
        limits = [throttling for throttling in found if throttling is not None]
        if not limits:
            return None
        return Throttling(
            sum(throttling.periods_total for throttling in limits),
            sum(throttling.seconds for throttling in limits),
        )

    def _governor(self) -> str | None:
        files = (self._sys / "devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
        governors = {_parsed(file, str.strip) for file in files} - {None}
        return ",".join(sorted(str(governor) for governor in governors)) or None


def cgroup_directories(membership: str) -> Iterator[str]:
    r"""Yield the directories under the cgroup mount whose CPU quota binds us, ours and all above.

    Args:
        membership: Contents of ``/proc/self/cgroup``, version 1, 2 or both.

    Examples:
        >>> list(cgroup_directories("0::/pod/box"))
        ['pod/box', 'pod', '.']
        >>> list(cgroup_directories("5:cpuset:/\n1:cpu,cpuacct:/box"))
        ['cpu,cpuacct/box', 'cpu,cpuacct']
    """
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            own = Path(controllers, path.lstrip("/"))
            yield str(own)
            # A container often sees its host's path but its own mount: then only the top exists.
            above = len(own.parts) - (1 if controllers else 0)
            yield from (str(parent) for parent in list(own.parents)[:above])


def parse_throttling(cpu_stat: str) -> Throttling | None:
    r"""Parse a cgroup's ``cpu.stat``, version 1 (nanoseconds) or 2 (microseconds).

    Examples:
        >>> parse_throttling("nr_periods 9\nnr_throttled 2\nthrottled_usec 1500000")
        Throttling(periods_total=2, seconds=1.5)
        >>> parse_throttling("usage_usec 12") is None  # the root has no quota
        True
    """
    numbers = procfs.parse_numbers(cpu_stat)
    for key, unit in (("throttled_usec", 1e-6), ("throttled_time", 1e-9)):
        if key in numbers:
            return Throttling(numbers["nr_throttled"], numbers[key] * unit)
    return None


def _parsed(path: Path, parse: Callable[[str], T]) -> T | None:
    text = procfs.read_text(path)
    return None if text is None else parse(text)


@dataclass(frozen=True, slots=True)
class Noise:
    """What the host did besides, between two readings; None where the readings do not say.

    Attributes:
        elapsed_seconds: Time between them.
        cpu_count: CPUs online.
        cpu_pressure_ratio: Share of the time in which some task waited for a CPU, 0 to 1. Our own
            wake-ups are in it: ten thousand a second alone make 0.1 to 0.2 of it.
        cpu_pressure_max_ratio: The worst ten seconds.
        io_pressure_ratio: The same for block I/O.
        memory_pressure_ratio: The same for memory.
        host_cpu_ratio: Share of all CPUs' time spent working, for whomever, 0 to 1.
        foreign_cpu_ratio: The part of it that was not ours, 0 to 1.
        steal_ratio: Share of all CPUs' time that the hypervisor gave to other machines, 0 to 1.
        load_1m: Load average at the end.
        throttled_periods_total: Scheduling periods in which our CPU quota ran out.
        throttled_seconds: How long we stood still for it, summed over CPUs.
        cpu_governor: Frequency governors in use.
    """

    elapsed_seconds: float
    cpu_count: int | None
    cpu_pressure_ratio: float | None
    cpu_pressure_max_ratio: float | None
    io_pressure_ratio: float | None
    memory_pressure_ratio: float | None
    host_cpu_ratio: float | None
    foreign_cpu_ratio: float | None
    steal_ratio: float | None
    load_1m: float | None
    throttled_periods_total: int | None
    throttled_seconds: float | None
    cpu_governor: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values under the attributes' names."""
        return asdict(self)


def noise_between(
    before: NoiseReading,
    after: NoiseReading,
    *,
    during: Sequence[NoiseReading] = (),
    own_cpu_seconds: float | None = None,
) -> Noise:
    """Return what the host did between two readings.

    Args:
        before: Reading at the start of the run.
        after: Reading at its end.
        during: Readings in between, for the worst ten seconds.
        own_cpu_seconds: CPU time that all processes of the run used meanwhile (worker, supervisor,
            a local server), >= 0; None leaves ``foreign_cpu_ratio`` unknown.
    """
    elapsed = after.at_seconds - before.at_seconds
    work, steal, capacity_seconds = _host_shares(before.host_cpu, after.host_cpu)
    foreign = None
    if work is not None and own_cpu_seconds is not None:
        foreign = max(0.0, work - own_cpu_seconds / capacity_seconds)
    throttled = _throttled_between(before.throttling, after.throttling)
    worst = [r.cpu_pressure.avg10_ratio for r in (*during, after) if r.cpu_pressure is not None]
    return Noise(
        elapsed_seconds=elapsed,
        cpu_count=after.host_cpu.cpu_count if after.host_cpu else None,
        cpu_pressure_ratio=_pressure_ratio(before.cpu_pressure, after.cpu_pressure, elapsed),
        cpu_pressure_max_ratio=max(worst, default=None),
        io_pressure_ratio=_pressure_ratio(before.io_pressure, after.io_pressure, elapsed),
        memory_pressure_ratio=_pressure_ratio(
            before.memory_pressure, after.memory_pressure, elapsed
        ),
        host_cpu_ratio=work,
        foreign_cpu_ratio=foreign,
        steal_ratio=steal,
        load_1m=after.load_1m,
        throttled_periods_total=throttled.periods_total if throttled else None,
        throttled_seconds=throttled.seconds if throttled else None,
        cpu_governor=after.cpu_governor,
    )


def _pressure_ratio(
    before: Pressure | None, after: Pressure | None, elapsed: float
) -> float | None:
    if before is None or after is None or elapsed <= 0:
        return None
    # The kernel adds a stall when it looks, so a short window can hold a bit more than itself.
    return min(1.0, (after.total_seconds - before.total_seconds) / elapsed)


def _host_shares(
    before: HostCpu | None, after: HostCpu | None
) -> tuple[float | None, float | None, float]:
    if before is None or after is None:
        return None, None, 0.0
    # Idle, iowait and steal are known to step back now and then (proc_stat(5)).
    ticks = [max(0, b - a) for a, b in zip(before.ticks, after.ticks, strict=True)]
    total = sum(ticks)
    if total == 0:
        return None, None, 0.0
    work = total - sum(ticks[position] for position in _NOT_WORK)
    return work / total, ticks[_STEAL] / total, total / os.sysconf("SC_CLK_TCK")


def _throttled_between(before: Throttling | None, after: Throttling | None) -> Throttling | None:
    if before is None or after is None:
        return None
    return Throttling(after.periods_total - before.periods_total, after.seconds - before.seconds)
