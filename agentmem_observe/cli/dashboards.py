"""``agentmem-observe dashboards``: its options. What it does is in `cli.boards`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.lazy import load

_DIRECTORY = click.option(
    "--output-dir",
    default="dashboards",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the files are.",
)


@click.group()
def dashboards() -> None:
    """Make Grafana dashboards, compare them with files, or send them to a Grafana."""


@dashboards.command()
@_DIRECTORY
def build(**options: Any) -> None:
    """Write a file for each dashboard, where it differs."""
    load("agentmem_observe.cli.boards:build")(**options)


@dashboards.command()
@_DIRECTORY
def check(**options: Any) -> int:
    """Say which files are not what `build` would write.

    Exit code 1 if there are any.
    """
    code: int = load("agentmem_observe.cli.boards:check")(**options)
    return code


@dashboards.command()
@click.argument("url")
@click.option("--folder", default="", metavar="UID", help="Put them into the folder of this uid.")
@click.option("--message", default="", metavar="TEXT", help="What their history says of it.")
def push(**options: Any) -> None:
    """Send all dashboards to the Grafana at URL.

    They replace what it has under their uids.

    GRAFANA_TOKEN is the token of a service account that may write dashboards.

    \b
    Examples:
      GRAFANA_TOKEN=... agentmem-observe dashboards push http://127.0.0.1:3000
    """
    load("agentmem_observe.cli.boards:push_all")(**options)
