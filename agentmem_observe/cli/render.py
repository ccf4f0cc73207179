"""One result as people read it: verdict and warnings first, then tables of its figures."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentmem_observe.units import format_bytes, format_rate, format_seconds

_MOST_COLUMNS = 8
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
"""Levels that only matter when something is wrong, and then the warnings say so."""

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
    for rows in _by_shape(_rows(result["results"])):
        console.print(_table(rows), highlight=False)


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


def _table(rows: list[Row]) -> Table:
    names = dict.fromkeys(name for _, figures in rows for name in figures)
    columns = [name for name in _PREFERRED if name in names]
    columns += [name for name in names if name not in columns]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in columns[:_MOST_COLUMNS]:
        table.add_column(_heading(name), justify="right", vertical="bottom")
    for path, figures in rows:
        cells = (
            _cell(figures[name], (*path, name)) if name in figures else "-"
            for name in columns[:_MOST_COLUMNS]
        )
        table.add_row(" ".join(path), *cells)
    return table


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
