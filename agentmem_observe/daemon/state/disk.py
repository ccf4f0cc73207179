"""What the disk under a state directory takes at the moment, and what to do if it does not."""

import errno
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from agentmem_observe.errors import AgentMemObserveError

_logger = logging.getLogger(__name__)

What: TypeAlias = Literal["rows", "results"]

_FULL = "the disk is full; free some space"
_READ_ONLY = "it cannot be written; make it writable"
_GONE = "it is gone or replaced; put it back, or make an empty directory in its place"
_FAILING = "the disk fails; look at the system's log"
_HELD = "another program holds the database; end it"
_DAMAGED = "the database is damaged and will be made anew; look at the disk"
_OUT_OF_FILES = "too many files are open; raise the limit on open files"
_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOENT: _GONE,
    errno.ESTALE: _GONE,
    errno.EIO: _FAILING,
    errno.EMFILE: _OUT_OF_FILES,
    errno.ENFILE: _OUT_OF_FILES,
}
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: _READ_ONLY,
    sqlite3.SQLITE_IOERR: _FAILING,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_PRIMARY = 0xFF  # of SQLite's extended error codes, the byte that tells their kind


class Disk:
    """Knows whether rows and results can be written, and tells when that changes.

    Attributes:
        directory: The state directory.
        check: Raises an `OSError` if the directory is no longer the one that we hold.
    """

    def __init__(self, directory: Path, check: Callable[[], None]) -> None:
        """Assume that all is well.

        Args:
            directory: The state directory.
            check: See the attribute.
        """
        self.directory = directory
        self.check = check
        self._problems: dict[What, str] = {}
        self._lock = threading.Lock()

    @property
    def problem(self) -> str:
        """Return what is wrong, with the cure; "" if nothing is."""
        with self._lock:
            reasons = "; ".join(dict.fromkeys(self._problems.values()))
        prefix = f"{self.directory}: "
        return prefix + reasons.removeprefix(prefix) if reasons else ""

    def takes(self, what: What) -> bool:
        """Return whether the last attempt to write succeeded."""
        return what not in self._problems

    def failed(self, what: What, error: Exception) -> None:
        """An attempt to write failed."""
        reason = explain(error)
        with self._lock:
            new = self._problems.get(what) != reason
            self._problems[what] = reason
        if new:
            _logger.warning(
                "%s: %s cannot be written: %s; they wait in memory", self.directory, what, reason
            )

    def works(self, what: What) -> None:
        """An attempt to write succeeded."""
        with self._lock:
            was = self._problems.pop(what, "")
        if was:
            _logger.info("%s: %s are written again", self.directory, what)


def is_damage(error: Exception) -> bool:
    """Return whether SQLite says that its file is damaged, or none of its files."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def explain(error: Exception) -> str:
    """Return what an error of the disk means, with the cure.

    Examples:
        >>> explain(OSError(errno.ENOSPC, "No space left on device"))
        'the disk is full; free some space'
    """
    if isinstance(error, AgentMemObserveError):
        return str(error)
    if isinstance(error, OSError):
        known = _BY_ERRNO.get(error.errno or 0)
        return known or f"{error.strerror or error}; make it a directory that can be written"
    return _BY_SQLITE_CODE.get(_code(error)) or str(error)


def _code(error: Exception) -> int:
    # SQLite's own errors have one; those that its Python module makes up have none.
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY
