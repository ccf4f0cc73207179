"""Who may use the host now: soaks share it, window by window; a benchmark has it to itself."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_EVERY_SECONDS = 0.5


class Host:
    """Grants the host. Whoever waits to have it alone comes before further windows of soaks.

    Examples:
        >>> host = Host()
        >>> host.share("soak"), host.share("other soak")
        (True, True)
        >>> host.leave("soak")
    """

    def __init__(self) -> None:
        """Begin with nobody on it."""
        self._changed = threading.Condition()
        self._sharing: set[str] = set()
        self._line: deque[object] = deque()  # the first has it alone, once nobody shares it

    def share(self, job: str) -> bool:
        """Let a job use the host beside others, if nobody has it alone or waits to.

        Args:
            job: Its name; it has the host until it leaves.

        Returns:
            Whether it has it, as it may already; if not, it is to ask again later.
        """
        with self._changed:
            if not self._line:
                self._sharing.add(job)
            return job in self._sharing

    def leave(self, job: str) -> None:
        """A job no longer shares the host; one that did not may say so too."""
        with self._changed:
            self._sharing.discard(job)
            self._changed.notify_all()

    @contextmanager
    def alone(self, stop: threading.Event) -> Iterator[bool]:
        """Have the host alone while the context is open, in the order of asking.

        Args:
            stop: When set, waiting ends.

        Yields:
            Whether the host was granted; False if it was stopped before.
        """
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            while not stop.is_set() and (self._sharing or self._line[0] is not ticket):
                self._changed.wait(_LOOK_EVERY_SECONDS)
        try:
            yield not stop.is_set()
        finally:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
