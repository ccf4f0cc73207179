"""Says what becomes of generated files."""

from collections.abc import Mapping
from pathlib import Path

import click

from agentmem_observe.generated import find_drift, write_generated


def write_and_tell(files: Mapping[Path, str], fine: str) -> None:
    """Write what is not as it should be, and say so.

    Args:
        files: What should be where.
        fine: What to say if nothing had to be written.

    Raises:
        UsageError: If a file cannot be written.
    """
    written = write_generated(files)
    for path in written:
        click.echo(f"Wrote {path}", err=True)
    if not written:
        click.echo(fine, err=True)


def tell_drift(files: Mapping[Path, str], cure: str) -> bool:
    """Say what is not as it should be, and return whether there is any.

    Args:
        files: What should be where.
        cure: The command that makes them.

    Raises:
        UsageError: If a file cannot be read.
    """
    drifts = find_drift(files)
    for drift in drifts:
        click.echo(drift)
    if drifts:
        click.echo(f"{len(drifts)} of {len(files)} files differ; make them with: {cure}", err=True)
    return bool(drifts)
