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


@results.command()
@click.option("--category", help="Only this category.")
@click.option("--baseline-dir", metavar="DIR", help="Results to compare them with.")
@click.option("--output", default="report.html", show_default=True, metavar="FILE", help="Page.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@_RESULTS_DIR
def report(**options: Any) -> None:
    """Write one HTML page: verdicts first, then charts and tables.

    It needs no network, no script and no other file.
    """
    load("agentmem_observe.cli.reporting:write_report")(**options)


@results.command()
@click.argument("results", nargs=-1, metavar="[RESULT]...")
@click.option("--metric", required=True, metavar="NAME", help="Figure to draw.")
@click.option("--x-axis", required=True, metavar="NAME", help="What to draw it over.")
@click.option(
    "--output", metavar="FILE", help="Ends in .png, .svg or .pdf; METRIC.png by default."
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@_RESULTS_DIR
def plot(**options: Any) -> None:
    """Draw a figure of some results over a parameter, another figure or time.

    RESULT is a path, or a name as `results list` prints it; all results of the
    directory that have the figure if there is none. Needs the extra: pip
    install 'agentmem-observe[report]'.

    \b
    Examples:
      agentmem-observe results plot --metric throughput_ops_per_second \\
          --x-axis batch_size
      agentmem-observe results plot --metric recall_at_k_ratio --x-axis volume
      agentmem-observe results plot --metric rss_bytes_per_record \\
          --x-axis timestamp --output rss.svg
    """
    load("agentmem_observe.cli.reporting:write_plot")(**options)
