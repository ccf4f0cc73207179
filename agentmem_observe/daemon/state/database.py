"""The SQLite file of a state directory: its schema, and the queries over runs and windows.

Rows come in and go out as `rows` has them; paths are kept as they are given. Nothing here handles
errors or threads: `state.State` does.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from agentmem_observe.daemon.state.disk import is_damage
from agentmem_observe.daemon.state.rows import RunRow, SizedRun, WindowRow
from agentmem_observe.errors import ConfigError

APPLICATION_ID = 0x616D656D  # "amem"
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        job TEXT NOT NULL, category TEXT NOT NULL, benchmark TEXT NOT NULL, target TEXT NOT NULL,
        started_at REAL NOT NULL, ended_at REAL NOT NULL,
        status TEXT NOT NULL, cause TEXT NOT NULL, reason TEXT NOT NULL,
        path TEXT NOT NULL, validity TEXT NOT NULL, figures TEXT NOT NULL,
        result_bytes INTEGER NOT NULL
    );
    CREATE INDEX runs_of_job ON runs (job);
    CREATE UNIQUE INDEX run_of_path ON runs (path) WHERE path != '';
    CREATE TABLE windows (
        id INTEGER PRIMARY KEY,
        job TEXT NOT NULL, soak TEXT NOT NULL, number INTEGER NOT NULL,
        started_at REAL NOT NULL, ended_at REAL NOT NULL, figures TEXT NOT NULL
    );
    CREATE INDEX windows_of_job ON windows (job);
    CREATE INDEX windows_of_soak ON windows (job, soak);
    """,
)
"""One script for each version of the schema; a file of version n has had the first n. Never
change one that was released: append. An index has the id too, so each of a job is in order."""

_RUN = (
    "id, job, category, benchmark, target, started_at, ended_at, status, cause, reason, path, "
    "validity, figures"
)
_WINDOW = "job, soak, number, started_at, ended_at, figures"
_RUN_VALUES = ", ".join("?" * 14)
_WINDOW_VALUES = ", ".join("?" * 6)

_LAST_ID = 2**63 - 1

_MOST_FIGURES = 50_000
"""Rows of one answer: half a second of CPU time."""

Spanned: TypeAlias = tuple[float, float, list[float | None]]
"""When something began, when it ended, and figures of it."""

_WAIT_SECONDS = 2.0
"""For a program of the user's that writes or backs up."""

_WAL_BYTES = 4 << 20
"""What the log keeps after a burst; SQLite itself copies it to the file every 4 MB."""

_CACHE_BYTES = 256 << 10
"""What SQLite may keep of the file in memory. Its own 2 MB would fill over hours, and look like a
leak of ours; what is read twice is in the kernel's cache anyway."""


class DatabaseDamaged(sqlite3.DatabaseError):
    """What SQLite finds wrong with its file."""


class Database:
    """An open database file, of the newest schema."""

    def __init__(
        self, path: Path, *, checked: bool = True, migrations: Sequence[str] = MIGRATIONS
    ) -> None:
        """Open the file, make it if there is none, and bring its schema up to date.

        Args:
            path: The file.
            checked: Whether to look for damage in all of it, a second for some 100 MB.
            migrations: See `MIGRATIONS`.

        Raises:
            ConfigError: If it has a newer schema, or is another program's.
            DatabaseDamaged: If it is damaged, or no database.
            sqlite3.Error: If the disk does not allow it.
        """
        self.path = path
        self._connection = _connect(path)
        try:
            self._prepare(checked, migrations)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._connection.close()

    def insert(self, runs: Iterable[SizedRun], windows: Iterable[WindowRow]) -> None:
        """Add rows, all or none. A run takes the place of one with its id or its path."""
        with self._transaction() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO runs VALUES ({_RUN_VALUES})", map(_run_values, runs)
            )
            connection.executemany(
                f"INSERT INTO windows ({_WINDOW}) VALUES ({_WINDOW_VALUES})",
                map(_window_values, windows),
            )

    def insert_recovered(self, runs: Iterable[SizedRun]) -> None:
        """Add runs of which there may be a row by now: that one stays."""
        with self._transaction() as connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO runs VALUES ({_RUN_VALUES})", map(_run_values, runs)
            )

    def runs(self, job: str | None, limit: int, before_id: int | None) -> list[RunRow]:
        """Return runs, newest first."""
        of_job = "" if job is None else "AND job = ?"
        return _runs(
            self._connection.execute(
                f"SELECT {_RUN} FROM runs WHERE id < ? {of_job} ORDER BY id DESC LIMIT ?",
                [_LAST_ID if before_id is None else before_id, *_given(job), limit],
            )
        )

    def run(self, run_id: int) -> RunRow | None:
        """Return one run."""
        found = _runs(self._connection.execute(f"SELECT {_RUN} FROM runs WHERE id = ?", [run_id]))
        return found[0] if found else None

    def windows(self, job: str, soak: str | None, limit: int, skip: int = 0) -> list[WindowRow]:
        """Return the newest windows but for the very newest, oldest first."""
        of_soak = "" if soak is None else "AND soak = ?"
        rows = self._connection.execute(
            f"SELECT {_WINDOW} FROM windows WHERE job = ? {of_soak} "
            "ORDER BY id DESC LIMIT ? OFFSET ?",
            [job, *_given(soak), limit, skip],
        )
        newest_first = [WindowRow(*(*row[:-1], json.loads(row[-1]))) for row in rows]
        return newest_first[::-1]

    def window_figures(self, job: str, names: Sequence[str]) -> Iterator[Spanned]:
        """Yield when windows began and ended with some of their figures, newest first."""
        return self._figures("windows WHERE job = ?", job, names)

    def run_figures(self, job: str, names: Sequence[str]) -> Iterator[Spanned]:
        """Yield the same of runs that were ok."""
        return self._figures("runs WHERE job = ? AND status = 'ok'", job, names)

    def last_id(self) -> int:
        """Return the highest id of a run; 0 without any."""
        return self._number("SELECT coalesce(max(id), 0) FROM runs")

    def paths(self) -> set[str]:
        """Return the paths of all result files."""
        return {path for (path,) in self._connection.execute("SELECT path FROM runs")}

    def result_bytes(self) -> int:
        """Return the bytes of all result files."""
        return self._number("SELECT coalesce(sum(result_bytes), 0) FROM runs")

    def jobs(self) -> list[str]:
        """Return the names of all jobs that have rows, whether they still exist or not."""
        rows = self._connection.execute("SELECT job FROM runs UNION SELECT job FROM windows")
        return [job for (job,) in rows]

    def newest_end(self) -> float | None:
        """Return when the newest run or window ended, in seconds since 1970; None without any."""
        end: float | None = self._connection.execute(
            "SELECT max(ended_at) FROM "
            "(SELECT ended_at FROM runs UNION ALL SELECT ended_at FROM windows)"
        ).fetchone()[0]
        return end

    def runs_ended_before(self, job: str, time: float, limit: int) -> list[tuple[int, str, int]]:
        """Return id, path and bytes of a job's oldest runs, never of its last."""
        return self._connection.execute(
            "SELECT id, path, result_bytes FROM runs WHERE job = ? AND ended_at < ? "
            "AND id < (SELECT max(id) FROM runs WHERE job = ?) ORDER BY id LIMIT ?",
            [job, time, job, limit],
        ).fetchall()

    def oldest_results(self, limit: int) -> list[tuple[int, str, int]]:
        """Return id, path and bytes of the oldest runs with a file, of no job the last."""
        return self._connection.execute(
            "SELECT id, path, result_bytes FROM runs WHERE result_bytes > 0 "
            "AND id NOT IN (SELECT max(id) FROM runs GROUP BY job) ORDER BY id LIMIT ?",
            [limit],
        ).fetchall()

    def delete_runs(self, ids: Iterable[int]) -> None:
        """Delete runs."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM runs WHERE id = ?", [[each] for each in ids])

    def last_window_ended_before(self, job: str, time: float, limit: int) -> int:
        """Return the last id of those of a job's oldest ``limit`` windows that are older."""
        # From the old end on, and no further than the first that is to stay: all windows are
        # too many to look at.
        rows = self._connection.execute(
            "SELECT id, ended_at FROM windows WHERE job = ? ORDER BY id LIMIT ?", [job, limit]
        )
        last = 0
        with closing(rows):
            for number, ended_at in rows:
                if ended_at >= time:
                    break
                last = number
        return last

    def last_window_beyond(self, job: str, most: int) -> int:
        """Return the id of the newest window that has ``most`` newer ones; 0 if none has."""
        return self._number(
            "SELECT coalesce((SELECT id FROM windows WHERE job = ? ORDER BY id DESC "
            "LIMIT 1 OFFSET ?), 0)",
            job,
            most,
        )

    def delete_windows(self, job: str, last_id: int, limit: int) -> int:
        """Delete a job's oldest windows up to an id, and return how many."""
        with self._transaction() as connection:
            return connection.execute(
                "DELETE FROM windows WHERE id IN (SELECT id FROM windows "
                "WHERE job = ? AND id <= ? ORDER BY id LIMIT ?)",
                [job, last_id, limit],
            ).rowcount

    def shrink(self, pages: int) -> bool:
        """Give up to ``pages`` pages back to the disk; return whether there may be more."""
        before = self._number("PRAGMA freelist_count")
        self._connection.execute(f"PRAGMA incremental_vacuum({pages:d})").fetchall()
        return 0 < self._number("PRAGMA freelist_count") < before

    def checkpoint(self) -> None:
        """Copy the log into the file; before, the file does not get smaller."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _prepare(self, checked: bool, migrations: Sequence[str]) -> None:
        try:
            version = self._number("PRAGMA user_version")
            self._refuse_others(version, len(migrations))
            if version == 0:
                # Before the first table: later it takes a VACUUM.
                self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
            # A process that is killed loses nothing; a power cut may take the last seconds.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchall()
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_BYTES >> 10}")
            found = self._check() if checked else "ok"
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise DatabaseDamaged(str(error)) from error
            raise
        if found != "ok":
            raise DatabaseDamaged(found)
        for number, script in enumerate(migrations[version:], version + 1):
            self._migrate(number, script)

    def _check(self) -> str:
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        return " ".join(str(found).split())

    def _refuse_others(self, version: int, newest: int) -> None:
        if version > newest:
            raise ConfigError(
                f"{self.path}: schema {version} is newer than {newest}; upgrade "
                "agentmem-observe, or choose another --state-dir"
            )
        if self._number("PRAGMA application_id") != APPLICATION_ID and self._number(
            "SELECT count(*) FROM sqlite_master"
        ):
            raise ConfigError(
                f"{self.path}: the database of another program; choose another --state-dir"
            )

    def _migrate(self, version: int, script: str) -> None:
        with self._transaction() as connection:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # of some errors SQLite itself rolls back
                connection.execute("ROLLBACK")
            raise

    def _figures(self, of: str, job: str, names: Sequence[str]) -> Iterator[Spanned]:
        # SQLite takes the figures out: as Python objects all that rows have would be tens of MB.
        picked = ", ".join(f"json_extract(figures, '$.{name}')" for name in names)
        rows = self._connection.execute(
            f"SELECT started_at, ended_at, {picked} FROM {of} ORDER BY id DESC LIMIT ?",
            [job, _MOST_FIGURES],
        )
        with closing(rows):
            for started_at, ended_at, *figures in rows:
                yield started_at, ended_at, figures

    def _number(self, query: str, *values: object) -> int:
        (number,) = self._connection.execute(query, values).fetchone()
        return int(number)


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that make up a database."""
    return (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))


def size_of(path: Path) -> int:
    """Return how many bytes the files of a database have."""
    total = 0
    for file in files_of(path):
        try:
            total += os.stat(file).st_size
        except OSError:
            continue  # the log comes and goes
    return total


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are begun by hand, and threads take turns in `state.State`.
    return sqlite3.connect(
        path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )


def _runs(rows: Iterable[tuple[Any, ...]]) -> list[RunRow]:
    return [RunRow(*(*row[:-1], json.loads(row[-1]))) for row in rows]


def _given(value: str | None) -> list[str]:
    return [] if value is None else [value]


def _run_values(run: SizedRun) -> list[object]:
    row = run.row
    return [
        row.id,
        row.job,
        row.category,
        row.benchmark,
        row.target,
        row.started_at,
        row.ended_at,
        row.status,
        row.cause,
        row.reason,
        row.path,
        row.validity,
        json.dumps(row.figures),
        run.result_bytes,
    ]


def _window_values(row: WindowRow) -> list[object]:
    return [row.job, row.soak, row.number, row.started_at, row.ended_at, json.dumps(row.figures)]
