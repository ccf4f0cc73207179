"""The exception tree: everything a user can cause or cure derives from one root.

AgentMemObserveError (exit 1)
├── UsageError          a wrong flag, category, benchmark or parameter
├── ConfigError         a configuration that does not validate
├── TargetError         a target that cannot be built, opened or reached
│   └── UnsupportedError    an operation the target says it does not have
├── BenchmarkError      a benchmark that broke its contract, died or timed out
│   └── ChildError          a case of it, in a process of its own, raised what is none of these
├── ResultFormatError   a result file that cannot be read or written
└── ExportError         a file or a server that does not take what is exported

Exit code 2 belongs to performance regressions alone; no error maps to it.
"""

import difflib
from collections.abc import Iterable


class AgentMemObserveError(Exception):
    """Root of all errors that the command line prints as one line, without a traceback."""

    exit_code = 1


class UsageError(AgentMemObserveError):
    """A wrong flag, category, benchmark name or parameter."""


class ConfigError(AgentMemObserveError):
    """A configuration that does not validate."""


class TargetError(AgentMemObserveError):
    """A target that cannot be built, opened or reached."""


class UnsupportedError(TargetError):
    """An operation that the target says it does not have."""


class BenchmarkError(AgentMemObserveError):
    """A benchmark that broke its contract, died or timed out."""


class ChildError(BenchmarkError):
    """A case in a process of its own raised what is not ours: its text may hold records.

    Attributes:
        stack: The traceback of that process, for people.
    """

    def __init__(self, reason: str, stack: str) -> None:
        """Name the exception.

        Args:
            reason: Its type, a colon, and what it says.
            stack: Its traceback.
        """
        super().__init__(reason)
        self.stack = stack


class ResultFormatError(AgentMemObserveError):
    """A result file that cannot be read or written."""


class ExportError(AgentMemObserveError):
    """A file or a server that does not take what is exported."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known value, or lists all of them.

    Args:
        value: What the user wrote.
        known: The values that would have been accepted.

    Returns:
        A sentence to append to an error message.

    Examples:
        >>> did_you_mean("storge", ["storage", "self"])
        "did you mean 'storage'?"
        >>> did_you_mean("x", ["storage", "self"])
        'known: self, storage'
    """
    names = sorted(known)
    close = difflib.get_close_matches(value, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"
