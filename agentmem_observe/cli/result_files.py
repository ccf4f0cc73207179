"""What ``agentmem-observe results`` does, once its options are read."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.columns import aligned
from agentmem_observe.cli.render import render_result
from agentmem_observe.cli.result_directory import results_in
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.heads import read_head
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.units import format_seconds

_OPTION = "--results-dir"
_HEADINGS = ("result", "status", "validity", "took")


def print_list(
    *, category: str | None, benchmark: str | None, results_dir: str, as_json: bool
) -> None:
    """Print the result files of a directory, oldest first, as a table or as JSON.

    Raises:
        UsageError: If there is no such directory.
    """
    store = results_in(results_dir, _OPTION)
    rows = [_row(path) for path in store.list_results(category, benchmark)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        wanted = "".join(f" of {name!r}" for name in (category, benchmark) if name)
        click.echo(
            f"No results{wanted} in {results_dir}; make some with: agentmem-observe run", err=True
        )
        return
    cells = [_HEADINGS, *map(_cells, rows)]
    click.echo("\n".join(aligned(cells)))
    for row in rows:
        if row["error"]:
            click.echo(f"damaged: {row['error']}", err=True)


def print_result(*, result: str, results_dir: str, as_json: bool) -> None:
    """Print one result: verdict and warnings first, then its figures; or its file.

    Raises:
        ResultFormatError: If there is no such result or it is damaged.
        UsageError: If it is no file, and there is no such directory.
    """
    is_file = Path(result).is_file()  # wherever it is: then no directory is needed
    store = BenchmarkResults(results_dir) if is_file else results_in(results_dir, _OPTION)
    document = store.load_result(result)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        render_result(document)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    took = row["execution_time"]
    return (
        "/".join(row["path"].removesuffix(".json").rsplit(os.sep, 2)[-2:]),
        row["status"] or "-",
        row["validity"] or "-",
        "-" if took is None else format_seconds(took),
    )


def _row(path: str) -> dict[str, Any]:
    """Describe one file; a damaged one is listed too, with what is wrong with it."""
    row: dict[str, Any] = dict.fromkeys(
        ("timestamp", "category", "benchmark", "status", "validity", "execution_time", "error")
    )
    row["path"] = path
    try:
        head = read_head(path)
    except ResultFormatError as error:
        return row | {"status": "damaged", "error": str(error)}
    return row | {
        "timestamp": head.timestamp,
        "category": head.category,
        "benchmark": head.benchmark,
        "status": head.status,
        "validity": head.verdict,
        "execution_time": head.execution_time,
    }
