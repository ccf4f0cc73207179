"""What the daemon remembers: runs and windows in SQLite, results in files, and a lock on them.

Jobs save and the web reads, each from threads of their own. Whatever is saved goes through the
spool: the database gets it in the same call, or when the disk allows it again.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agentmem_observe.daemon.state import recovery
from agentmem_observe.daemon.state.database import Database, size_of
from agentmem_observe.daemon.state.disk import Disk
from agentmem_observe.daemon.state.ledger import Ledger, Seeing
from agentmem_observe.daemon.state.lock import DirectoryLock
from agentmem_observe.daemon.state.retention import Retention, prune
from agentmem_observe.daemon.state.rows import RunRow as RunRow
from agentmem_observe.daemon.state.rows import WindowRow as WindowRow
from agentmem_observe.daemon.state.spool import Spool, SpooledResults
from agentmem_observe.errors import ConfigError, ResultFormatError
from agentmem_observe.results.schema import plain

_logger = logging.getLogger(__name__)

DATABASE = "state.sqlite"
RESULTS = "results"

_MOST_ROWS = 10_000
_LOOKED_AT = 100  # of a job's newest runs, for one that was not interrupted
"""Of one answer."""


@dataclass(frozen=True, slots=True)
class StateHealth:
    """How the disk is doing.

    Attributes:
        writable: Whether what is found can be kept.
        problem: Why not, with the cure; "" if it can.
        pending: Rows and results that wait in memory.
        lost: Those that did not fit there.
        bytes: Of the database and of all results that have a row.
        warnings: What happened to the state since the daemon started, for people to look at.
    """

    writable: bool
    problem: str
    pending: int
    lost: int
    bytes: int
    warnings: tuple[str, ...] = ()


class State:
    """The state directory of one daemon.

    Examples:
        >>> with State.open(getfixture("tmp_path")) as state:
        ...     state.save_window(WindowRow("soak", "worker 1", 0, 0.0, 60.0, {"operations": 9}))
        ...     state.windows("soak")[0].figures
        {'operations': 9}
    """

    def __init__(self, directory: Path, spool: Spool) -> None:
        """Use `State.open`."""
        self.directory = directory
        self._home = DirectoryLock(directory)
        self._disk = Disk(directory, self._home.check)
        self._spool = spool
        self._closed = False
        self._results = self.results("")
        self._ledger = Ledger(directory / DATABASE, self._home, self._disk, spool)

    @classmethod
    def open(cls, directory: Path, *, spool: Spool | None = None) -> Self:
        """Lock a state directory, make what is missing in it, and put it in order.

        Results whose rows were lost when a daemon was killed get them back.

        Args:
            directory: Where; it is made if need be.
            spool: Keeps what cannot be written.

        Raises:
            ConfigError: If another daemon has it, a newer version wrote it, or it cannot be
                made or locked. A full disk is no reason: then all is kept in memory.
        """
        directory = directory.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{directory}: the state directory cannot be made: {error.strerror}; "
                "make it writable, or choose another --state-dir"
            ) from error
        state = cls(directory, spool or Spool())
        state._home.take()
        try:
            state._start()
        except BaseException:
            state.close()
            raise
        return state

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, as far as the disk takes it, and give the lock back.

        What threads that still run save afterwards is lost.
        """
        if len(self._spool):
            self.flush()
        if pending := len(self._spool):
            _logger.warning("%s: %d rows and results are lost", self.directory, pending)
        self._closed = True
        self._ledger.close()
        self._home.release()

    @property
    def work_dir(self) -> Path:
        """Return where runs get directories of their own; emptied when a daemon starts."""
        return self.directory / recovery.WORK

    def results(self, job: str) -> SpooledResults:
        """Return where the results of a job are to be saved."""
        return SpooledResults(self.directory / RESULTS, self._disk, self._spool, job)

    def save_run(self, row: RunRow) -> RunRow:
        """Keep a run.

        Args:
            row: Its id does not matter.

        Returns:
            The row with its id.

        Raises:
            ResultFormatError: If the figures are not what JSON can have.
        """
        return self._ledger.save_run(replace(row, figures=_json(row.figures)))

    def save_window(self, row: WindowRow) -> None:
        """Keep a window.

        Args:
            row: The window.

        Raises:
            ResultFormatError: If the figures are not what JSON can have.
        """
        self._ledger.save_window(replace(row, figures=_json(row.figures)))

    def runs(
        self, job: str | None = None, limit: int = 50, before_id: int | None = None
    ) -> list[RunRow]:
        """Return runs, newest first.

        Args:
            job: Only of this job.
            limit: At most so many, and never more than 10,000.
            before_id: Only those older than this one.
        """
        return self._ledger.runs(job, _bounded(limit), before_id)

    def run(self, id: int) -> RunRow | None:
        """Return one run; None if there is none of that id."""
        return self._ledger.run(id)

    def result(self, row: RunRow) -> dict[str, Any] | None:
        """Return the result document of a run; None if it has none, or its file is gone."""
        if not self._results.size_of(row.path):  # a search for names alike takes long
            return None
        try:
            return self._results.load_result(row.path)
        except ResultFormatError as error:
            _logger.info("run %s has no result: %s", row.id, error)
            return None

    def last_run(self, job: str) -> RunRow | None:
        """Return a job's last run; None if it never ran."""
        return next(iter(self.runs(job, limit=1)), None)

    def last_started(self, job: str) -> float | None:
        """Return when a job's last run started, in seconds since 1970; None if it never ran.

        One that was interrupted, as by the end of the daemon, does not count: it is due again.
        """
        rows = self.runs(job, limit=_LOOKED_AT)
        return next((row.started_at for row in rows if row.cause != "interrupted"), None)

    def windows(
        self, job: str, *, soak: str | None = None, limit: int = 500, skip: int = 0
    ) -> list[WindowRow]:
        """Return a job's newest windows, oldest first.

        Args:
            job: Of this job.
            soak: Of this life of the process that holds the target; None for any.
            limit: At most so many, and never more than 10,000.
            skip: So many of the newest are left out, >= 0.
        """
        return self._ledger.windows(job, soak, _bounded(limit), skip)

    def window_figures(self, job: str, names: Sequence[str], see: Seeing) -> None:
        """Show figures of a job's windows, newest first, the newest 50,000 at most.

        Nothing is held of them but the one that is shown; meanwhile nothing is saved.

        Args:
            job: Of this job.
            names: Of the figures.
            see: Is called with when a window began, when it ended and its figures, None for those
                that it has not; returns whether to go on.
        """
        self._ledger.window_figures(job, names, see)

    def run_figures(self, job: str, names: Sequence[str], see: Seeing) -> None:
        """Show figures of a job's runs that were ok, as `window_figures` does of windows."""
        self._ledger.run_figures(job, names, see)

    def flush(self) -> None:
        """Try again what could not be written, and see that the directory is still there.

        To be called every few seconds; it costs next to nothing when all is well.
        """
        if self._closed:
            return
        self._ledger.flush()
        self._results.flush()

    def health(self) -> StateHealth:
        """Return how the disk is doing; it waits for nobody who is writing."""
        problem = self._disk.problem
        return StateHealth(
            writable=not problem,
            problem=problem,
            pending=len(self._spool),
            lost=self._spool.lost,
            bytes=self._ledger.result_bytes + size_of(self.directory / DATABASE),
            warnings=tuple(self._ledger.warnings),
        )

    def newest_end(self) -> float | None:
        """Return when the newest run or window ended, in seconds since 1970; None without any.

        Raises:
            sqlite3.Error: If the database does not work.
        """
        return self._ledger.ask(Database.newest_end)

    def prune(
        self,
        now: float,
        retentions: Mapping[str, float | None],
        default_seconds: float | None,
        max_bytes: int | None,
    ) -> int:
        """Delete runs with their results, and windows, that are too old or too many.

        The last run of each job stays. Files that no row names are never touched.

        Args:
            now: Seconds since 1970.
            retentions: For how many seconds, by job; None for ever.
            default_seconds: For how many, of all other jobs.
            max_bytes: Of all result files together; None for any number.

        Returns:
            How many runs and windows were deleted.
        """
        kept = Retention(default_seconds, retentions, max_bytes)
        try:
            self._disk.check()
            deleted = prune(self._ledger, now, kept)
            self._ledger.count_results()
        except sqlite3.Error as error:
            _logger.warning("%s: not all was deleted: %s", self.directory, error)
            return 0
        except OSError as error:
            self._disk.failed("results", error)
            return 0
        return deleted

    def _start(self) -> None:
        try:
            recovery.remove_leftovers(self.directory, self.directory / RESULTS)
        except OSError as error:
            self._disk.failed("results", error)
        self._ledger.start(self._results)


def _json(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures as they will be read, whatever becomes of the given ones."""
    copied: dict[str, Any] = plain(figures, "figures", [])
    return copied


def _bounded(limit: int) -> int:
    return max(0, min(limit, _MOST_ROWS))
