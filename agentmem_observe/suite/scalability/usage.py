"""What this process, and the target's if that is another, use while a load runs."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psutil

from agentmem_observe.measure.process import ProcessProbe, ProcessSample
from agentmem_observe.measure.sampler import Sampler, Series
from agentmem_observe.targets.base import MemoryTarget

Probe = Callable[[], ProcessSample | None]

_LEAST_WINDOW_SECONDS = 0.1  # for the largest CPU percentage: shorter ones show single operations
_MIB = 1024 * 1024
_USS_EVERY = 20  # samples; it walks all page tables


def own_sample() -> ProcessSample:
    """Return CPU time and RSS of this process.

    CPU time is exact, where the kernel's counter of any other process advances by 10 ms; and
    nothing here is read per thread, so that ten thousand of them cost no more than one.
    """
    process = psutil.Process()
    return ProcessSample(time.perf_counter(), time.process_time(), process.memory_info().rss)


def own_probe() -> Probe:
    """Return a probe of this process for all figures, its CPU time exact."""
    probe = ProcessProbe(os.getpid(), uss_every=_USS_EVERY)

    def sample() -> ProcessSample | None:
        taken = probe.sample()
        return taken and replace(taken, cpu_seconds=time.process_time())

    return sample


def is_in_process(target: MemoryTarget) -> bool:
    """Return whether a target keeps its records in this process; its notes tell if not."""
    return not {"address", "server_process_id"} & target.info().notes.keys()


def server_process(target: MemoryTarget) -> int | None:
    """Return the id of the process of the target's server, None if it is not on this host.

    A target tells in its notes, as ``server_process_id``. A process of another name under that id
    is not it: the server is then on another host.
    """
    info = target.info()
    pid = info.notes.get("server_process_id", "")
    if not pid.isdecimal():
        return None
    try:
        name = psutil.Process(int(pid)).name()
    except psutil.NoSuchProcess:
        return None
    return int(pid) if info.name in name else None


def server_probe(target: MemoryTarget) -> Probe | None:
    """Return a probe of the target's server, None if there is none on this host."""
    pid = server_process(target)
    return None if pid is None else ProcessProbe(pid, uss_every=_USS_EVERY).sample


class Usage:
    """Samples a process while it is entered, which may be several times.

    Attributes:
        samples: Those of the last time, oldest first.
    """

    def __init__(self, probe: Probe = own_sample, interval_seconds: float = 0.2) -> None:
        """Prepare a probe.

        Args:
            probe: Takes a sample.
            interval_seconds: From sample to sample, > 0; the first and the last are extra.
        """
        self.samples: tuple[ProcessSample, ...] = ()
        self._probe = probe
        self._interval_seconds = interval_seconds
        self._cpu_seconds = self._seconds = self._highest_share = self._probe_cpu_seconds = 0.0
        self._rss_bytes = [0, 0, 0]  # how many, their sum, the largest

    def __enter__(self) -> "Usage":
        self._series = Series(self._probe)
        self._sampler = Sampler([self._series], self._interval_seconds)
        self._sampler.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._sampler.stop()
        self.samples = self._series.samples
        if self.samples:
            self._add(self.samples)
        self._probe_cpu_seconds += float(self._series.report()["probe_cpu_seconds"] or 0)

    def figures(self) -> dict[str, Any]:
        """Return the seeds' four, None where nothing was sampled, and what sampling took.

        CPU is in percent of one core, on average over all of the time and at the most over a tenth
        of a second or more. Memory is RSS, on average over the samples and at the most in one.
        """
        count, total, largest = self._rss_bytes
        average = 100 * self.cpu_ratio if self._seconds > 0 else None
        return {
            "avg_cpu_percent": average,
            "max_cpu_percent": average and max(average, 100 * self._highest_share),
            "avg_memory_bytes": total / count if count else None,
            "max_memory_bytes": largest if count else None,
            "probe_cpu_seconds": self._probe_cpu_seconds,
        }

    @property
    def cpu_ratio(self) -> float:
        """Return CPU time over time, 1 being one core; 0 if nothing was sampled."""
        return self._cpu_seconds / self._seconds if self._seconds > 0 else 0.0

    def course(self) -> dict[str, list[float]]:
        """Return the seeds' time series of the last time.

        A point is what happened since the point before it; so the first sample is none.
        """
        windows = _windows(self.samples, self._interval_seconds / 2)
        if not windows and len(self.samples) > 1:
            windows = [(self.samples[0], self.samples[-1])]
        begin = self.samples[0].at_seconds if self.samples else 0.0
        return {
            "timestamps": [end.at_seconds - begin for _, end in windows],
            "cpu_percent": [100 * _cpu_share(start, end) for start, end in windows],
            "memory_mb": [end.rss_bytes / _MIB for _, end in windows],
        }

    def _add(self, samples: Sequence[ProcessSample]) -> None:
        self._cpu_seconds += samples[-1].cpu_seconds - samples[0].cpu_seconds
        self._seconds += samples[-1].at_seconds - samples[0].at_seconds
        rss = [sample.rss_bytes for sample in samples]
        count, total, largest = self._rss_bytes
        self._rss_bytes = [count + len(rss), total + sum(rss), max(largest, *rss)]
        shares = (_cpu_share(*window) for window in _windows(samples, _LEAST_WINDOW_SECONDS))
        self._highest_share = max(self._highest_share, *shares, 0.0)


def _windows(
    samples: Sequence[ProcessSample], least_seconds: float
) -> list[tuple[ProcessSample, ProcessSample]]:
    """Return pairs of samples that follow each other at some distance; the last may be longer."""
    kept = list(samples[:1])
    for sample in samples[1:]:
        if sample.at_seconds - kept[-1].at_seconds >= least_seconds:
            kept.append(sample)
    if len(kept) > 1:
        kept[-1] = samples[-1]
    return list(pairwise(kept))


def _cpu_share(start: ProcessSample, end: ProcessSample) -> float:
    return (end.cpu_seconds - start.cpu_seconds) / (end.at_seconds - start.at_seconds)
