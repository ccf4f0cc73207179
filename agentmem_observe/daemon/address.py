"""Where a daemon can be asked: a note in its state directory, for commands on the same host."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentmem_observe.errors import ConfigError
from agentmem_observe.files import read_json, replace_file

_FILE = "endpoint.json"


@contextmanager
def announce(state_dir: Path, url: str) -> Iterator[None]:
    """Note the URL of a daemon's server while the context is open.

    Raises:
        ConfigError: If the note cannot be written.
    """
    path = state_dir / _FILE
    try:
        replace_file(path, json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written: {error.strerror}; choose another --state-dir"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


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
