"""How a run is going: a live display on a terminal, plain lines anywhere else."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.messages import Progress
from agentmem_observe.bench.runner import Observer, Round
from agentmem_observe.bench.supervisor import Listener
from agentmem_observe.units import format_seconds

_LINE_EVERY_SECONDS = 5.0
_FINISHING = "finishing"
_MARKS = {"ok": "ok", "skipped": "skipped", "failed": "FAILED"}


@contextmanager
def progress_display(total: int, *, warnings: bool) -> Iterator[Observer]:
    """Yield an observer that shows progress on standard error.

    Args:
        total: How many runs there will be.
        warnings: Whether to show the warnings of each result too; not needed where the results
            themselves will be shown.
    """
    if not sys.stderr.isatty():
        yield Lines(total, warnings=warnings)
        return
    console = Console(stderr=True)
    console.width -= len("^C ")  # room for its echo: a wrapped line would leave a bar behind
    with RichProgress(*_columns(), console=console) as display:
        yield Bars(display, total, warnings=warnings)


class _Left(ProgressColumn):
    """How far a run is and how long the rest may take, as long as that is known."""

    max_refresh = 0.5

    def __init__(self, table_column: Column) -> None:
        super().__init__(table_column)
        self._remaining = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(_FINISHING)
        share = _percent(task.percentage / 100)
        return Text.assemble(f"{share:>4} left ", self._remaining.render(task))


class _Phase(ProgressColumn):
    """What a run is doing; the only column that gives way on a narrow terminal."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["phase"], style="dim", no_wrap=True, overflow="ellipsis")


def _columns() -> list[ProgressColumn]:
    def firm() -> Column:
        return Column(no_wrap=True)

    return [
        TextColumn("{task.description}", style="bold", markup=False, table_column=firm()),
        BarColumn(bar_width=12, table_column=firm()),
        _Left(table_column=firm()),
        _Phase(),
    ]


def outcome_lines(
    path: str, result: Mapping[str, Any], number: str, *, warnings: bool
) -> list[str]:
    """Return what there is to say when a run has ended.

    Args:
        path: Its result file.
        result: The result.
        number: Which of how many it is.
        warnings: Whether to show its warnings, or only the verdict.
    """
    metadata = result["metadata"]
    took = format_seconds(metadata["execution_time"] or 0.0)
    mark = _MARKS[metadata["status"]]
    if metadata["status"] == "ok":
        mark += f", {metadata['validity']['verdict']},"
    name = f"{result['category']}.{result['benchmark']}"
    lines = [f"{number} {name}: {mark} in {took}. Wrote {path}"]
    if reason := metadata.get("reason"):
        lines.append(f"  {reason}")
    if warnings:
        lines += [f"  warning: {warning}" for warning in metadata["warnings"]]
    return lines


def round_line(round: Round) -> str:
    """Return what there is to say when a round begins.

    Examples:
        >>> round_line(Round(2, 5, "1f0c9a77"))
        'round 2 of 5'
    """
    return f"round {round.number} of {round.total}"


class Counting(Observer):
    """Knows how many runs have ended; they end in threads of their own."""

    def __init__(self, total: int) -> None:
        """Begin with none.

        Args:
            total: How many runs there will be.
        """
        self.total = total
        self._ended = 0
        self._lock = threading.Lock()

    def count(self) -> int:
        """Count one more and return how many that are."""
        with self._lock:
            self._ended += 1
            return self._ended

    def numbered(self, number: int) -> str:
        """Return how people are told which run it was.

        Examples:
            >>> Counting(8).numbered(3)
            '[3/8]'
        """
        return f"[{number}/{self.total}]"


class _Telling(Counting):
    """Tells people; what there is to say depends on what else they will see."""

    def __init__(self, total: int, *, warnings: bool) -> None:
        super().__init__(total)
        self._warnings = warnings

    def outcome(self, path: str, result: Mapping[str, Any]) -> list[str]:
        """Count one more and return what there is to say of it."""
        number = self.numbered(self.count())
        return outcome_lines(path, result, number, warnings=self._warnings)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is; as a text it is a sentence for people.

    Attributes:
        share: Of its work, from 0 to 1.
        left_seconds: What the rest may take; None while that cannot be said, as of what comes
            after the planned work.
        phase: What it is doing, or "".
    """

    share: float
    left_seconds: float | None
    phase: str

    def __str__(self) -> str:
        phase = f" ({self.phase})" if self.phase else ""
        if self.share >= 1:
            return f"all planned work done, {_FINISHING}{phase}"
        return f"{_percent(self.share)}{self._left()}{phase}"

    def _left(self) -> str:
        if self.left_seconds is None:
            return ""
        if self.left_seconds < 1:
            return ", less than 1 s left"
        return f", about {format_seconds(self.left_seconds)} left"


def _percent(share: float) -> str:
    """Return a share of planned work; short of 100 %, as a run that goes on is not done."""
    return f"{min(share, 0.99):.0%}"


class Pace:
    """Says how far a run is, at most every few seconds."""

    def __init__(self) -> None:
        """Begin with the run."""
        self._began = self._said = time.monotonic()

    def standing(self, progress: Progress) -> Standing | None:
        """Return what is to be said of a progress; None if nothing, or not yet."""
        now = time.monotonic()
        if now - self._said < _LINE_EVERY_SECONDS or not progress.total:
            return None
        self._said = now
        share = min(1.0, progress.done / progress.total)
        left = (now - self._began) * (1 / share - 1) if 0 < share < 1 else None
        return Standing(share, left, progress.phase.strip())


class Bars(_Telling):
    """One bar per run, on a terminal."""

    def __init__(self, display: RichProgress, total: int, *, warnings: bool) -> None:
        super().__init__(total, warnings=warnings)
        self._display = display
        self._tasks: dict[str, TaskID] = {}

    def round_started(self, round: Round) -> None:
        """Say so above the bars."""
        self._display.console.print(round_line(round), style="bold")

    def started(self, benchmark: Benchmark) -> Listener:
        """Add a bar."""
        task = self._display.add_task(benchmark.id, total=None, phase="")
        self._tasks[benchmark.id] = task
        return _Bar(self._display, task)

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Replace the bar by what came of it."""
        self._display.remove_task(self._tasks.pop(benchmark.id))
        for line in self.outcome(path, result):
            self._display.console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Bar(Listener):
    def __init__(self, display: RichProgress, task: TaskID) -> None:
        self._display, self._task = display, task

    def progressed(self, progress: Progress) -> None:
        self._display.update(
            self._task,
            completed=progress.done,
            total=progress.total or None,
            phase=progress.phase,
        )


class Lines(_Telling):
    """A line now and then, for logs and pipes."""

    def round_started(self, round: Round) -> None:
        """Say so."""
        _say(round_line(round))

    def started(self, benchmark: Benchmark) -> Listener:
        """Say so."""
        _say(f"{benchmark.id}: started")
        return _Line(benchmark.id)

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Say what came of it."""
        _say("\n".join(self.outcome(path, result)))


class _Line(Listener):
    def __init__(self, name: str) -> None:
        self._name = name
        self._pace = Pace()

    def progressed(self, progress: Progress) -> None:
        if standing := self._pace.standing(progress):
            _say(f"{self._name}: {standing}")


def _say(text: str) -> None:
    click.echo(text, err=True)
