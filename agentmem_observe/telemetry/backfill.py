"""From result files to blocks of Prometheus: read one by one, written by promtool all or none."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agentmem_observe.errors import ExportError, ResultFormatError, UsageError
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.telemetry.history import History

PERIOD_MS: Final = 64_800_000
"""18 h, what promtool makes blocks of: it reads a whole text again for each block in it."""

LARGEST_BYTES: Final = 32 * 2**20
"""A result file has some 100 kB; reading a larger one than this would take gigabytes."""

_PROMTOOL_SECONDS = 600.0  # for the runs of 18 hours; it takes less than one
_BLOCK = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_LONGEST_REASON = 300

OnProgress = Callable[[int, int], None]
"""Is told how many are done, and how many there are."""


@dataclass(slots=True)
class Taken:
    """What became of result files.

    Attributes:
        used: How many are in the history.
        skipped: Why each of the others is not: a sentence that begins with its path.
    """

    used: int = 0
    skipped: list[str] = field(default_factory=list)


def take_results(store: BenchmarkResults, history: History, on_progress: OnProgress) -> Taken:
    """Add all results of a directory to a history.

    Args:
        store: The directory.
        history: Takes them.
        on_progress: Is told of files.

    Returns:
        What was taken, and what was not because it is damaged, of a newer format, too large, or
        from the future.

    Raises:
        ResultFormatError: If the directory exists and cannot be read.
        ExportError: If the history has no room.
    """
    paths = store.list_results()
    taken = Taken()
    for number, path in enumerate(paths, 1):
        try:
            _refuse_strange(Path(path))
            history.add(store.load_result(path))
            taken.used += 1
        except ResultFormatError as error:
            reason = str(error).removeprefix(path)
            colon = "" if reason != str(error) else ": "
            taken.skipped.append(f"{path}{colon}{_on_a_line(reason)}")
        on_progress(number, len(paths))
    return taken


def find_promtool(program: str) -> str:
    """Return the path of promtool.

    Args:
        program: A name to be found on the PATH, or a path.

    Raises:
        UsageError: If there is no such program.
    """
    if found := shutil.which(program):
        return found
    raise UsageError(
        f"{program}: no such program; it is in Debian's package prometheus (in newer releases in "
        "one of its own). Install it, name it with --promtool PATH, or write the text alone with "
        "--openmetrics FILE"
    )


@contextmanager
def blocks_directory(directory: Path, *, force: bool) -> Iterator[None]:
    """Make a directory for blocks; on leaving, remove what was made for it and stayed empty.

    Args:
        directory: Where.
        force: Whether blocks may be there already.

    Raises:
        UsageError: If there are.
        ExportError: If it cannot be made or read.
    """
    missing: list[Path] = []
    try:
        with _writing(directory):
            missing = [each for each in (directory, *directory.parents) if not each.exists()]
            directory.mkdir(parents=True, exist_ok=True)
            blocks = [each.name for each in directory.iterdir() if _BLOCK.fullmatch(each.name)]
        if blocks and not force:
            raise UsageError(
                f"{directory}: has blocks already ({len(blocks)}); name another directory with "
                "--output-dir, or add to them with --force"
            )
        yield
    finally:
        for each in missing:  # the deepest first
            with suppress(OSError):  # it is not empty, or was never made
                each.rmdir()


def create_blocks(
    history: History, directory: Path, promtool: str, on_progress: OnProgress
) -> int:
    """Write a history as blocks, all of them or none.

    Args:
        history: What to write.
        directory: An existing directory.
        promtool: Its path.
        on_progress: Is told of periods of 18 hours that have results.

    Returns:
        The number of blocks.

    Raises:
        ExportError: If promtool fails or the disk does.
    """
    periods = history.periods(PERIOD_MS)
    with (
        _writing(directory),
        # In there, so that a block only has to be renamed; Prometheus looks at no such name.
        tempfile.TemporaryDirectory(prefix=".backfill-", dir=directory) as temporary,
    ):
        text, made = Path(temporary, "history.om"), Path(temporary, "blocks")
        made.mkdir()
        for number, lines in enumerate(history.texts(periods), 1):
            _write(text, lines)
            # Each into a directory of its own: promtool opens all the blocks that it finds there.
            _run(promtool, text, made / str(number))
            on_progress(number, len(periods))
        blocks = list(made.glob("*/*"))
        for block in blocks:
            os.rename(block, directory / block.name)
    return len(blocks)


def write_text(history: History, file: Path, *, force: bool) -> None:
    """Write a history as OpenMetrics text.

    Args:
        history: What to write.
        file: Where.
        force: Whether to replace a file that is there.

    Raises:
        UsageError: If there is one and it is not to be replaced.
        ExportError: If it cannot be written; then nothing of it is left.
    """
    refuse_existing(file, force=force)
    with (
        _writing(file),
        tempfile.TemporaryDirectory(prefix=".backfill-", dir=file.parent) as temporary,
    ):
        text = Path(temporary, "history.om")
        _write(text, history.text())
        os.replace(text, file)


def refuse_existing(file: Path, *, force: bool) -> None:
    """Refuse to replace a file unless told to.

    Raises:
        UsageError: If it exists, or is something else than a file.
    """
    if file.exists() and not file.is_file():
        raise UsageError(f"{file}: is not a file; name one that can be replaced")
    if file.exists() and not force:
        raise UsageError(f"{file}: exists; name another file, or replace it with --force")


def _refuse_strange(path: Path) -> None:
    if not path.is_file():
        raise ResultFormatError("is not a file")
    if (size := path.stat().st_size) > LARGEST_BYTES:
        raise ResultFormatError(
            f"has {size:,} bytes; no result file has more than {LARGEST_BYTES:,}"
        )


def _on_a_line(text: str) -> str:
    line = text[: _LONGEST_REASON + 1].strip().replace("\n", "; ")
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"


def _write(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(lines)


def _run(promtool: str, text: Path, directory: Path) -> None:
    create = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=24h", "openmetrics"]
    try:
        ended = subprocess.run(
            [*create, str(text), str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_PROMTOOL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(
            f"{promtool} did not end within {_PROMTOOL_SECONDS:.0f} s; see whether the disk is "
            "full or slow, and try again"
        ) from None
    except OSError as error:
        raise ExportError(
            f"{promtool}: cannot be run: {error.strerror}; name another with --promtool PATH"
        ) from error
    if ended.returncode:
        said = _on_a_line(ended.stderr.decode(errors="replace"))
        raise ExportError(
            f"{promtool} could not make blocks: {said or f'exit code {ended.returncode}'}; "
            "see whether it is Prometheus' and of 2.24 or later"
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{path}: cannot be written: {error.strerror or error}; name another place"
        ) from error
