"""One result as people read it: verdict and warnings first, then tables of its figures."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentmem_observe.units import format_bytes, format_rate, format_seconds

_MOST_COLUMNS = 6
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
"""Shown first where a row has more figures than fit; the file has them all."""
_FORMATS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("_per_second", format_rate),
    ("_bytes_per_record", format_bytes),
    ("_seconds", format_seconds),
    ("_bytes", format_bytes),
    ("_ns", lambda value: format_seconds(value * 1e-9)),
)
_NOT_ROWS = ("outcomes", "verification")

Row = tuple[tuple[str, ...], dict[str, Any]]


def render_result(result: Mapping[str, Any]) -> None:
    """Print a result on standard output.

    Args:
        result: A valid result document, of this format or an older one.
    """
    console = Console()
    metadata = result["metadata"]
    verdict = metadata.get("validity", {}).get("verdict", "")
    heading = Text(f"{result['category']}.{result['benchmark']}", style="bold")
    heading.append(f"  {result['timestamp']}  {metadata.get('status', '')}  ", style="not bold")
    heading.append(verdict, style=_COLOURS.get(verdict, ""))
    console.print(heading)
    if reason := metadata.get("reason"):
        console.print(Text(reason, style="red"))
    for warning in metadata.get("warnings", []):
        console.print(Text(f"warning: {warning}", style="yellow"))
    for columns, rows in groupby(_rows(result["results"]), key=lambda row: tuple(row[1])):
        console.print(_table(columns, list(rows)), highlight=False)


def _rows(figures: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield each level that has figures of its own, as a path and those that will be shown."""
    own = {
        key: value
        for key, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if own and not figures.get("tiers"):  # else the same figures follow, tier by tier
        shown = [key for key in _PREFERRED if key in own] if len(own) > _MOST_COLUMNS else []
        shown += [key for key in own if key not in shown]
        yield path, {key: own[key] for key in shown[:_MOST_COLUMNS]}
    for key, value in figures.items():
        if isinstance(value, Mapping) and key not in _NOT_ROWS:
            yield from _rows(value, path if key == "tiers" else (*path, key))


def _table(columns: tuple[str, ...], rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for path, figures in rows:
        cells = (_cell(value, (*path, key)) for key, value in figures.items())
        table.add_row(" ".join(path), *cells)
    return table


def _cell(value: float, path: tuple[str, ...]) -> str:
    """Format a figure by the unit that its key ends in, or the keys above it."""
    for key in reversed(path):
        for suffix, formatted in _FORMATS:
            if key.endswith(suffix):
                return formatted(value)
        if key.endswith(("_ratio", "_than")):
            break
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
