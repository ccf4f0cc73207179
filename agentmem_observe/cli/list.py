"""``agentmem-observe list``: its options. What it does is in `cli.listing`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.options import as_json


@click.command("list")
@click.option("--category", help="List this category only.")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Also find benchmarks in DIR.",
)
@as_json
def list_benchmarks(**options: Any) -> None:
    """List the benchmarks, what each answers, its parameters and their defaults."""
    load("agentmem_observe.cli.listing:print_benchmarks")(**options)
