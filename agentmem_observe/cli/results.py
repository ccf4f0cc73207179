"""``agentmem-observe results``: its options. What it does is in `cli.result_files`."""

from typing import Any

import click

from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.options import as_json
from agentmem_observe.files import RESULTS_DIRECTORY

_RESULTS_DIR = click.option(
    "--results-dir",
    default=RESULTS_DIRECTORY,
    show_default=True,
    metavar="DIR",
    help="Where the result files are.",
)


@click.group()
def results() -> None:
    """Look at result files."""


@results.command("list")
@click.option("--category", help="Only this category.")
@click.option("--benchmark", help="Only benchmarks of this name.")
@_RESULTS_DIR
@as_json
def list_results(**options: Any) -> None:
    """List result files, oldest first, with status and verdict."""
    load("agentmem_observe.cli.result_files:print_list")(**options)


@results.command()
@click.argument("result")
@_RESULTS_DIR
@as_json
def show(**options: Any) -> None:
    """Show one result: a path, or a name as `results list` prints it."""
    load("agentmem_observe.cli.result_files:print_result")(**options)
