"""Holds a state directory for one daemon: a lock that ends with the process, however it ends."""

import errno
import fcntl
import os
from pathlib import Path

from agentmem_observe.errors import ConfigError

FILE = "lock"
"""In the state directory; holds the process id of who has it, for people. It is never deleted:
whoever deletes a lock's file lets two have it."""

_LONGEST_ID = 20


class DirectoryLock:
    """An flock on a file of a directory.

    Attributes:
        directory: Which.

    Examples:
        >>> lock = DirectoryLock(getfixture("tmp_path"))
        >>> lock.take()
        >>> lock.check()
        >>> lock.release()
    """

    def __init__(self, directory: Path) -> None:
        """Prepare; `take` takes it.

        Args:
            directory: It must exist when the lock is taken.
        """
        self.directory = directory
        self._descriptor: int | None = None
        self._identity: os.stat_result | None = None

    def take(self) -> None:
        """Take the lock; one held on a directory that stood here before is released.

        Raises:
            ConfigError: If another process has it, or there can be none here.
        """
        path = self.directory / FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._impossible(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, _LONGEST_ID).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise self._impossible(error) from error
            raise ConfigError(
                f"{self.directory}: another daemon uses it, process {holder or 'unknown'}; "
                "end it, or choose another --state-dir"
            ) from None
        self.release()
        self._descriptor, self._identity = descriptor, os.fstat(descriptor)
        self._sign(descriptor)

    def check(self) -> None:
        """See that the directory is still the one that is locked.

        Raises:
            OSError: If it was moved or deleted, or another file system lies over it: what is
                written through files that are open would be gone with it.
        """
        there = os.stat(self.directory / FILE)
        if self._identity is None or not os.path.samestat(there, self._identity):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._identity = None

    def _sign(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            # It is the flock that counts, and a full disk must not keep a daemon from starting.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise self._impossible(error) from error

    def _impossible(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"{self.directory}: the state directory cannot be locked: {error.strerror}; "
            "make it writable, or choose another --state-dir on a local disk"
        )
