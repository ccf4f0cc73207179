"""Puts a state directory in order after a daemon that was killed, or a disk that damaged it."""

import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from agentmem_observe.bench.runner import RUN_DIRECTORY_PREFIX
from agentmem_observe.daemon.state.database import files_of
from agentmem_observe.daemon.state.rows import RunRow, run_of_result
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.schema import is_name
from agentmem_observe.results.store import BenchmarkResults

WORK = "work"
"""The directory, in the state's, in which runs get theirs."""

_logger = logging.getLogger(__name__)

# As `files` names what it has not renamed yet, of those files alone that a daemon writes.
_HALF_A_RESULT = re.compile(r"\..+_\d{8}_\d{6}(_\d+)?\.json\.tmp", re.ASCII)
_HALF_A_FILE = re.compile(r"\.(token|endpoint\.json)(\.[0-9a-f]{32})?\.tmp", re.ASCII)


def remove_leftovers(state_dir: Path, results_dir: Path) -> int:
    """Remove what a daemon was writing when it was killed, its runs' directories with it.

    Args:
        state_dir: Its directory; we hold its lock, so nobody is writing them.
        results_dir: Where its results are.

    Returns:
        How many there were.

    Raises:
        OSError: If the directory cannot be read or written.
    """
    removed = 0
    for path in _leftovers(state_dir, results_dir):
        path.unlink(missing_ok=True)
        removed += 1
    for path in (state_dir / WORK).glob(f"{RUN_DIRECTORY_PREFIX}*"):
        # What a container wrote may be another user's; that keeps nobody from starting.
        shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path):
            _logger.warning("%s: cannot be removed; remove it yourself", path)
        else:
            removed += 1
    return removed


def unrecorded(results: BenchmarkResults, known: set[str]) -> list[str]:
    """Return the result files that have no row, oldest first.

    Args:
        results: The directory.
        known: The paths that have one.

    Raises:
        ResultFormatError: If the directory cannot be read.
    """
    return [path for path in results.list_results() if path not in known]


def read_run(results: BenchmarkResults, path: str) -> RunRow | None:
    """Return the row of a result file; None, with a warning, if it is no result of a job."""
    try:
        run = run_of_result(results.load_result(path), path)
    except ResultFormatError as error:
        _logger.warning("left alone: %s", error)
        return None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Valid as a result, but what is below metadata is not as we write it.
        _logger.warning("left alone: %s: not written by a daemon: %r", path, error)
        return None
    if run is None:
        _logger.info("left alone: %s: not the result of a job", path)
    return run


def move_aside(database: Path) -> Path:
    """Rename a damaged database and return its new path; its log keeps to it.

    Args:
        database: Closed by now.

    Raises:
        OSError: If it cannot be renamed.
    """
    aside = database.with_name(f"{database.name}.damaged-{time.strftime('%Y%m%d_%H%M%S')}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = aside.with_name(f"{aside.name.partition('#')[0]}#{number}")
    # The log first: without its file it means nothing, and with the next file it would harm.
    for old, new in reversed(list(zip(files_of(database), files_of(aside), strict=True))):
        if os.path.lexists(old):
            os.rename(old, new)
    return aside


def _leftovers(state_dir: Path, results_dir: Path) -> Iterator[Path]:
    yield from (path for path in state_dir.iterdir() if _HALF_A_FILE.fullmatch(path.name))
    if not results_dir.is_dir():
        return
    for category in results_dir.iterdir():
        if is_name(category.name) and category.is_dir():
            yield from (path for path in category.iterdir() if _HALF_A_RESULT.fullmatch(path.name))
