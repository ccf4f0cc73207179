"""Whether a daemon whose endpoint is hammered still measures what it measures in quiet."""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.suite.self import hammer
from agentmem_observe.suite.self.daemon_process import DaemonProcess, running_daemon

FIGURES = ("lateness_p99_seconds", "dispatch_delay_p99_seconds", "service_time_p50_seconds")
"""Of a soak's window, that are compared."""

_JOBS = """
[jobs.soak]
soak = true
target = "fake://?service_seconds=0.0005"
rate = 200
window = "5s"

[jobs.idle]
category = "storage"
cron = "0 3 29 2 *"
"""
_REST_SECONDS = 2.0  # for what is under way when a stretch ends
_QUIET, _HAMMERED = "quiet", "hammered"
_ORDER = ((_QUIET, _HAMMERED), (_HAMMERED, _QUIET))
_NEVER_TAKEN = ("writes", "traversals", "malformed")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some time of one kind.

    Attributes:
        kind: ``quiet`` or ``hammered``.
        began_at: In seconds since 1970.
        ended_at: The same.
        cpu_seconds: That the daemon used in it.
        answers: By kind of request, how often each status came.
    """

    kind: str
    began_at: float
    ended_at: float
    cpu_seconds: float
    answers: hammer.Counts = field(default_factory=dict)

    @property
    def cpu_ratio(self) -> float:
        """Return the share of a core that the daemon used."""
        return self.cpu_seconds / (self.ended_at - self.began_at)


def scrape_disturbance(
    bench: Bench, hammer_seconds: float, stretch_seconds: float, scrapers: int
) -> dict[str, Any]:
    """Soak a scripted target under a daemon whose endpoint is hammered half of the time.

    Args:
        bench: Gives the directory, and shows progress.
        hammer_seconds: For how long in all, > 0.
        stretch_seconds: About how long without a break; it must hold whole windows of 5 s.
        scrapers: How many ask for pages at the same time, >= 1.
    """
    pairs = max(1, round(hammer_seconds / stretch_seconds))
    seconds = hammer_seconds / pairs
    bench.expect(2 * pairs)
    with running_daemon(bench.directory, _JOBS) as daemon:
        bench.phase("the soak settles")
        time.sleep(seconds)
        before = daemon.look()
        stretches = []
        for number in range(pairs):
            for kind in _ORDER[number % 2]:
                bench.phase(kind)
                stretches.append(_stretch(daemon, kind, seconds, scrapers))
                bench.advance(1)
        after = daemon.look()
        windows = daemon.ask("/api/v1/jobs/soak")["windows"]
        effects = _effects(daemon)
    return (
        answers([stretch for stretch in stretches if stretch.kind == _HAMMERED], effects)
        | disturbance(stretches, windows)
        | {
            "daemon_cpu_ratio": {
                kind: statistics.median(each.cpu_ratio for each in stretches if each.kind == kind)
                for kind in (_QUIET, _HAMMERED)
            },
            "daemon_rss_bytes": {"before": before.rss_bytes, "after": after.rss_bytes},
            "daemon_fds": {"before": before.fd_count, "after": after.fd_count},
        }
    )


def _stretch(daemon: DaemonProcess, kind: str, seconds: float, scrapers: int) -> Stretch:
    began, cpu = time.time(), daemon.look().cpu_seconds
    answered: hammer.Counts = {}
    if kind == _HAMMERED:
        answered = _hammer(daemon.url, seconds, scrapers)
    else:
        time.sleep(seconds)
    stretch = Stretch(kind, began, time.time(), daemon.look().cpu_seconds - cpu, answered)
    time.sleep(_REST_SECONDS)
    return stretch


def _hammer(url: str, seconds: float, scrapers: int) -> hammer.Counts:
    command = [sys.executable, "-P", "-m", hammer.__name__, url, f"{seconds:g}", f"{scrapers}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise BenchmarkError(f"the hammering client broke: {ended.stderr.strip()}")
    return {kind: Counter(counts) for kind, counts in json.loads(ended.stdout).items()}


def _effects(daemon: DaemonProcess) -> int:
    """Return how often what may not be changed from outside was changed."""
    status = daemon.ask("/api/v1/status")
    reloaded = status["settings"]["loaded_at"] > status["started_at"]
    ran = len(daemon.ask("/api/v1/runs?job=idle")["runs"])
    return ran + int(reloaded)


def answers(hammered: Sequence[Stretch], effects: int) -> dict[str, Any]:
    """Return what was answered while it was hammered, and what should not have been.

    Args:
        hammered: Stretches in which it was.
        effects: How often something was changed by it.
    """
    total: dict[str, Counter[str]] = {}
    for stretch in hammered:
        for kind, counts in stretch.answers.items():
            total.setdefault(kind, Counter()).update(counts)
    seconds = sum(stretch.ended_at - stretch.began_at for stretch in hammered)
    everything = sum(map(Counter.total, total.values()))
    taken = sum(_good(total.get(kind, {})) for kind in _NEVER_TAKEN)
    return {
        "requests_per_second": everything / seconds,
        "answers": {kind: dict(sorted(counts.items())) for kind, counts in total.items()},
        "served": _good(total.get("scrapes", {})),
        "refused": everything - sum(map(_good, total.values())),
        "wrongly_accepted": taken + effects,
    }


def _good(counts: dict[str, int]) -> int:
    return sum(count for status, count in counts.items() if status.startswith("2"))


def disturbance(stretches: Sequence[Stretch], windows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what the soak's windows say hammered over what they say in quiet.

    Args:
        stretches: In pairs of both kinds, in either order.
        windows: Of the soak, as the API shows them; those across an edge do not count.

    Returns:
        For each of `FIGURES` its median over the windows of each kind, and their ratio: of all
        windows, and the lowest and the highest of the pairs.

    Raises:
        BenchmarkError: If a stretch holds no whole window.
    """
    windows = list(windows)
    within = [
        [
            window["figures"]
            for window in windows
            if stretch.began_at <= window["started_at"] and window["ended_at"] <= stretch.ended_at
        ]
        for stretch in stretches
    ]
    if not all(within):
        raise BenchmarkError(
            "a stretch holds no whole window of the soak; give it more time with "
            "--params stretch_seconds=15"
        )
    results: dict[str, Any] = {"windows": sum(map(len, within))}
    for name in FIGURES:
        seen: dict[str, list[list[float]]] = {_QUIET: [], _HAMMERED: []}
        for stretch, figures in zip(stretches, within, strict=True):
            seen[stretch.kind].append([each[name] for each in figures])
        median = {
            kind: statistics.median(chain.from_iterable(lists)) for kind, lists in seen.items()
        }
        pairs = [
            statistics.median(hammered) / statistics.median(quiet)
            for quiet, hammered in zip(seen[_QUIET], seen[_HAMMERED], strict=True)
        ]
        results[name] = median
        results[f"{name.removesuffix('_seconds')}_ratio"] = {
            "median": median[_HAMMERED] / median[_QUIET],
            "lowest": min(pairs),
            "highest": max(pairs),
        }
    return results
