"""Where results go; files, read with errors that say where, written whole or not at all."""

import json
import os
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

from agentmem_observe.errors import AgentMemObserveError

RESULTS_DIRECTORY = "benchmark_results"
"""Where result files are unless told otherwise, below the current directory."""


def read_json(path: Path, error: type[AgentMemObserveError]) -> Any:
    """Return the content of a JSON file.

    Args:
        path: The file, UTF-8.
        error: What to raise; each reader has its own branch of the exception tree.

    Raises:
        AgentMemObserveError: ``error``, if the file is missing, unreadable or not JSON (then with
            line and column), or if an object in it has the same key twice.
    """
    text = _read_text(path, error)
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as problem:
        where = f"{path}:{problem.lineno}:{problem.colno}"
        raise error(f"{where}: not valid JSON: {problem.msg}") from None
    except RecursionError:
        raise error(f"{path}: not usable JSON: nested too deeply") from None
    except ValueError as problem:
        raise error(f"{path}: not usable JSON: {problem}") from None


def read_toml(path: Path, error: type[AgentMemObserveError]) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: The file, UTF-8.
        error: What to raise.

    Raises:
        AgentMemObserveError: ``error``, if the file is missing, unreadable or not TOML, then with
            line and column.
    """
    text = _read_text(path, error)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        said, _, place = str(problem).removesuffix(")").rpartition(" (at ")
        at = re.fullmatch(r"line (\d+), column (\d+)", place)
        where = f"{path}:{at[1]}:{at[2]}" if at else str(path)
        reason = said if at else f"{said} at its end"
        raise error(f"{where}: not valid TOML: {reason}") from None
    except RecursionError:
        raise error(f"{path}: not usable TOML: nested too deeply") from None
    except ValueError as problem:
        raise error(f"{path}: not usable TOML: {problem}") from None


def create_file(path: Path, content: str | bytes) -> None:
    """Write a file that must not exist yet; it appears complete or not at all.

    Whoever creates the temporary file owns the name until it is renamed, so of two processes that
    want the same name one gets it and the other a `FileExistsError`.

    Raises:
        FileExistsError: If the file exists or is being written.
        OSError: If it cannot be written; then nothing of it is left.
    """
    _write_and_rename(path.with_name(f".{path.name}.tmp"), path, content, replace=False)


def replace_file(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Write a file, in place of an older one if there is one; readers see the old or the new.

    Args:
        path: Where.
        content: What; text as UTF-8.
        mode: Who may do what with it, whatever the umask says; as the umask says if None.

    Raises:
        OSError: If it cannot be written; then the older one is still there.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    _write_and_rename(temporary, path, content, replace=True, mode=mode)


def _read_text(path: Path, error: type[AgentMemObserveError]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 text: {problem.reason} at byte {problem.start}") from None


def _write_and_rename(
    temporary: Path, path: Path, content: str | bytes, *, replace: bool, mode: int | None = None
) -> None:
    # Not tempfile: its files are for the owner's eyes only, and stay so when renamed.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            # Only now: before we owned the name, another writer could still have renamed.
            if not replace and os.path.lexists(path):
                raise FileExistsError(path)
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"key {key!r} is given twice")
        values[key] = value
    return values
