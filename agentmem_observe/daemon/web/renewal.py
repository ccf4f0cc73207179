"""Keeps a web configuration up to date while the daemon runs for months."""

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from agentmem_observe.daemon.web.web_config import WebConfig, load_web_config
from agentmem_observe.errors import AgentMemObserveError, ConfigError

_logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How old what is in force may be; a look at the files costs some 5 µs each."""


class CurrentConfig:
    """The configuration in force: that of the files, unless they are wrong, then the last good.

    The files are looked at when the configuration is asked for: whoever replaces a certificate
    need not tell the daemon.

    Attributes:
        problem: Why what the files say now is not in force; "" if it is.
    """

    def __init__(
        self,
        file: Path | None,
        accept: Callable[[WebConfig, WebConfig], None],
        clock: Callable[[], float],
    ) -> None:
        """Read the file.

        Args:
            file: The file, None for none.
            accept: Called with what is in force and what the files say; raises an error of ours
                if the one cannot follow on the other.
            clock: Seconds that never go back.

        Raises:
            ConfigError: If anything in the file is wrong.
        """
        self.problem = ""
        self._file = file
        self._accept = accept
        self._clock = clock
        self._lock = threading.Lock()
        self._config = load_web_config(file) if file else WebConfig()
        self._stamp = _stamp(self._config.files)
        self._checked_at = clock()

    @property
    def value(self) -> WebConfig:
        """What is in force, at most `CHECK_SECONDS` behind the files."""
        now = self._clock()
        with self._lock:
            if now - self._checked_at >= CHECK_SECONDS:
                self._checked_at = now
                # What a refused file named may have come without the file changing again.
                if self.problem or _stamp(self._config.files) != self._stamp:
                    self._renew_or_complain()
            return self._config

    def reload(self) -> None:
        """Read the file again, whether or not it changed.

        Raises:
            ConfigError: If anything in it is wrong; what was in force stays.
        """
        with self._lock:
            self._renew()

    def _renew_or_complain(self) -> None:
        before = self.problem
        try:
            self._renew()
        except ConfigError:
            if self.problem != before:
                _logger.warning(
                    "web configuration stays as it was, the new one is wrong: %s", self.problem
                )

    def _renew(self) -> None:
        if self._file is None:
            return
        try:
            # Before reading: a change in between shows next time.
            stamp = _stamp(self._config.files)
            config = load_web_config(self._file)
            self._accept(self._config, config)
        except AgentMemObserveError as error:
            self.problem = str(error)
            raise ConfigError(self.problem) from None
        if config.files != self._config.files:
            stamp = _stamp(config.files)
        self._config, self._stamp, self.problem = config, stamp, ""


def _stamp(files: Iterable[Path]) -> list[tuple[int, int, int] | None]:
    return [_stamp_of(file) for file in files]


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        seen = os.stat(file)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
