"""What a daemon costs that has little to do: its own process, without that of its worker."""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.analysis.leaks import judge_floor, theil_sen
from agentmem_observe.bench.context import Bench
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.measure.sampler import Sampler, Series
from agentmem_observe.suite.self.daemon_process import DaemonProcess, running_daemon
from agentmem_observe.telemetry.prometheus import Format

_JOBS = """
[jobs.soak]
soak = true

[jobs.idle]
category = "storage"
cron = "0 3 29 2 *"
"""
_SETTLE_SHARE = 1 / 12  # of the time: what the first answers need is touched then
_STRETCH_SECONDS = 30.0  # CPU time comes in ticks of 10 ms: of 0.3 % of a core, nine in a stretch
_LOOK_EVERY_SECONDS = 1.0
_SHOW_EVERY_SECONDS = 2.0  # as the status page
_SHOWN_SECONDS = 30.0  # that it asks for again, in case some were late
_SCRAPE_EVERY_SECONDS = 15.0  # as is usual with Prometheus
_MOST_PAIRED = 300  # samples of which all pairs are taken
_ALONE, _WATCHED = "alone", "watched"
_ORDER = ((_ALONE, _WATCHED), (_WATCHED, _ALONE))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some time of one kind.

    Attributes:
        kind: ``alone`` or ``watched``.
        cpu_ratio: The share of a core that the daemon used.
        wakeups_per_second: How often one of its threads had something to do; None if not known.
    """

    kind: str
    cpu_ratio: float
    wakeups_per_second: float | None


def daemon_cost(bench: Bench, standing_seconds: float) -> dict[str, Any]:
    """Let a daemon stand by with a soak as it is by default, in turns alone and watched.

    Args:
        bench: Gives the directory, and shows progress.
        standing_seconds: For how long in all, > 0; under a minute says little.
    """
    rounds = max(1, round(standing_seconds / (2 * _STRETCH_SECONDS)))
    bench.expect(2 * rounds)
    with running_daemon(bench.directory, _JOBS) as daemon:
        bench.phase("the daemon settles")
        with _watching(daemon, True):
            time.sleep(_SETTLE_SHARE * standing_seconds)
        course = Series(DaemonProcess(daemon.url, daemon.pid).look)
        stretches = []
        with Sampler([course], _LOOK_EVERY_SECONDS):
            for number in range(rounds):
                for kind in _ORDER[number % 2]:
                    bench.phase(kind)
                    stretches.append(_stretch(daemon, kind, standing_seconds / (2 * rounds)))
                    bench.advance(1)
    return costs(stretches) | growth(course.samples)


def costs(stretches: Sequence[Stretch]) -> dict[str, Any]:
    """Return the CPU time and wake-ups of each kind: median, lowest and highest."""
    results: dict[str, Any] = {"cpu_ratio": {}, "wakeups_per_second": {}}
    for name, kinds in results.items():
        for kind in (_ALONE, _WATCHED):
            found = [getattr(each, name) for each in stretches if each.kind == kind]
            if seen := [value for value in found if value is not None]:
                kinds[kind] = {
                    "median": statistics.median(seen),
                    "lowest": min(seen),
                    "highest": max(seen),
                }
    return results


def growth(samples: Sequence[ProcessSample]) -> dict[str, Any]:
    """Return how a process grew: its RSS, files and threads at both ends, and its slope.

    Args:
        samples: Oldest first.

    Raises:
        BenchmarkError: If there are less than two.
    """
    if len(samples) < 2:
        raise BenchmarkError("the daemon was seen once; watch it for longer with standing_seconds")
    first, last = samples[0], samples[-1]
    at = np.array([sample.at_seconds for sample in samples])
    rss = np.array([sample.rss_bytes for sample in samples], dtype=np.float64)
    every = -(-len(samples) // _MOST_PAIRED)
    slope, low, high = theil_sen(at[::every], rss[::every])
    verdict = judge_floor(at, rss)
    return {
        "rss_bytes": {"first": first.rss_bytes, "last": last.rss_bytes},
        "rss_growth_bytes_per_hour": {
            "median": slope * 3600,
            "lowest": low * 3600,
            "highest": high * 3600,
        },
        "leak": {"verdict": verdict.verdict, "reasons": list(verdict.reasons)},
        "fds": {"first": first.fd_count, "last": last.fd_count},
        "threads": {"first": first.thread_count, "last": last.thread_count},
    }


def _stretch(daemon: DaemonProcess, kind: str, seconds: float) -> Stretch:
    with _watching(daemon, kind == _WATCHED):
        before = daemon.look()
        time.sleep(seconds)
        after = daemon.look()
    lasted = after.at_seconds - before.at_seconds
    slept, sleeps = before.voluntary_switches_total, after.voluntary_switches_total
    return Stretch(
        kind,
        (after.cpu_seconds - before.cpu_seconds) / lasted,
        None if slept is None or sleeps is None else (sleeps - slept) / lasted,
    )


@contextmanager
def _watching(daemon: DaemonProcess, wanted: bool) -> Iterator[None]:
    """Have the status page open and a Prometheus at work, if that is wanted."""
    if not wanted:
        yield
        return
    ended = threading.Event()
    with ThreadPoolExecutor() as threads:
        watchers = [threads.submit(watch, daemon, ended) for watch in (_show, _scrape)]
        try:
            yield
        finally:
            ended.set()
        for watcher in watchers:
            watcher.result()


def _show(daemon: DaemonProcess, ended: threading.Event) -> None:
    daemon.read("/")
    now = daemon.ask("/api/v1/status")["now"]
    while not ended.wait(_SHOW_EVERY_SECONDS):
        now = daemon.ask(f"/api/v1/status?since={now - _SHOWN_SECONDS}")["now"]


def _scrape(daemon: DaemonProcess, ended: threading.Event) -> None:
    accept = {"Accept": Format.PROTOBUF.value, "Accept-Encoding": "gzip"}
    while not ended.wait(_SCRAPE_EVERY_SECONDS):
        daemon.read("/metrics", accept)
