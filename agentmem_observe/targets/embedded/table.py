"""The SQLite file: the last durable version of each record, and what was learned from them.

Each record has at most one row, whatever tier it is in. A row is replaced or deleted in the
transaction that writes its successor, so a process killed at any moment leaves every record with
its last committed version. Rows are appended and found by number; which record has which row is
known in RAM while the memory is open, which spares the file an index.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from agentmem_observe.errors import TargetError

FILE_NAME = "memory.sqlite3"
_FORMAT = 1  # 1: first
_PAGE_BYTES = 8192
_READ_ROWS = 2_000
_STATEMENT_ROWS = 90  # of 11 values: any SQLite takes 999 values per statement
_LOG_ROWS = 20_000  # some 12 MB
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, agent_id TEXT NOT NULL, record_id TEXT NOT NULL,
    tier TEXT NOT NULL, step INTEGER NOT NULL, importance REAL NOT NULL, age_ns INTEGER NOT NULL,
    payload BLOB NOT NULL, codec TEXT NOT NULL, codes BLOB NOT NULL, scale REAL NOT NULL);
CREATE TABLE IF NOT EXISTS learned (name TEXT PRIMARY KEY, content BLOB NOT NULL);
"""
_SYNCHRONOUS = {"relaxed": "OFF", "normal": "NORMAL", "full": "FULL"}


class Row(NamedTuple):
    """A record as it is on disk.

    Attributes:
        number: Row number, unique and ascending in the order of writing.
        agent_id: Whose record.
        record_id: Which record.
        tier: Where it was when it was written.
        step: The agent's step.
        importance: From 0 to 1.
        age_ns: Nanoseconds since it was stored.
        payload: Content and state, as `Packer` packs them.
        codec: Name of the codec of ``codes``.
        codes: The vector's code row.
        scale: The scale of the code row.
    """

    number: int
    agent_id: str
    record_id: str
    tier: str
    step: int
    importance: float
    age_ns: int
    payload: bytes
    codec: str
    codes: bytes
    scale: float


class Table:
    """The open file. Thread-safe: one writer, and one reader that never waits for it.

    Args:
        directory: Where the file is or will be.
        durability: ``relaxed``, ``normal`` or ``full``, see `EmbeddedOptions`.
        checkpoint_on_commit: Let commits shorten the log (and wait for that); else call
            `checkpoint`.

    Raises:
        TargetError: If the file cannot be opened or is of a newer format.
    """

    def __init__(self, directory: Path, durability: str, checkpoint_on_commit: bool) -> None:
        self._path = directory / FILE_NAME
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._checkpoint_lock = threading.Lock()
        self._writer = self._connect()
        try:
            self._prepare(durability, checkpoint_on_commit)
            self._reader = self._connect()
        except sqlite3.Error as error:
            self._writer.close()
            raise TargetError(
                f"{self._path}: {error}; it is no embedded memory, give another directory"
            ) from error
        except TargetError:
            self._writer.close()
            raise
        (last,) = self._writer.execute("SELECT COALESCE(MAX(number), 0) FROM records").fetchone()
        self._last_number: int = last
        self._rows_in_log = 0

    def replace(self, rows: Sequence[Row], replaced: Sequence[int]) -> list[int]:
        """Write rows and delete those they replace in one transaction; committed on return.

        Args:
            rows: New rows; their ``number`` is ignored and assigned here.
            replaced: Numbers of rows to delete.

        Returns:
            The numbers of the new rows, in order.

        Raises:
            sqlite3.Error: If the disk is full or broken; then nothing was written.
        """
        with self._write_lock:
            first = self._last_number + 1
            numbers = list(range(first, first + len(rows)))
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for start in range(0, len(rows), _STATEMENT_ROWS):
                    self._insert(rows[start : start + _STATEMENT_ROWS], first + start)
                for start in range(0, len(replaced), _STATEMENT_ROWS):
                    self._delete(replaced[start : start + _STATEMENT_ROWS])
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._last_number += len(rows)
            self._rows_in_log += len(rows) + len(replaced)
            return numbers

    def recode(self, codec: str, codes: Sequence[tuple[int, bytes, float]]) -> None:
        """Replace the codes of rows, given as (number, codes, scale), in one transaction."""
        with self._write_lock, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(
                "UPDATE records SET codec = ?, codes = ?, scale = ? WHERE number = ?",
                ((codec, blob, scale, number) for number, blob, scale in codes),
            )

    def read(self, number: int) -> Row:
        """Return one row that is known to exist."""
        with self._read_lock:
            row = self._reader.execute(
                "SELECT * FROM records WHERE number = ?", (number,)
            ).fetchone()
        return Row(*row)

    def read_all(self) -> Iterator[Row]:
        """Yield all rows in the order of writing; those of LTM without their payload."""
        with self._read_lock:
            cursor = self._reader.execute(
                "SELECT number, agent_id, record_id, tier, step, importance, age_ns,"
                " CASE tier WHEN 'ltm' THEN x'' ELSE payload END, codec, codes, scale"
                " FROM records ORDER BY number"
            )
            while rows := cursor.fetchmany(_READ_ROWS):
                yield from map(Row._make, rows)

    def learned(self, name: str) -> bytes | None:
        """Return what `learn` saved under a name, or None."""
        with self._read_lock:
            found = self._reader.execute("SELECT content FROM learned WHERE name = ?", (name,))
            row = found.fetchone()
        return None if row is None else bytes(row[0])

    def learn(self, name: str, content: bytes) -> None:
        """Save something learned from the records; committed on return."""
        with self._write_lock:
            self._writer.execute("INSERT OR REPLACE INTO learned VALUES (?, ?)", (name, content))

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log in bytes."""
        log = self._path.with_name(FILE_NAME + "-wal")
        return log.stat().st_size if log.exists() else 0

    def disk_bytes(self) -> int:
        """Return the size of all pages in use, in bytes."""
        with self._read_lock:
            (pages,) = self._reader.execute("PRAGMA page_count").fetchone()
            (free,) = self._reader.execute("PRAGMA freelist_count").fetchone()
            (page_bytes,) = self._reader.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * page_bytes)

    def wants_checkpoint(self) -> bool:
        """Tell whether the log has grown long."""
        return self._rows_in_log > _LOG_ROWS

    def checkpoint(self) -> None:
        """Copy the log into the file and empty it; writers wait only for what came meanwhile."""
        # SQLite tells a new connection "database is locked" while another one empties the log.
        with self._checkpoint_lock, closing(self._connect()) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # A foreign reader of the file may keep the log; never make writers wait for it.
            connection.execute("PRAGMA busy_timeout = 0")
            with self._write_lock, self._read_lock:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._rows_in_log = 0

    def close(self) -> None:
        """Close the file; SQLite empties and removes the log."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    # Each step of a statement gives up the interpreter's lock and has to win it back, which may
    # take 5 ms when other threads compute. So one statement writes many rows.

    def _insert(self, rows: Sequence[Row], first: int) -> None:
        values = ",".join(["(?,?,?,?,?,?,?,?,?,?,?)"] * len(rows))
        parameters: list[object] = []
        for number, row in enumerate(rows, first):
            parameters.append(number)
            parameters += row[1:]
        self._writer.execute(f"INSERT INTO records VALUES {values}", parameters)

    def _delete(self, numbers: Sequence[int]) -> None:
        marks = ",".join("?" * len(numbers))
        self._writer.execute(f"DELETE FROM records WHERE number IN ({marks})", numbers)

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise TargetError(
                f"{self._path}: {error}; give a directory that can be written"
            ) from error

    def _prepare(self, durability: str, checkpoint_on_commit: bool) -> None:
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version > _FORMAT:
            raise TargetError(
                f"{self._path}: format {version} is newer than {_FORMAT}; upgrade agentmem-observe"
            )
        self._writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        if not checkpoint_on_commit:
            self._writer.execute("PRAGMA wal_autocheckpoint = 0")
        self._writer.executescript(_SCHEMA)
        self._writer.execute(f"PRAGMA user_version = {_FORMAT}")
