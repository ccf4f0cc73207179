"""Runs and windows of a state directory: in SQLite, or in the spool until SQLite takes them.

All that is saved goes through the spool, and what is asked for comes from both. A database that
is damaged is moved aside and the runs are read back from their results.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from agentmem_observe.daemon.state import recovery
from agentmem_observe.daemon.state.database import Database, DatabaseDamaged, Spanned
from agentmem_observe.daemon.state.disk import Disk, is_damage
from agentmem_observe.daemon.state.lock import DirectoryLock
from agentmem_observe.daemon.state.rows import RunRow, SizedRun, WindowRow
from agentmem_observe.daemon.state.spool import Kind, Spool, SpooledResults
from agentmem_observe.errors import ConfigError, ResultFormatError

_logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

Seeing: TypeAlias = Callable[[float, float, list[float | None]], bool]
"""Gets a beginning, an end and figures, and returns whether it wants more."""

_READ_BACK = 100
"""Results at a time, of those without a row: a tenth of a second of work."""

_DAMAGE_PAUSE_SECONDS = 3600.0
"""A disk that damages its files again and again must not be filled with them."""


class Ledger:
    """Keeps and finds rows; threads take turns.

    Attributes:
        result_bytes: Of the result files of all runs.
        warnings: What happened to the database, for people to look at.
    """

    def __init__(self, path: Path, home: DirectoryLock, disk: Disk, spool: Spool) -> None:
        """Prepare; `start` opens the database.

        Args:
            path: Of the database.
            home: Holds the directory; paths of results are kept as seen from there.
            disk: Is told whether rows can be written.
            spool: Keeps those that cannot.
        """
        self.result_bytes = 0
        self.warnings: list[str] = []
        self._path = path
        self._home = home
        self._disk = disk
        self._spool = spool
        self._lock = threading.RLock()  # of all below
        self._database: Database | None = None
        self._known = False  # whether ids and results without a row were looked up in it
        self._damage = ""
        self._moved_aside_at: float | None = None
        self._next_id = 1
        self._unread: list[tuple[int, str]] = []  # ids and paths of results without a row

    def start(self, results: SpooledResults) -> None:
        """Open the database, and read back runs whose results have no row.

        Args:
            results: The results of all jobs.

        Raises:
            ConfigError: If the database is another program's or a newer version's.
        """
        self._results = results
        with self._lock:
            try:
                self._open()
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
            else:
                self._read_back()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def save_run(self, row: RunRow) -> RunRow:
        """Keep a run and return it with its id."""
        size = self._results.size_of(row.path)
        with self._lock:
            row = replace(row, id=self._next_id)
            self._next_id += 1
            self._spool.add_run(SizedRun(self._to_stored(row), size))
            self._write_if_possible()
        return row

    def save_window(self, row: WindowRow) -> None:
        """Keep a window."""
        with self._lock:
            self._spool.add_window(row)
            self._write_if_possible()

    def runs(self, job: str | None, limit: int, before_id: int | None) -> list[RunRow]:
        """Return the newest runs, newest first; see `state.State.runs`."""
        with self._lock:
            rows = [
                kept.item.row
                for kept in self._spool.runs()
                if job in (None, kept.item.row.job)
                and (before_id is None or _id(kept.item.row) < before_id)
            ]
            rows += self._read(lambda database: database.runs(job, limit, before_id), [])
        rows.sort(key=_id, reverse=True)
        return [self._to_shown(row) for row in rows[:limit]]

    def run(self, run_id: int) -> RunRow | None:
        """Return one run; None if there is none of that id."""
        with self._lock:
            waiting = [kept.item.row for kept in self._spool.runs() if kept.item.row.id == run_id]
            row = waiting[0] if waiting else self._read(lambda each: each.run(run_id), None)
        return None if row is None else self._to_shown(row)

    def windows(self, job: str, soak: str | None, limit: int, skip: int = 0) -> list[WindowRow]:
        """Return the newest windows, oldest first; see `state.State.windows`."""
        none: list[WindowRow] = []
        with self._lock:
            waiting = [
                kept.item
                for kept in self._spool.windows()
                if kept.item.job == job and soak in (None, kept.item.soak)
            ]
            end = max(0, len(waiting) - skip)
            newest = waiting[max(0, end - limit) : end]
            left, skipped = limit - len(newest), max(0, skip - len(waiting))
            rows = self._read(lambda file: file.windows(job, soak, left, skipped), none)
        return rows + newest

    def window_figures(self, job: str, names: Sequence[str], see: Seeing) -> None:
        """Show figures of a job's windows, newest first; see `state.State.window_figures`."""
        with self._lock:
            waiting: list[RunRow | WindowRow] = [
                kept.item for kept in self._spool.windows() if kept.item.job == job
            ]
            if _shown(waiting, names, see):
                self._read(
                    lambda file: _seen(file.window_figures(job, names), see), otherwise=True
                )

    def run_figures(self, job: str, names: Sequence[str], see: Seeing) -> None:
        """Show figures of a job's runs that were ok; see `state.State.run_figures`."""
        with self._lock:
            waiting: list[RunRow | WindowRow] = [
                kept.item.row
                for kept in self._spool.runs()
                if kept.item.row.job == job and kept.item.row.status == "ok"
            ]
            if _shown(waiting, names, see):
                self._read(lambda file: _seen(file.run_figures(job, names), see), otherwise=True)

    def flush(self) -> None:
        """Write what waits, mend what is broken, and read back a few of the runs to be read."""
        with self._lock:
            if self._mend() and self._write():
                self._read_back()

    def ask(self, question: Callable[[Database], _Answer]) -> _Answer:
        """Return a function's answer; it has the database to itself.

        Raises:
            sqlite3.Error: If the database does not work.
        """
        with self._lock:
            if self._database is None:
                raise sqlite3.OperationalError("the database is not open")
            try:
                return question(self._database)
            except sqlite3.Error as error:
                self._failed(error)
                raise

    def delete_result(self, path: str) -> None:
        """Delete a run's result file, if it has one and it is where we keep them.

        Raises:
            OSError: If it cannot be deleted.
        """
        file = self._home.directory / path
        if file.is_relative_to(self._results.results_dir) and ".." not in file.parts:
            file.unlink(missing_ok=True)

    def count_results(self) -> None:
        """Add up what the results take.

        Raises:
            sqlite3.Error: If the database does not work.
        """
        with self._lock:
            self.result_bytes = self.ask(Database.result_bytes)

    def _read(self, question: Callable[[Database], _Answer], otherwise: _Answer) -> _Answer:
        """Return an answer; while the database does not work, what is known without it."""
        if self._database is None:
            return otherwise
        try:
            return question(self._database)
        except sqlite3.Error as error:
            self._failed(error)
            return otherwise

    def _failed(self, error: Exception) -> None:
        if is_damage(error):
            self._damage = str(error)
        self._disk.failed("rows", error)

    def _write_if_possible(self) -> None:
        # While the disk fails each attempt may take long: `flush` makes the next one.
        if self._disk.takes("rows"):
            self._write()

    def _write(self) -> bool:
        """Write what waits; return whether the disk took it."""
        runs, windows = self._spool.runs(), self._spool.windows()
        try:
            self._disk.check()
            if self._database is None:
                raise sqlite3.OperationalError("the database is not open")
            if runs or windows:
                self._database.insert(
                    [kept.item for kept in runs], [kept.item for kept in windows]
                )
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return False
        self._spool.remove(Kind.RUN, *runs)
        self._spool.remove(Kind.WINDOW, *windows)
        self.result_bytes += sum(kept.item.result_bytes for kept in runs)
        self._disk.works("rows")
        return True

    def _mend(self) -> bool:
        """Get the directory and the database back, if need be; return whether they are there."""
        try:
            self._hold_directory()
            if self._database is None or not self._known or not self._disk.takes("rows"):
                self._open()
        except (sqlite3.Error, OSError, ConfigError) as error:
            self._failed(error)
            return False
        return True

    def _hold_directory(self) -> None:
        """See that the directory is ours; lock the one that has taken its place.

        Raises:
            OSError: If there is none.
            ConfigError: If another daemon has it.
        """
        try:
            self._disk.check()
        except OSError:
            # What is still open is of the directory that is gone.
            self.close()
            self._known = False
            if not self._home.directory.is_dir():
                raise
            self._home.take()
            _logger.warning("%s: was replaced; going on in the new one", self._home.directory)

    def _open(self) -> None:
        """Open the database, anew if it is open; one that is damaged is moved aside."""
        try:
            if self._damage:
                raise DatabaseDamaged(self._damage)
            # Not all of it at every attempt: while a disk is full there are many.
            database = Database(self._path, checked=not self._known)
        except DatabaseDamaged as error:
            self._move_aside(str(error))
            database = Database(self._path)
        self.close()
        self._database = database
        if not self._known:
            self._look_up(database)
            self._known = True

    def _move_aside(self, damage: str) -> None:
        now = time.monotonic()
        if self._moved_aside_at is not None and now - self._moved_aside_at < _DAMAGE_PAUSE_SECONDS:
            raise sqlite3.DatabaseError(
                f"{self._path.name} is damaged again ({damage}); look at the disk, then start the "
                "daemon again"
            )
        self.close()
        self._known = False
        aside = recovery.move_aside(self._path)
        self._moved_aside_at, self._damage = now, ""
        warning = (
            f"{self._path.name} was damaged ({damage}) and is now {aside.name}; runs are read "
            "back from their results, windows of soaks are in that file alone"
        )
        self.warnings.append(warning)
        _logger.warning("%s: %s", self._home.directory, warning)

    def _look_up(self, database: Database) -> None:
        """Find results without a row, and ids for them and for what waits, in this order."""
        waiting = self._spool.runs()
        known = {str(self._home.directory / path) for path in database.paths()}
        known |= {str(self._home.directory / kept.item.row.path) for kept in waiting}
        try:
            unread = recovery.unrecorded(self._results, known)
        except ResultFormatError as error:
            self._disk.failed("results", error)
            unread = []
        first = database.last_id() + 1
        self._unread = list(enumerate(unread, first))
        following = first + len(unread)
        if waiting and _id(waiting[0].item.row) < following:
            following = self._spool.renumber_runs(following)
        self._next_id = max(self._next_id, following)
        self.result_bytes = database.result_bytes()

    def _read_back(self) -> None:
        """Give the newest results without a row theirs; there may be too many for one call."""
        batch = self._unread[-_READ_BACK:]
        runs = []
        for number, path in batch:
            if (row := recovery.read_run(self._results, path)) is not None:
                row = self._to_stored(replace(row, id=number))
                runs.append(SizedRun(row, self._results.size_of(path)))
        if runs:
            try:
                self.ask(lambda database: database.insert_recovered(runs))
                self.count_results()
            except sqlite3.Error:
                return  # noted by `ask`; they are read again
            _logger.info("%s: read %d runs back from results", self._home.directory, len(runs))
        del self._unread[-_READ_BACK:]

    def _to_stored(self, row: RunRow) -> RunRow:
        """Return a row whose path begins in the directory, which may be moved some day."""
        path = Path(row.path)
        if path.is_relative_to(self._home.directory):
            return replace(row, path=str(path.relative_to(self._home.directory)))
        return row

    def _to_shown(self, row: RunRow) -> RunRow:
        return replace(row, path=str(self._home.directory / row.path)) if row.path else row


def _shown(waiting: list[RunRow | WindowRow], names: Sequence[str], see: Seeing) -> bool:
    return _seen(
        (
            (row.started_at, row.ended_at, [row.figures.get(name) for name in names])
            for row in reversed(waiting)
        ),
        see,
    )


def _seen(rows: Iterable[Spanned], see: Seeing) -> bool:
    """Show rows until it is enough; return whether it is not."""
    return all(see(*row) for row in rows)


def _id(row: RunRow) -> int:
    assert row.id is not None  # every row that was saved has one
    return row.id
