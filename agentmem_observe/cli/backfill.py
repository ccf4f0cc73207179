"""``agentmem-observe backfill``: its options. What it does is in `cli.backfilling`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.lazy import load
from agentmem_observe.files import RESULTS_DIRECTORY


@click.command()
@click.option(
    "--input-dir",
    default=RESULTS_DIRECTORY,
    show_default=True,
    metavar="DIR",
    help="Where the result files are.",
)
@click.option(
    "--output-dir",
    default="prometheus_blocks",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the blocks go.",
)
@click.option(
    "--promtool",
    default="promtool",
    show_default=True,
    metavar="PATH",
    help="Prometheus' tool that makes them.",
)
@click.option(
    "--openmetrics",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write OpenMetrics text to FILE instead; needs no promtool.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Put a label on all series, such as the job of live ones. Repeatable.",
)
@click.option("--force", is_flag=True, help="Add to blocks that are there; replace FILE.")
def backfill(**options: Any) -> int:
    """Turn result files into blocks of Prometheus: trends start with the past.

    Results without a time zone are taken to be of this machine's; TZ sets another.

    \b
    Examples:
      agentmem-observe backfill --input-dir benchmark_results
      agentmem-observe backfill --label job=agentmem --output-dir blocks
      TZ=Europe/Berlin agentmem-observe backfill --openmetrics history.om
    """
    code: int = load("agentmem_observe.cli.backfilling:fill")(**options)
    return code
