"""The kernel's text files: reading them, where absence is an answer, and parsing them."""

import errno
from dataclasses import dataclass
from pathlib import Path

ABSENT = frozenset(
    {
        errno.ENOENT,  # no such file: another platform, an older kernel, a process that is gone
        errno.ENOTDIR,
        errno.ESRCH,  # the process ended between open and read
        errno.EACCES,  # somebody else's process
        errno.EPERM,
        errno.EINVAL,  # /proc/<pid>/io and net of some sandboxes
        errno.EOPNOTSUPP,  # pressure stall information compiled in, but off (psi=0)
    }
)
"""Error numbers that say "this figure does not exist here"; every other one is a failure."""


def read_text(path: Path) -> str | None:
    """Return the file's text, or None if the platform has no such figure for us.

    Raises:
        OSError: If reading fails for another reason than `ABSENT`, as with too many open files.
    """
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise


def parse_numbers(text: str) -> dict[str, int]:
    r"""Parse lines of a name and a number; lines that hold anything else are left out.

    Args:
        text: Contents of ``/proc/<pid>/status``, ``/proc/<pid>/io`` or a cgroup's ``cpu.stat``.

    Examples:
        >>> parse_numbers("Name:\tpython\nVmHWM:\t    1664 kB\nThreads:\t3")
        {'VmHWM': 1664, 'Threads': 3}
        >>> parse_numbers("nr_throttled 7\nthrottled_usec 1200")
        {'nr_throttled': 7, 'throttled_usec': 1200}
    """
    words = (line.split() for line in text.splitlines())
    return {
        word[0].rstrip(":"): int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()
    }


def parse_faults(stat: str) -> tuple[int, int]:
    """Return minor and major page faults from ``/proc/<pid>/stat``.

    The second field is the program's name, which may hold blanks and parentheses.

    Examples:
        >>> parse_faults("7 (a) b) S 1 7 7 0 -1 4194304 99 0 3 0 12 5")
        (99, 3)
    """
    after_name = stat.rpartition(")")[2].split()
    return int(after_name[7]), int(after_name[9])


def parse_start_ticks(stat: str) -> int:
    """Return when a process started, in clock ticks since boot, from ``/proc/<pid>/stat``.

    Examples:
        >>> parse_start_ticks("7 (a) b) S 1 7 7 0 -1 0 99 0 3 0 12 5 0 0 20 0 1 0 4711 0")
        4711
    """
    return int(stat.rpartition(")")[2].split()[19])


def parse_run_queue_wait(schedstat: str) -> int:
    """Return the nanoseconds a thread was runnable but waited, from its ``schedstat``.

    Examples:
        >>> parse_run_queue_wait("57754 45196 2")
        45196
    """
    return int(schedstat.split()[1])


def parse_switches(status: str) -> tuple[int, int]:
    r"""Return a thread's voluntary and involuntary context switches from its ``status``.

    It is read once per thread and sample, so it looks for these two lines only: parsing all sixty
    costs four times as much as the kernel takes to write them.

    Examples:
        >>> parse_switches("voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2")
        (5, 2)
    """
    fields = status.partition("voluntary_ctxt_switches:")[2].split(maxsplit=3)
    return int(fields[0]), int(fields[2])


def parse_network(text: str) -> dict[str, tuple[int, int]]:
    r"""Return received and sent bytes per interface from ``/proc/<pid>/net/dev``.

    Examples:
        >>> parse_network("head\nhead\n lo: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0")
        {'lo': (10, 20)}
    """
    interfaces = {}
    for line in text.splitlines()[2:]:
        name, _, counters = line.partition(":")
        fields = counters.split()
        interfaces[name.strip()] = int(fields[0]), int(fields[8])
    return interfaces


@dataclass(frozen=True, slots=True)
class Pressure:
    """How long at least one task of the host waited for a resource (PSI, the ``some`` line).

    Attributes:
        avg10_ratio: Share of the last ten seconds, 0 to 1.
        total_seconds: Since boot.
    """

    avg10_ratio: float
    total_seconds: float


def parse_pressure(text: str) -> Pressure:
    r"""Parse a file of ``/proc/pressure``.

    Examples:
        >>> parse_pressure("some avg10=12.50 avg60=0.15 avg300=0.16 total=3678630\nfull avg10=0")
        Pressure(avg10_ratio=0.125, total_seconds=3.67863)
    """
    fields = dict(word.split("=") for word in text.splitlines()[0].split()[1:])
    return Pressure(float(fields["avg10"]) / 100, int(fields["total"]) / 1e6)


@dataclass(frozen=True, slots=True)
class HostCpu:
    """What all CPUs of the host did since boot, in clock ticks.

    Attributes:
        ticks: User, nice, system, idle, iowait, irq, softirq, steal.
        cpu_count: CPUs that are online.
    """

    ticks: tuple[int, ...]
    cpu_count: int


def parse_host_cpu(stat: str) -> HostCpu:
    r"""Parse ``/proc/stat``; kernels that count fewer states get zeros for the rest.

    Guest time, the ninth field and the tenth, is part of user time already.

    Examples:
        >>> parse_host_cpu("cpu  6 0 1 207 3 0 4 8 0 0\ncpu0 3 0 1 100 1 0 2 4 0 0\nintr 1")
        HostCpu(ticks=(6, 0, 1, 207, 3, 0, 4, 8), cpu_count=1)
    """
    lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    ticks = [int(field) for field in lines[0][1:9]]
    return HostCpu((*ticks, *[0] * (8 - len(ticks))), len(lines) - 1)
