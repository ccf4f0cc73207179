"""What ``agentmem-observe dashboards`` does, once its options are read."""

import os
from pathlib import Path

import click

from agentmem_observe.dashboards.build import dashboard_files, dashboards
from agentmem_observe.dashboards.push import push
from agentmem_observe.errors import UsageError
from agentmem_observe.generated import find_drift, write_generated

_TOKEN = "GRAFANA_TOKEN"


def build(output_dir: Path) -> None:
    """Write what is not as it should be, and say so.

    Raises:
        UsageError: If a file cannot be written.
    """
    files = dashboard_files(output_dir)
    changed = write_generated(files)
    for path in changed:
        click.echo(f"Wrote {path}", err=True)
    if not changed:
        click.echo(f"All {len(files)} dashboards in {output_dir} are as they should be", err=True)


def check(output_dir: Path) -> int:
    """Say what is not as it should be, and return the exit code.

    Raises:
        UsageError: If a file cannot be read.
    """
    files = dashboard_files(output_dir)
    drifts = find_drift(files)
    for drift in drifts:
        click.echo(drift)
    if drifts:
        cure = f"agentmem-observe dashboards build --output-dir {output_dir}"
        click.echo(f"{len(drifts)} of {len(files)} files differ; make them with: {cure}", err=True)
        return 1
    click.echo(f"All {len(files)} dashboards in {output_dir} are as they should be", err=True)
    return 0


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
