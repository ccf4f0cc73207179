"""One result as people read it: verdict and warnings first, then tables of its figures."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentmem_observe.results.shown import (
    Row,
    by_shape,
    figures_in,
    heading,
    labels,
    rows_of,
    show,
)

_COLOURS = {"valid": "green", "degraded": "yellow", "void": "red"}
_GAP = 2
"""Between two columns."""
_NARROWEST = 8
"""Headings are not broken into shorter lines than this."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One figure, as text.

    Attributes:
        heading: Its name, in as many lines as it takes.
        cells: Its value in each row.
        width: Of the widest of all these.
    """

    heading: str
    cells: list[str]
    width: int


def render_result(result: Mapping[str, Any]) -> None:
    """Print a result on standard output, a blank line after each table.

    Args:
        result: A valid result document, of this format or an older one.
    """
    console = Console()
    # What is not on a terminal is searched by line, so there a line stays one.
    whole_lines = not console.is_terminal
    metadata = result["metadata"]
    verdict = metadata.get("validity", {}).get("verdict", "")
    title = Text(f"{result['category']}.{result['benchmark']}", style="bold")
    title.append(f"  {result['timestamp']}  {metadata.get('status', '')}  ", style="not bold")
    title.append(verdict, style=_COLOURS.get(verdict, ""))
    console.print(title, soft_wrap=whole_lines)
    if reason := metadata.get("reason"):
        console.print(Text(reason, style="red"), soft_wrap=whole_lines)
    for warning in metadata.get("warnings", []):
        console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=whole_lines)
    for rows in by_shape(rows_of(result["results"])):
        _print_table(console, rows)


def _print_table(console: Console, rows: list[Row]) -> None:
    """Print one table, of those figures that fit, and name those that do not."""
    title, called = labels(rows)
    columns = _columns(rows)
    left = console.width - max(map(len, called))
    shown: list[_Column] = []
    for column in columns:
        if column.width + _GAP <= left or not shown:
            shown.append(column)
            left -= column.width + _GAP
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    table.add_column(Text(title), vertical="bottom", overflow="fold")
    for column in shown:
        table.add_column(column.heading, justify="right", vertical="bottom", no_wrap=True)
    for place, label in enumerate(called):
        table.add_row(label, *(column.cells[place] for column in shown))
    console.print(table, highlight=False, markup=False)
    if hidden := [" ".join(column.heading.split()) for column in columns if column not in shown]:
        rest = Text(f"not shown: {', '.join(hidden)}", style="dim")
        console.print(rest, soft_wrap=not console.is_terminal)
    console.print()


def _columns(rows: list[Row]) -> list[_Column]:
    """Return all figures of some rows, the most important first."""
    columns = []
    for name in figures_in(rows):
        cells = [
            show(figures[name], (*path, name)) if name in figures else "-"
            for path, figures in rows
        ]
        words = heading(name).split()
        width = max(_NARROWEST, *map(len, cells), *map(len, words))
        lines = textwrap.wrap(" ".join(words), width)
        columns.append(_Column("\n".join(lines), cells, max(map(len, [*cells, *lines]))))
    return columns
