"""How a duel is going, and what came of it."""

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from agentmem_observe.bench.duel.rounds import A, B
from agentmem_observe.bench.duel.supervisor import Duel, DuelOptions, Listener
from agentmem_observe.cli.logs import log_of
from agentmem_observe.units import format_change, format_seconds

_HEADLINES = {
    "worse": ("B is slower than A.", "bold red"),
    "better": ("B is faster than A.", "bold green"),
    "same": ("B is as fast as A.", "bold"),
    "inconclusive": ("Not decided.", "bold yellow"),
}


@contextmanager
def display(options: DuelOptions) -> Iterator[Listener]:
    """Yield a listener that shows on standard error how a duel goes.

    Args:
        options: Of the duel.
    """
    if log_of().is_json or not sys.stderr.isatty():
        yield _Lines()
        return
    console = Console(stderr=True)
    console.width -= len("^C ")  # room for its echo: a wrapped line would leave a bar behind
    columns = (
        TextColumn("round"),
        MofNCompleteColumn(),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[standing]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=options.rounds, standing="starting both sides")
        yield _Bar(bars, task)


class _Lines(Listener):
    """A line for each round, for logs and pipes."""

    def __init__(self) -> None:
        self._log = log_of()

    def began(self, duel: Duel) -> None:
        versions = ", ".join(
            f"{name} is {each.name} {each.version}" for name, each in duel.opened.items()
        )
        self._log.say("duel_started", versions)

    def round_ended(self, duel: Duel) -> None:
        last, judgement = duel.rounds[-1], duel.judgement
        low, high = judgement.interval or (None, None)
        self._log.say(
            "duel_round_ended",
            f"round {last.number} of at most {duel.most_rounds}: {standing(duel)}",
            number=last.number,
            total=duel.most_rounds,
            change_ratio=judgement.change_ratio,
            change_low_ratio=low,
            change_high_ratio=high,
            verdict=judgement.verdict,
        )


class _Bar(Listener):
    """A bar, on a terminal."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def began(self, duel: Duel) -> None:
        self._bars.update(self._task, total=duel.most_rounds, standing="")

    def round_ended(self, duel: Duel) -> None:
        self._bars.update(self._task, completed=len(duel.rounds), standing=standing(duel))


def standing(duel: Duel) -> str:
    """Return what the rounds so far say, in a few words."""
    judgement = duel.judgement
    change = f"B takes {format_change(judgement.change_ratio)}"
    if judgement.interval is None:
        return change
    return f"{change} ({_ends(*judgement.interval)})"


def _ends(low: float, high: float) -> str:
    return f"{format_change(low)} to {format_change(high)}"


def render(result: Mapping[str, Any]) -> None:
    """Print what came of a duel.

    Args:
        result: As `bench.duel.document` makes it.
    """
    console = Console()
    figures, metadata = result["results"], result["metadata"]
    headline, style = _HEADLINES[figures["verdict"]]
    console.print(Text(headline, style=style))
    for reason in metadata["reasons"]:
        _print_indented(console, reason)
    for warning in metadata["warnings"]:
        _print_indented(console, f"warning: {warning}", "yellow")
    console.print()
    console.print(_sides(metadata["sides"]), highlight=False)
    console.print()
    console.print(_operations(figures), highlight=False)
    console.print()
    console.print(_effort(result), markup=False, highlight=False, soft_wrap=True)


def _print_indented(console: Console, text: str, style: str = "") -> None:
    for line in textwrap.wrap(text, console.width - 2):
        console.print(Text(f"  {line}", style=style), soft_wrap=True)


def _sides(sides: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "target", "version", "Python", "code"):
        table.add_column(heading, overflow="fold")
    for name in (A, B):
        side = sides[name.lower()]
        table.add_row(
            Text(name, style="bold"),
            Text(side["target"]),
            Text(f"{side['name']} {side['version']}"),
            Text(side["python"]),
            Text(_near(side["origin"]), style="dim"),
        )
    return table


def _near(path: str) -> str:
    """Return a path as it is called from here, if that is shorter."""
    return min(path, os.path.relpath(path), key=len) if path else "?"


def _operations(figures: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("operation")
    for heading in ("A p50", "B p50", "B takes", "95 % interval", "at p95"):
        table.add_column(heading, justify="right")
    for kind, each in figures["operations"].items():
        if not each["count"]:
            continue
        table.add_row(
            kind,
            *(format_seconds(each["p50_seconds"][name]) for name in ("a", "b")),
            format_change(each["change_ratio"]),
            _interval(each),
            "" if each["p95_change_ratio"] is None else format_change(each["p95_change_ratio"]),
        )
    if len(figures["operations"]) > 1:
        change = format_change(figures["change_ratio"])
        table.add_row("all, by time", "", "", change, _interval(figures), "", style="bold")
    return table


def _interval(figures: Mapping[str, Any]) -> str:
    low, high = figures["change_low_ratio"], figures["change_high_ratio"]
    return "" if low is None or high is None else _ends(low, high)


def _effort(result: Mapping[str, Any]) -> str:
    figures, metadata = result["results"], result["metadata"]
    cpus = sorted({each["cpu"] for each in metadata["rounds"] if each["cpu"] is not None})
    where = (
        f"both sides of a round on one CPU ({' or '.join(map(str, cpus))})"
        if cpus
        else "on whatever CPUs the system chose"
    )
    return (
        f"{figures['rounds']} rounds in {format_seconds(metadata['execution_time'])}, of which "
        f"{format_seconds(figures['measured_seconds'])} measuring; {where}"
    )
