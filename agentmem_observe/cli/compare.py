"""``agentmem-observe compare``: its options. What it does is in `cli.comparing`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.lazy import load
from agentmem_observe.results.formats.registry import FORMATS


@click.command()
@click.option("--current-dir", required=True, metavar="DIR", help="Results that are to be judged.")
@click.option("--baseline-dir", required=True, metavar="DIR", help="Results to compare them with.")
@click.option(
    "--threshold",
    default="10%",
    show_default=True,
    metavar="SIZE",
    help="From what change on it matters; 0.1 is 10%.",
)
@click.option("--category", help="Only this category.")
@click.option("--benchmark", help="Only benchmarks of this name.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="PATTERN",
    help="Judge only figures with PATTERN in CATEGORY.BENCHMARK.PATH; * stands for anything. "
    "PATTERN:5% says from what change on, PATTERN:lower or :higher which way is better. "
    "Repeatable; the last one that fits counts.",
)
@click.option(
    "--force", is_flag=True, help="Judge results of different hosts or versions all the same."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS]),
    default="table",
    metavar="FORMAT",
    help="table (the default), json, markdown (a comment for a pull request) or junit; or, of the "
    "current results alone, for other tools: pytest-benchmark, github-action-benchmark, "
    "github-action-benchmark-bigger, bencher, hdr.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE, in place of an older one, instead of standard output.",
)
def compare(**options: Any) -> int:
    """Compare two directories of results, and say what got worse.

    Several rounds on each side are what evidence is made of: make them with run --rounds. Results
    are matched by category, benchmark, target and parameters.

    \b
    Exit codes:
      0  no regression found
      1  an error: a result cannot be read, a benchmark only fails now, or there
         is nothing to compare
      2  a regression, whatever else is wrong

    \b
    Examples:
      agentmem-observe run --rounds 10 --output-dir new
      agentmem-observe compare --current-dir new --baseline-dir old
      agentmem-observe compare --current-dir new --baseline-dir old --metric p99
      agentmem-observe compare --current-dir new --baseline-dir old --json
    """
    code: int = load("agentmem_observe.cli.comparing:compare_directories")(**options)
    return code
