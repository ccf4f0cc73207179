"""What cannot be written now is kept in memory, within bounds, and written when the disk allows.

Rows and result documents come from the jobs' threads; the state takes rows out once SQLite has
them, and `SpooledResults` takes documents out once their files are there.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from agentmem_observe.daemon.state.disk import Disk
from agentmem_observe.daemon.state.rows import JOB, SizedRun, WindowRow
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.store import BenchmarkResults, paths_of

_logger = logging.getLogger(__name__)

_MOST_ITEMS = 20_000
_MOST_BYTES = 64 << 20
"""A result has 10 to 100 kB, a row about one: days of both."""

_ROW_BYTES = 1_000
"""Of a row beside its figures, about, as Python objects."""

Item = TypeVar("Item")


class Kind(Enum):
    """What is kept; what comes first is dropped first when memory is full."""

    WINDOW = "windows"
    DOCUMENT = "documents"
    RUN = "runs"


@dataclass(frozen=True, slots=True)
class Kept(Generic[Item]):
    """One item.

    Attributes:
        serial: Names it in this spool.
        item: What is to be written.
        size: Bytes it takes, about.
    """

    serial: int
    item: Item
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """A result that has no file yet.

    Attributes:
        path: Where it will be.
        stem: Benchmark and timestamp.
        text: The file's content.
    """

    path: Path
    stem: str
    text: str


class Spool:
    """Keeps items in the order they came, and drops the oldest of the least important if need be.

    Attributes:
        lost: How many were dropped.
        writing: Held while files are written, so that no two results want one name.
    """

    def __init__(self, most_items: int = _MOST_ITEMS, most_bytes: int = _MOST_BYTES) -> None:
        """Start empty.

        Args:
            most_items: Keep no more.
            most_bytes: Keep no more, about; >= 0.
        """
        self.lost = 0
        self.writing = threading.Lock()
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._kept: dict[Kind, dict[int, Kept[Any]]] = {kind: {} for kind in Kind}
        self._bytes = 0
        self._serial = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def add_window(self, row: WindowRow) -> None:
        """Keep a window."""
        self._add(Kind.WINDOW, row, _ROW_BYTES + len(json.dumps(row.figures)))

    def add_run(self, run: SizedRun) -> None:
        """Keep a run."""
        self._add(Kind.RUN, run, _ROW_BYTES + len(json.dumps(run.row.figures)))

    def add_document(self, document: Document) -> None:
        """Keep a result."""
        self._add(Kind.DOCUMENT, document, len(document.text))

    def windows(self) -> list[Kept[WindowRow]]:
        """Return the windows, oldest first."""
        return self._all(Kind.WINDOW)

    def runs(self) -> list[Kept[SizedRun]]:
        """Return the runs, oldest first."""
        return self._all(Kind.RUN)

    def documents(self) -> list[Kept[Document]]:
        """Return the results, oldest first."""
        return self._all(Kind.DOCUMENT)

    def remove(self, kind: Kind, *kept: Kept[Any]) -> None:
        """Forget what is written; it may have been dropped meanwhile."""
        with self._lock:
            for each in kept:
                if self._kept[kind].pop(each.serial, None):
                    self._bytes -= each.size

    def renumber_runs(self, first: int) -> int:
        """Give the runs new ids, in their order.

        Args:
            first: The first one's.

        Returns:
            The id after the last.
        """
        with self._lock:
            runs = self._kept[Kind.RUN]
            for number, kept in enumerate(list(runs.values()), first):
                row = replace(kept.item.row, id=number)
                runs[kept.serial] = replace(kept, item=replace(kept.item, row=row))
            return first + len(runs)

    def _all(self, kind: Kind) -> list[Kept[Any]]:
        with self._lock:
            return list(self._kept[kind].values())

    def _count(self) -> int:
        return sum(map(len, self._kept.values()))

    def _add(self, kind: Kind, item: object, size: int) -> None:
        with self._lock:
            self._serial += 1
            self._kept[kind][self._serial] = Kept(self._serial, item, size)
            self._bytes += size
            while self._count() > self._most_items or self._bytes > self._most_bytes:
                self._drop()

    def _drop(self) -> None:
        kept = next(filter(None, self._kept.values()))  # an Enum's members keep their order
        self._bytes -= kept.pop(next(iter(kept))).size
        self.lost += 1


class SpooledResults(BenchmarkResults):
    """Saves the results of a job; they say of which job they are.

    What the disk does not take is kept, and its path is the one that it will have.
    """

    def __init__(self, results_dir: Path, disk: Disk, spool: Spool, job: str = "") -> None:
        """Use a directory.

        Args:
            results_dir: The directory of all jobs' results.
            disk: Is told whether results can be written.
            spool: Keeps what cannot be written.
            job: Whose results are saved.
        """
        super().__init__(results_dir)
        self._disk = disk
        self._spool = spool
        self._job = job

    def save_document(self, document: Mapping[str, Any]) -> str:
        """Save a whole result, now or later.

        Args:
            document: The five keys of a result.

        Returns:
            The path that it has or will have.

        Raises:
            ResultFormatError: If it has what JSON cannot have.
        """
        if isinstance(metadata := document.get("metadata"), Mapping):
            document = {**document, "metadata": {**metadata, JOB: self._job}}
        return super().save_document(document)

    def load_result(self, path: str | Path) -> dict[str, Any]:
        """Return a result as it stands in its file, or will; see `BenchmarkResults.load_result`.

        Args:
            path: The file.

        Raises:
            ResultFormatError: If there is none, or it is no result.
        """
        for kept in self._spool.documents():
            if str(kept.item.path) == str(path):
                document: dict[str, Any] = json.loads(kept.item.text)
                return document
        return super().load_result(path)

    def size_of(self, path: str) -> int:
        """Return how many bytes a result has, written or not; 0 if there is none."""
        for kept in self._spool.documents():
            if str(kept.item.path) == path:
                return kept.size
        try:
            return os.stat(path).st_size
        except OSError:
            return 0

    def flush(self) -> None:
        """Write what is kept, oldest first, as far as the disk takes it."""
        if not self._disk.takes("results"):
            self._look_again()
        for kept in self._spool.documents():
            with self._spool.writing:
                if not (
                    path := self._write(kept.item.path.parent, kept.item.stem, kept.item.text)
                ):
                    return
                self._spool.remove(Kind.DOCUMENT, kept)
            if path != str(kept.item.path):
                _logger.warning("%s: the name was taken, written as %s", kept.item.path, path)

    def _look_again(self) -> None:
        """See whether trouble is over that no document waits for, as when files are deleted."""
        try:
            self._disk.check()
            self.prepare()
        except (OSError, ResultFormatError) as error:
            self._disk.failed("results", _cause(error))
        else:
            if not self._spool.documents():
                self._disk.works("results")

    def _create(self, directory: Path, stem: str, text: str) -> str:
        with self._spool.writing:
            waiting = {kept.item.path for kept in self._spool.documents()}
            if not waiting and (path := self._write(directory, stem, text)):
                return path
            free = next(
                path
                for path in paths_of(directory, stem)
                if path not in waiting and not os.path.lexists(path)
            )
            self._spool.add_document(Document(free, stem, text))
            return str(free)

    def _write(self, directory: Path, stem: str, text: str) -> str:
        """Return the path of the file, "" if the disk did not take it."""
        try:
            self._disk.check()
            path = super()._create(directory, stem, text)
        except (OSError, ResultFormatError) as error:
            # The document was checked before: what is left to fail is the disk.
            self._disk.failed("results", _cause(error))
            return ""
        self._disk.works("results")
        return path


def _cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, OSError) else error
