"""Says how far something is that takes longer than people like to wait in silence."""

import sys
import time
from collections.abc import Callable

import click

_SILENT_SECONDS = 2.0
_EVERY_SECONDS = 2.0
_WIPE = "\r\x1b[2K"


class Counting:
    """Counts what is done; on a terminal in one line, elsewhere in a line every two seconds.

    Examples:
        >>> with Counting("read", "results", 3) as done:
        ...     for _ in range(3):
        ...         done()
    """

    def __init__(
        self, verb: str, noun: str, total: int, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with none; it says nothing in the first two seconds.

        Args:
            verb: What is done to them, in the past.
            noun: What they are.
            total: How many there are.
            now: Seconds.
        """
        self._what, self._verb, self._total, self._now = noun, verb, total, now
        self._count = 0
        self._due = now() + _SILENT_SECONDS
        self._on_line = False

    def __enter__(self) -> "Counting":
        return self

    def __exit__(self, *error: object) -> None:
        if self._on_line:
            click.echo(_WIPE, err=True, nl=False)

    def __call__(self) -> None:
        """One more is done."""
        self._count += 1
        if self._now() < self._due:
            return
        self._due = self._now() + _EVERY_SECONDS
        said = f"{self._verb} {self._count:,} of {self._total:,} {self._what}"
        self._on_line = sys.stderr.isatty()
        click.echo(f"{_WIPE}{said}" if self._on_line else said, err=True, nl=not self._on_line)
