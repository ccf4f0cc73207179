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


@results.command()
@click.option("--category", help="Only this category.")
@click.option("--benchmark", help="Only benchmarks of this name.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="PATTERN",
    help="Only figures with this in their names, such as p99 or 'storage.*p99:10%'. Repeatable.",
)
@_RESULTS_DIR
@click.option("--all", "show_all", is_flag=True, help="List what did not change too.")
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="End with exit code 2 if something changed for the worse within the last 20 runs.",
)
@as_json
def history(**options: Any) -> int:
    """Show how figures went over time, and where they changed; what changed comes first.

    \b
    Exit codes: 0 fine, 1 wrong usage, 2 a fresh regression, if asked for.
    """
    code: int = load("agentmem_observe.cli.trends:print_history")(**options)
    return code
