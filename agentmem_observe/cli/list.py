"""``agentmem-observe list``."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from agentmem_observe.bench.discover import Benchmark, discover, select, standard_suite


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_benchmarks(category: str | None, suites: tuple[Path, ...], as_json: bool) -> None:
    """List the benchmarks, what each answers, its parameters and their defaults."""
    benchmarks = select(discover([standard_suite(), *suites]), category)
    if as_json:
        click.echo(json.dumps([_as_dict(benchmark) for benchmark in benchmarks], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("category", "benchmark", "what it measures, and its parameters"):
        table.add_column(heading, overflow="fold")
    for benchmark in benchmarks:
        parameters = ", ".join(
            f"{name}={default}" if default else name
            for name, default in benchmark.parameters.items()
        )
        table.add_row(
            benchmark.category,
            benchmark.name,
            f"{benchmark.summary}\n[dim]{parameters}[/dim]" if parameters else benchmark.summary,
        )
    Console().print(table, highlight=False)


def _as_dict(benchmark: Benchmark) -> dict[str, object]:
    return {
        "category": benchmark.category,
        "benchmark": benchmark.name,
        "summary": benchmark.summary,
        "parameters": benchmark.parameters,
        "path": str(benchmark.path),
    }
