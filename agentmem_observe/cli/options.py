"""Options that more than one command has."""

import math
from pathlib import Path

import click

from agentmem_observe.cli.logs import choose_format

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

log_format = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    is_eager=True,
    expose_value=False,
    callback=choose_format,
    help="How to say on standard error what happens; json: one object per line.",
)

otlp_file = click.option(
    "--otlp-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append spans and metrics to FILE as lines of OTLP-JSON.",
)

seed = click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="For everything random.",
)


def number_of_seconds(context: click.Context, option: click.Parameter, seconds: float) -> float:
    """Return what a limit in seconds is, as a callback of its option.

    Raises:
        BadParameter: If it is nan: neither above nor below any limit, no range refuses it.
    """
    if math.isnan(seconds):
        raise click.BadParameter("nan is not a number of seconds")
    return seconds
