"""What ``agentmem-observe list`` does, once its options are read."""

import ast
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentmem_observe.bench.discover import Benchmark, discover, select, standard_suite
from agentmem_observe.config import BenchmarkConfig


def print_benchmarks(*, category: str | None, suites: tuple[Path, ...], as_json: bool) -> None:
    """Print the benchmarks of a category, or of all, as a table or as JSON."""
    benchmarks = select(discover([standard_suite(), *suites]), category)
    if as_json:
        click.echo(json.dumps([_as_dict(benchmark) for benchmark in benchmarks], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("category", "benchmark", "what it measures, and its parameters"):
        table.add_column(heading, overflow="fold")
    for benchmark in benchmarks:
        parameters = ", ".join(
            name if value is None else f"{name}={json.dumps(value, separators=(',', ':'))}"
            for name, value in _defaults(benchmark).items()
        )
        about = Text(benchmark.summary)
        if parameters:
            about.append(f"\n{parameters}", style="dim")
        table.add_row(benchmark.category, benchmark.name, about)
    Console().print(table, highlight=False)


def _defaults(benchmark: Benchmark) -> dict[str, Any]:
    """Return what each parameter is unless it is set; None where nothing is known.

    As JSON values: what is printed can be given to ``--params``.
    """
    configured = BenchmarkConfig().params_for(benchmark.category, benchmark.parameters)
    return {
        name: configured[name] if name in configured else _value(source)
        for name, source in benchmark.parameters.items()
    }


def _value(source: str) -> Any:
    """Return a literal's value; the source text itself of what is no literal."""
    if not source:
        return None
    try:
        return json.loads(json.dumps(ast.literal_eval(source)))
    except (ValueError, TypeError):
        return source


def _as_dict(benchmark: Benchmark) -> dict[str, object]:
    return {
        "category": benchmark.category,
        "benchmark": benchmark.name,
        "summary": benchmark.summary,
        "parameters": _defaults(benchmark),
        "path": str(benchmark.path),
    }
