"""``agentmem-observe run``: its options. What it does is in `cli.execution`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.addresses import listen_address
from agentmem_observe.cli.exports import METAVAR, parse_export
from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.options import log_format, number_of_seconds, otlp_file, seed


@click.command()
@click.option("--category", help="Run this category only.")
@click.option("--benchmark", help="Run benchmarks of this name only.")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Also find benchmarks in DIR; without --category and --benchmark run only these.",
)
@click.option(
    "--target",
    default="embedded",
    show_default=True,
    metavar="SPEC",
    help="The memory to measure: embedded, redis://HOST:PORT/DB, langgraph, MODULE:FACTORY, ...",
)
@click.option(
    "--profile",
    default="standard",
    show_default=True,
    metavar="NAME",
    help="Sizes: quick (two minutes), standard (half an hour) or full. Not with --config.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Parameters and output directory, as saved by BenchmarkConfig.save().",
)
@click.option(
    "--params",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter of the benchmarks; VALUE is JSON. Or one JSON object. Repeatable.",
)
@click.option(
    "--output-dir", metavar="DIR", help="Where result files go; benchmark_results by default."
)
@click.option("--parallel", is_flag=True, help="Run two benchmarks at a time.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Run N at a time, with --parallel or without.",
)
@click.option(
    "--rounds",
    default=1,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1, max=1000),
    help="Run all N times over, for compare: rounds are what its evidence is made of.",
)
@seed
@click.option(
    "--timeout",
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    callback=number_of_seconds,
    help="Kill a benchmark after this.",
)
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=parse_export,
    metavar=METAVAR,
    help="json: print the results as one JSON array on standard output; prometheus: write the "
    "metrics to FILE for node_exporter's textfile collector.",
)
@click.option(
    "--push-gateway",
    metavar="URL",
    help="Push the metrics to a Prometheus Pushgateway at the end.",
)
@otlp_file
@click.option(
    "--web.listen-address",
    "listen",
    callback=listen_address,
    metavar="HOST:PORT",
    help="Serve /metrics while it runs; port 0 takes a free one.",
)
@log_format
def run(**options: Any) -> int:
    """Run benchmarks, each in a fresh process, and save a result file for every one.

    Without --category all run but those of 'self', which measure this tool.

    \b
    Examples:
      agentmem-observe run --category storage
      agentmem-observe run --benchmark write_throughput --export json
      agentmem-observe run --category storage --rounds 10 --output-dir baseline
      agentmem-observe run --category storage --params batch_sizes=[100,1000]
      agentmem-observe run --suite my_benchmarks --target my_package.memory:make
      agentmem-observe run --category storage --web.listen-address 127.0.0.1:9464

    Spans and metrics are sent by OTLP if OTEL_EXPORTER_OTLP_ENDPOINT is set.
    """
    code: int = load("agentmem_observe.cli.execution:execute")(**options)
    return code
