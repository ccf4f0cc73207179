"""Files that are made from code and kept beside it: written, or compared with what is there."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from agentmem_observe.errors import UsageError

_LINES_SHOWN = 20


def write_generated(files: Mapping[Path, str]) -> list[Path]:
    """Write files whose content is not what it should be; return which.

    Args:
        files: What should be where.

    Raises:
        UsageError: If one cannot be written.
    """
    changed = [path for path, text in files.items() if _read(path) != text]
    for path in changed:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return changed


def find_drift(files: Mapping[Path, str]) -> list[str]:
    """Return a sentence and the first different lines for each file that is not as it should be.

    Args:
        files: What should be where.
    """
    drifts = []
    for path, text in files.items():
        there = _read(path)
        if there is None:
            drifts.append(f"{path}: missing")
        elif there != text:
            diff = difflib.unified_diff(there.splitlines(), text.splitlines(), lineterm="", n=1)
            lines = list(diff)[2:]
            shown = "\n".join(f"  {line}" for line in lines[:_LINES_SHOWN])
            more = len(lines) - _LINES_SHOWN
            drifts.append(
                f"{path}: not as it is made\n{shown}"
                + (f"\n  and {more} more" if more > 0 else "")
            )
    return drifts


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
