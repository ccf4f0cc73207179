"""What one process uses, observed from outside by its pid."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psutil

from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.measure import procfs

MIN_CPU_WINDOW_SECONDS = 0.5
"""Shortest window for a CPU percentage: user and system time each advance in ticks of 10 ms,
so a window of 0.5 s is right to 4 % of a core, and one of a few milliseconds says 1,000 %."""

Summary: TypeAlias = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process at one moment; None where the platform has no such figure.

    Counters run since the process started. Those the kernel keeps per thread run since the probe's
    first sample for threads that ended before it.

    Attributes:
        at_seconds: When, on the probe's monotonic clock.
        cpu_seconds: User and system time of all threads, in steps of 10 ms.
        rss_bytes: Resident pages, shared ones included.
        rss_peak_bytes: Largest resident size ever; exact, the kernel keeps it.
        uss_bytes: Pages that would be freed if the process ended; None in most samples, it costs
            a walk over all page tables.
        thread_count: Threads alive.
        fd_count: Open file descriptors.
        voluntary_switches_total: Times a thread gave its CPU up, to wait for something.
        involuntary_switches_total: Times the scheduler took a thread off its CPU.
        minor_faults_total: Page faults served without I/O.
        major_faults_total: Page faults that had to read from disk.
        disk_read_bytes: Fetched from the block layer; reads out of the page cache do not count.
        disk_write_bytes: Sent to the block layer, or to be sent when the pages are written back.
        network_received_bytes: Of the process's network namespace (the whole host's unless it
            runs in a container), all interfaces but loopback.
        network_sent_bytes: Of the same interfaces.
        loopback_bytes: Sent over the namespace's loopback, where a local server answers.
        run_queue_wait_seconds: Time its threads were ready to run but had no CPU, summed over
            threads; a wait still under way counts when it ends.
    """

    at_seconds: float
    cpu_seconds: float
    rss_bytes: int
    rss_peak_bytes: int | None = None
    uss_bytes: int | None = None
    thread_count: int | None = None
    fd_count: int | None = None
    voluntary_switches_total: int | None = None
    involuntary_switches_total: int | None = None
    minor_faults_total: int | None = None
    major_faults_total: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    network_received_bytes: int | None = None
    network_sent_bytes: int | None = None
    loopback_bytes: int | None = None
    run_queue_wait_seconds: float | None = None


def life_of(pid: int, *, proc: Path = Path("/proc")) -> str:
    """Return which life of which process has an id; "" if none has.

    It goes by the kernel's clock ticks and the boot, and not by the time of day: that of a
    process's start moves when the clock is set.

    Args:
        pid: Process id.
        proc: Where the proc file system is mounted.
    """
    stat = procfs.read_text(proc / str(pid) / "stat")
    boot = procfs.read_text(proc / "sys" / "kernel" / "random" / "boot_id")
    if stat and boot:
        return f"{pid} since tick {procfs.parse_start_ticks(stat)} of boot {boot.strip()}"
    if proc.joinpath("stat").exists():
        return ""
    try:
        return f"{pid} since {psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""


class ThreadSum:
    """Sums a counter that the kernel keeps per thread, so that it never falls when one exits.

    Examples:
        >>> waits = ThreadSum()
        >>> waits.update({1: 10, 2: 5})
        15
        >>> waits.update({1: 12})
        17
    """

    def __init__(self) -> None:
        self._alive: Mapping[int, int] = {}
        self._ended = 0

    def update(self, alive: Mapping[int, int]) -> int | None:
        """Return the sum over all threads seen so far, or None if no thread has the counter.

        Args:
            alive: The counter of each living thread, by thread id.
        """
        # A counter below its last value belongs to a new thread under a reused id.
        self._ended += sum(
            last for thread, last in self._alive.items() if alive.get(thread, -1) < last
        )
        self._alive = alive
        return self._ended + sum(alive.values()) if alive or self._ended else None


class ProcessProbe:
    """Samples one process. Not thread-safe: one thread samples.

    psutil reads what every platform has; the kernel's files give what psutil has not, or has for
    the main thread only (context switches) or for our own namespace only (network).
    """

    def __init__(
        self,
        pid: int,
        *,
        uss_every: int = 0,
        proc: Path = Path("/proc"),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Watch a process, which may be gone already.

        Args:
            pid: Process id; a later process under the same id is not taken for it.
            uss_every: Every how many samples USS is read, from the first on; 0 for on demand.
                Reading it holds up the page faults of a large process for milliseconds.
            proc: Where the proc file system is mounted.
            clock: Gives ``at_seconds``.
        """
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None
        self._files = proc / str(pid)
        self._uss_every = uss_every
        self._clock = clock
        self._attempts = 0
        self._wait_ns, self._voluntary, self._involuntary = ThreadSum(), ThreadSum(), ThreadSum()

    def sample(self, *, with_uss: bool = False) -> ProcessSample | None:
        """Return the process's figures now, or None when it is gone.

        A process that ended but was not waited for yet (a zombie) is gone.

        Args:
            with_uss: Read USS, whatever ``uss_every`` says.

        Raises:
            psutil.AccessDenied: If not even CPU time and RSS may be read.
        """
        due = self._uss_every > 0 and self._attempts % self._uss_every == 0
        self._attempts += 1
        try:
            sample = self._sample(with_uss or due) if self._alive() else None
        except psutil.NoSuchProcess:
            return None
        # A zombie, also one that ended while it was being read, has no pages left.
        return sample if sample and sample.rss_bytes > 0 else None

    def _alive(self) -> bool:
        # A later process under the same id is not the one we watch: is_running() tells them apart.
        return self._process is not None and self._process.is_running()

    def _sample(self, with_uss: bool) -> ProcessSample:
        process = self._process
        assert process is not None  # _alive said so
        with process.oneshot():
            cpu = process.cpu_times()
            return ProcessSample(
                at_seconds=self._clock.now_ns() / 1e9,
                cpu_seconds=cpu.user + cpu.system,
                rss_bytes=process.memory_info().rss,
                uss_bytes=_if_allowed(lambda: process.memory_full_info().uss)
                if with_uss
                else None,
                thread_count=_if_allowed(process.num_threads),
                fd_count=_if_allowed(process.num_fds),
                **self._process_figures(),
                **self._thread_figures(),
            )

    def _process_figures(self) -> dict[str, Any]:
        status = self._numbers("status")
        peak_kib = status.get("VmHWM")
        io = self._numbers("io")
        stat = procfs.read_text(self._files / "stat")
        minor, major = procfs.parse_faults(stat) if stat else (None, None)
        return {
            "rss_peak_bytes": None if peak_kib is None else peak_kib * 1024,
            "minor_faults_total": minor,
            "major_faults_total": major,
            "disk_read_bytes": io.get("read_bytes"),
            "disk_write_bytes": io.get("write_bytes"),
            **self._network_figures(),
        }

    def _network_figures(self) -> dict[str, int | None]:
        text = procfs.read_text(self._files / "net" / "dev")
        if text is None:
            return {}
        interfaces = procfs.parse_network(text)
        _, loopback = interfaces.pop("lo", (0, 0))
        return {
            "network_received_bytes": sum(received for received, _ in interfaces.values()),
            "network_sent_bytes": sum(sent for _, sent in interfaces.values()),
            "loopback_bytes": loopback,
        }

    def _thread_figures(self) -> dict[str, Any]:
        wait_ns, voluntary, involuntary = {}, {}, {}
        for task in self._files.glob("task/*"):
            thread = int(task.name)
            if schedstat := procfs.read_text(task / "schedstat"):
                wait_ns[thread] = procfs.parse_run_queue_wait(schedstat)
            if status := procfs.read_text(task / "status"):
                voluntary[thread], involuntary[thread] = procfs.parse_switches(status)
        waited_ns = self._wait_ns.update(wait_ns)
        return {
            "voluntary_switches_total": self._voluntary.update(voluntary),
            "involuntary_switches_total": self._involuntary.update(involuntary),
            "run_queue_wait_seconds": None if waited_ns is None else waited_ns / 1e9,
        }

    def _numbers(self, name: str) -> dict[str, int]:
        return procfs.parse_numbers(procfs.read_text(self._files / name) or "")


def _if_allowed(read: Callable[[], int]) -> int | None:
    try:
        return read()
    except psutil.AccessDenied:
        return None


def summarise(samples: Sequence[ProcessSample]) -> Summary:
    """Condense samples of one process into the figures of a result.

    Args:
        samples: Oldest first; none and one are fine.

    Returns:
        Counters as the difference between the last sample and the first, sizes as start, average,
        maximum and end, CPU percentages of one core (200 is two busy cores) over windows of at
        least `MIN_CPU_WINDOW_SECONDS`. ``rss_peak_bytes`` covers the process's whole life. None
        where the samples do not say.

    Examples:
        >>> samples = [ProcessSample(0.0, 1.0, 100), ProcessSample(2.0, 2.5, 300)]
        >>> summary = summarise(samples)
        >>> summary["avg_cpu_percent"], summary["cpu_seconds"], summary["rss_avg_bytes"]
        (75.0, 1.5, 200)
    """
    rss = [sample.rss_bytes for sample in samples]
    cpu_shares = list(_cpu_shares(samples))
    average_share = _average_cpu_share(samples)
    return {
        "sample_count": len(samples),
        "sampled_seconds": _increase(samples, "at_seconds"),
        "cpu_seconds": _increase(samples, "cpu_seconds"),
        "avg_cpu_percent": None if average_share is None else 100 * average_share,
        "max_cpu_percent": 100 * max(cpu_shares) if cpu_shares else None,
        "rss_start_bytes": rss[0] if rss else None,
        "rss_avg_bytes": round(sum(rss) / len(rss)) if rss else None,
        "rss_max_bytes": max(rss, default=None),
        "rss_end_bytes": rss[-1] if rss else None,
        "rss_peak_bytes": _last(samples, "rss_peak_bytes"),
        "uss_end_bytes": _last(samples, "uss_bytes"),
        "thread_count_max": _largest(samples, "thread_count"),
        "fd_count_max": _largest(samples, "fd_count"),
    } | {name: _increase(samples, name) for name in _COUNTERS}


_COUNTERS = (
    "voluntary_switches_total",
    "involuntary_switches_total",
    "minor_faults_total",
    "major_faults_total",
    "disk_read_bytes",
    "disk_write_bytes",
    "network_received_bytes",
    "network_sent_bytes",
    "loopback_bytes",
    "run_queue_wait_seconds",
)


def _cpu_shares(samples: Sequence[ProcessSample]) -> Iterator[float]:
    start = samples[0] if samples else None
    for sample in samples:
        assert start is not None  # there is a sample, so there is a first one
        elapsed = sample.at_seconds - start.at_seconds
        if elapsed >= MIN_CPU_WINDOW_SECONDS:
            yield (sample.cpu_seconds - start.cpu_seconds) / elapsed
            start = sample


def _average_cpu_share(samples: Sequence[ProcessSample]) -> float | None:
    elapsed = _increase(samples, "at_seconds")
    used = _increase(samples, "cpu_seconds")
    return used / elapsed if elapsed and used is not None else None


def _known(samples: Sequence[ProcessSample], name: str) -> list[float]:
    figures = (getattr(sample, name) for sample in samples)
    return [figure for figure in figures if figure is not None]


def _increase(samples: Sequence[ProcessSample], name: str) -> float | None:
    known = _known(samples, name)
    return known[-1] - known[0] if len(known) > 1 else None


def _last(samples: Sequence[ProcessSample], name: str) -> float | None:
    known = _known(samples, name)
    return known[-1] if known else None


def _largest(samples: Sequence[ProcessSample], name: str) -> float | None:
    return max(_known(samples, name), default=None)
