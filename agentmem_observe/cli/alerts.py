"""``agentmem-observe alerts``: its options. What it does is in `cli.alert_files`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.lazy import load

_THRESHOLDS = click.option(
    "--thresholds",
    "thresholds_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML with numbers that are to differ from the defaults.",
)


@click.group()
def alerts() -> None:
    """Make rules for Prometheus and routing for Alertmanager."""


@alerts.command()
@_THRESHOLDS
@click.option(
    "--output-dir",
    default="deploy",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the files go: prometheus/, alertmanager/ and kubernetes/ below it.",
)
def build(**options: Any) -> None:
    """Write the files, in place of older ones.

    \b
    Examples:
      agentmem-observe alerts build
      agentmem-observe alerts build --thresholds ours.toml --output-dir /etc/ours
    """
    load("agentmem_observe.cli.alert_files:build")(**options)


@alerts.command()
@_THRESHOLDS
@click.option(
    "--output-dir",
    default="deploy",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the files are.",
)
def check(**options: Any) -> int:
    """Say whether the files are as they would be made now.

    If promtool is on the PATH, it checks the rules as well. Exit code 1 if
    something is wrong.
    """
    code: int = load("agentmem_observe.cli.alert_files:check")(**options)
    return code
