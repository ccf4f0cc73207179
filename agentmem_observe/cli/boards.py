"""What ``agentmem-observe dashboards`` does, once its options are read."""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from agentmem_observe.cli.generating import tell_drift, write_and_tell
from agentmem_observe.dashboards.build import dashboard_files, dashboards
from agentmem_observe.dashboards.push import push
from agentmem_observe.errors import UsageError

_TOKEN = "GRAFANA_TOKEN"


def build(output_dir: Path) -> None:
    """Write what is not as it should be, and say so.

    Raises:
        UsageError: If a file cannot be written.
    """
    files = dashboard_files(output_dir)
    write_and_tell(files, _fine(files, output_dir))


def check(output_dir: Path) -> int:
    """Say what is not as it should be, and return the exit code.

    Raises:
        UsageError: If a file cannot be read.
    """
    files = dashboard_files(output_dir)
    if tell_drift(files, f"agentmem-observe dashboards build --output-dir {output_dir}"):
        return 1
    click.echo(_fine(files, output_dir), err=True)
    return 0


def _fine(files: Mapping[Path, str], directory: Path) -> str:
    return f"All {len(files)} dashboards in {directory} are as they should be"


def push_all(url: str, folder: str, message: str) -> None:
    """Send all dashboards to a Grafana, and say where they are.

    Raises:
        UsageError: If there is no token, or the Grafana does not take them.
    """
    token = os.environ.get(_TOKEN, "")
    if not token:
        raise UsageError(
            f"{_TOKEN} is not set: it is the token of a service account of {url} "
            "(Administration, Service accounts) that may write dashboards"
        )
    for place in push(dashboards(), url, token, folder_uid=folder, message=message):
        click.echo(place)
