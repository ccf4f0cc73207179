"""A result's figures as people read them: which belong into one table, and their units."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from agentmem_observe.results.figures import unit_of
from agentmem_observe.results.flatten import path_of
from agentmem_observe.units import format_figure

Row = tuple[tuple[str, ...], dict[str, Any]]
"""The keys that lead to some figures, and those figures by name."""

_NOT_ROWS = ("outcomes", "verification")
"""Levels that only matter when something is wrong, and then the warnings say so."""

_LARGEST = 1e300
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
"""First, in this order."""


def show(value: float, path: Sequence[str]) -> str:
    """Return a figure with the unit that its key has, or else the keys above it.

    Args:
        value: The figure; a negative one is shown with its sign.
        path: The keys that lead to it, its own last.

    Examples:
        >>> show(0.0015, ["batch_10", "service_time_p99_seconds"]), show(0.5, ["store_ms", "avg"])
        ('1.50 ms', '500 µs')
        >>> show(-2048, ["growth_bytes"]), show(0.25, ["kept_ratio"]), show(7, ["agents"])
        ('-2.00 KiB', '0.25', '7')
    """
    if not -_LARGEST < value < _LARGEST:
        return f"{Decimal(value):.4g}"  # an integer of a file may be larger than any float
    return format_figure(value, unit_of(path_of(path)))


def heading(name: str) -> str:
    """Return a figure's name without the unit that its values show.

    Examples:
        >>> heading("service_time_p50_seconds"), heading("rss_bytes_per_record")
        ('service time p50', 'rss per record')
    """
    for unit in ("_ops_per_second", "_seconds", "_bytes"):
        name = name.removesuffix(unit)
    return name.replace("_bytes_per_", "_per_").replace("_", " ")


def rows_of(figures: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield each level of nested results that has figures of its own.

    Args:
        figures: A result's ``results``, or a part of them.
        path: The keys that lead there.
    """
    own = {
        key: value
        for key, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if own and not figures.get("tiers"):  # else the same figures follow, tier by tier
        yield path, own
    for key, value in figures.items():
        if isinstance(value, Mapping) and key not in _NOT_ROWS:
            yield from rows_of(value, path if key == "tiers" else (*path, key))


def by_shape(rows: Iterator[Row]) -> list[list[Row]]:
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


def labels(rows: Sequence[Row]) -> tuple[str, list[str]]:
    """Return a table's title and what each row is called.

    What all rows end in says what the table is about.
    """
    last = {path[-1:] for path, _ in rows}
    if len(rows) == 1 or len(last) > 1:
        return "", [" ".join(path) for path, _ in rows]
    return " ".join(last.pop()).replace("_", " "), [" ".join(path[:-1]) for path, _ in rows]


def figures_in(rows: Sequence[Row]) -> list[str]:
    """Return the names of all figures of some rows, the most important first."""
    names = dict.fromkeys(name for _, figures in rows for name in figures)
    first = [name for name in _PREFERRED if name in names]
    return first + [name for name in names if name not in first]
