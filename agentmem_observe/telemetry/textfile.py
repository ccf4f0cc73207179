"""A page of metrics as a file, for node_exporter's textfile collector."""

import os
from pathlib import Path

from agentmem_observe.errors import ExportError, UsageError
from agentmem_observe.files import replace_file
from agentmem_observe.telemetry.prometheus import Format, encode
from agentmem_observe.telemetry.registry import MetricRegistry

SUFFIX = ".prom"
"""What the collector wants the names of its files to end in."""

_MODE = 0o644  # node_exporter runs as a user of its own


def check_textfile(path: Path) -> None:
    """See that a file can be written, before it costs a run.

    Raises:
        UsageError: If it cannot, or if the collector would not read it.
    """
    if path.suffix != SUFFIX:
        raise UsageError(
            f"{path}: node_exporter reads only files that end in {SUFFIX}; name it "
            f"{path.name}{SUFFIX}"
        )
    if path.exists() and not path.is_file():  # a device would be replaced by a file
        raise UsageError(f"{path}: is not a file; name one that can be replaced")
    directory = path.parent
    if not directory.is_dir():
        raise UsageError(f"{path}: there is no directory {directory}; make it or name another")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(
            f"{path}: files cannot be written to {directory}; make it writable for this user or "
            "name another"
        )


def write_textfile(registry: MetricRegistry, path: Path) -> Path:
    """Write all metrics as text that everybody may read; readers see the old or the new.

    The file has no timestamps: the collector refuses those. It shows its own age as
    ``node_textfile_mtime_seconds``.

    Args:
        registry: What to write.
        path: Where; its name ends in ``.prom``.

    Returns:
        The path.

    Raises:
        UsageError: If `check_textfile` finds fault with it.
        ExportError: If it cannot be written; then an older one is still there.
    """
    check_textfile(path)
    page = encode(registry.collect(), Format.TEXT)
    try:
        replace_file(path, page.decode(), mode=_MODE)
    except OSError as error:
        raise ExportError(
            f"{path}: cannot be written: {error.strerror}; name another file or free some space"
        ) from error
    return path
