"""One result as people read it: verdict and warnings first, then tables of its figures."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentmem_observe.units import format_bytes, format_rate, format_seconds

_COLOURS = {"valid": "green", "degraded": "yellow", "void": "red"}
_PREFERRED = (
    "throughput_ops_per_second",
    "offered_ops_per_second",
    "latency_p50_seconds",
    "latency_p99_seconds",
    "service_time_p50_seconds",
    "service_time_p95_seconds",
    "service_time_p99_seconds",
    "service_time_max_seconds",
)
"""Kept, in this order, where a row has more figures than fit; the file has them all."""
_FORMATS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("_per_second", format_rate),
    ("_bytes_per_record", format_bytes),
    ("_seconds", format_seconds),
    ("_bytes", format_bytes),
    ("_ns", lambda value: format_seconds(value * 1e-9)),
)
_NOT_ROWS = ("outcomes", "verification")
"""Levels that only matter when something is wrong, and then the warnings say so."""

_GAP = 2
"""Between two columns."""
_NARROWEST = 8
"""Headings are not broken into shorter lines than this."""

Row = tuple[tuple[str, ...], dict[str, Any]]


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
    heading = Text(f"{result['category']}.{result['benchmark']}", style="bold")
    heading.append(f"  {result['timestamp']}  {metadata.get('status', '')}  ", style="not bold")
    heading.append(verdict, style=_COLOURS.get(verdict, ""))
    console.print(heading, soft_wrap=whole_lines)
    if reason := metadata.get("reason"):
        console.print(Text(reason, style="red"), soft_wrap=whole_lines)
    for warning in metadata.get("warnings", []):
        console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=whole_lines)
    for rows in _by_shape(_rows(result["results"])):
        _print_table(console, rows)


def _rows(figures: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield each level that has figures of its own, as a path and those that will be shown."""
    own = {
        key: value
        for key, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if own and not figures.get("tiers"):  # else the same figures follow, tier by tier
        yield path, own
    for key, value in figures.items():
        if isinstance(value, Mapping) and key not in _NOT_ROWS:
            yield from _rows(value, path if key == "tiers" else (*path, key))


def _by_shape(rows: Iterator[Row]) -> list[list[Row]]:
    """Put rows that have a figure in common into one table."""
    tables: list[tuple[set[str], list[Row]]] = []
    for path, figures in rows:
        for columns, table in tables:
            if columns & figures.keys():
                columns |= figures.keys()
                table.append((path, figures))
                break
        else:
            tables.append((set(figures), [(path, figures)]))
    return [table for _, table in tables]


def _print_table(console: Console, rows: list[Row]) -> None:
    """Print one table, of those figures that fit, and name those that do not."""
    title, labels = _labels(rows)
    columns = _columns(rows)
    left = console.width - max(map(len, labels))
    shown: list[_Column] = []
    for column in columns:
        if column.width + _GAP <= left or not shown:
            shown.append(column)
            left -= column.width + _GAP
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    table.add_column(Text(title), vertical="bottom", overflow="fold")
    for column in shown:
        table.add_column(column.heading, justify="right", vertical="bottom", no_wrap=True)
    for place, label in enumerate(labels):
        table.add_row(label, *(column.cells[place] for column in shown))
    console.print(table, highlight=False, markup=False)
    if hidden := [" ".join(column.heading.split()) for column in columns if column not in shown]:
        rest = Text(f"not shown: {', '.join(hidden)}", style="dim")
        console.print(rest, soft_wrap=not console.is_terminal)
    console.print()


def _labels(rows: list[Row]) -> tuple[str, list[str]]:
    """Return a table's title and what each row is called.

    What all rows end in says what the table is about.
    """
    last = {path[-1:] for path, _ in rows}
    if len(rows) == 1 or len(last) > 1:
        return "", [" ".join(path) for path, _ in rows]
    return " ".join(last.pop()).replace("_", " "), [" ".join(path[:-1]) for path, _ in rows]


def _columns(rows: list[Row]) -> list[_Column]:
    """Return all figures of some rows, the most important first."""
    names = dict.fromkeys(name for _, figures in rows for name in figures)
    order = [name for name in _PREFERRED if name in names]
    order += [name for name in names if name not in order]
    columns = []
    for name in order:
        cells = [
            _cell(figures[name], (*path, name)) if name in figures else "-"
            for path, figures in rows
        ]
        words = _heading(name).split()
        width = max(_NARROWEST, *map(len, cells), *map(len, words))
        lines = textwrap.wrap(" ".join(words), width)
        columns.append(_Column("\n".join(lines), cells, max(map(len, [*cells, *lines]))))
    return columns


def _heading(name: str) -> str:
    """Return a figure's name without the unit that its values show.

    Examples:
        >>> _heading("service_time_p50_seconds"), _heading("rss_bytes_per_record")
        ('service time p50', 'rss per record')
    """
    for unit in ("_ops_per_second", "_seconds", "_bytes"):
        name = name.removesuffix(unit)
    return name.replace("_bytes_per_", "_per_").replace("_", " ")


def _cell(value: float, path: tuple[str, ...]) -> str:
    """Format a figure by the unit that its key ends in, or the keys above it."""
    for key in reversed(path):
        for suffix, formatted in _FORMATS:
            if key.endswith(suffix):
                return formatted(value)
        if key.endswith(("_ratio", "_than")):
            break
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
