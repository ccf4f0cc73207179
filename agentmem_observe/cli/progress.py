"""How a run is going: a live display on a terminal, plain lines anywhere else."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as RichProgress,
)

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.messages import Progress
from agentmem_observe.bench.runner import Observer
from agentmem_observe.units import format_seconds

_LINE_EVERY_SECONDS = 5.0
_MARKS = {"ok": "ok", "skipped": "skipped", "failed": "FAILED"}


@contextmanager
def progress_display(total: int) -> Iterator[Observer]:
    """Yield an observer that shows progress on standard error.

    Args:
        total: How many benchmarks will run.
    """
    if not sys.stderr.isatty():
        yield Lines(total)
        return
    with RichProgress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[phase]}"),
        console=Console(stderr=True),
    ) as display:
        yield Bars(display, total)


def outcome_lines(path: str, result: Mapping[str, Any]) -> list[str]:
    """Return what there is to say when a run has ended, its doubts included."""
    metadata = result["metadata"]
    took = format_seconds(metadata["execution_time"] or 0.0)
    name = f"{result['category']}.{result['benchmark']}"
    lines = [f"{name}: {_MARKS[metadata['status']]} in {took}. Wrote {path}"]
    if reason := metadata.get("reason"):
        lines.append(f"  {reason}")
    lines += [f"  warning: {warning}" for warning in metadata["warnings"]]
    return lines


class Bars(Observer):
    """One bar per run, on a terminal."""

    def __init__(self, display: RichProgress, total: int) -> None:
        self._display = display
        self._tasks: dict[str, TaskID] = {}

    def started(self, benchmark: Benchmark) -> None:
        """Add a bar."""
        self._tasks[benchmark.id] = self._display.add_task(benchmark.id, total=None, phase="")

    def progressed(self, benchmark: Benchmark, progress: Progress) -> None:
        """Move the bar."""
        self._display.update(
            self._tasks[benchmark.id],
            completed=progress.done,
            total=progress.total or None,
            phase=progress.phase,
        )

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Replace the bar by what came of it."""
        self._display.remove_task(self._tasks.pop(benchmark.id))
        for line in outcome_lines(path, result):
            self._display.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Lines(Observer):
    """A line now and then, for logs and pipes."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._ended = 0
        self._began: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def started(self, benchmark: Benchmark) -> None:
        """Say so."""
        self._began[benchmark.id] = self._said[benchmark.id] = time.monotonic()
        self._say(f"{benchmark.id}: started")

    def progressed(self, benchmark: Benchmark, progress: Progress) -> None:
        """Say how far it is and how long it may take, at most every few seconds."""
        now = time.monotonic()
        if now - self._said[benchmark.id] < _LINE_EVERY_SECONDS or not progress.total:
            return
        self._said[benchmark.id] = now
        share = min(1.0, progress.done / progress.total)
        left = ""
        if share > 0:
            elapsed = now - self._began[benchmark.id]
            left = f", about {format_seconds(elapsed * (1 / share - 1))} left"
        self._say(f"{benchmark.id}: {share:.0%}{left} ({progress.phase})")

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Say what came of it."""
        with self._lock:
            self._ended += 1
        first, *more = outcome_lines(path, result)
        self._say("\n".join([f"[{self._ended}/{self._total}] {first}", *more]))

    def _say(self, text: str) -> None:
        click.echo(text, err=True)
