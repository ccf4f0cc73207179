"""Where a daemon can be asked: a note in its state directory, for commands on the same host."""

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentmem_observe.errors import ConfigError
from agentmem_observe.files import read_json, replace_file

_logger = logging.getLogger(__name__)

_FILE = "endpoint.json"


@contextmanager
def announce(state_dir: Path, url: str) -> Iterator[None]:
    """Note the URL of a daemon's server while the context is open.

    A full disk is no reason not to run: then commands have to be told the URL.

    Raises:
        ConfigError: If the note cannot be written for another reason.
    """
    path = state_dir / _FILE
    note = json.dumps({"url": url, "pid": os.getpid()}) + "\n"
    try:
        replace_file(path, note)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _write_in_place(path, note)
        else:
            raise ConfigError(
                f"{path}: cannot be written: {error.strerror}; choose another --state-dir"
            ) from error
    try:
        yield
    finally:
        # Not another's, who took over a directory that had gone and come back.
        try:
            if path.read_text(encoding="utf-8") == note:
                path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            _logger.warning(
                "%s: cannot be deleted: %s; commands find no daemon there until one starts again",
                path,
                error.strerror,
            )


def _write_in_place(path: Path, note: str) -> None:
    """Use the room that the note of a daemon takes that was killed."""
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(note.encode("ascii"))
            file.truncate()
    except OSError as error:
        _logger.warning("%s: cannot be written: %s; give --url to commands", path, error.strerror)


def announced(state_dir: Path) -> str:
    """Return the URL of the daemon that works in a state directory.

    Raises:
        ConfigError: If none does, or its note is damaged.
    """
    path = state_dir / _FILE
    if not path.exists():
        raise ConfigError(
            f"no daemon runs on {str(state_dir)!r}; start one with agentmem-observe daemon, or "
            "name another with --state-dir or --url"
        )
    note = read_json(path, ConfigError)
    if not (isinstance(note, dict) and isinstance(note.get("url"), str)):
        raise ConfigError(f"{path}: not the note of a daemon; name it with --url")
    url: str = note["url"]
    return url
