"""A thread that does upkeep when woken, and hands its failure to the next caller."""

import threading
from collections.abc import Callable

from agentmem_observe.errors import TargetError


class Upkeep:
    """Runs a piece of work in a thread each time it is woken.

    Args:
        work: The work; it gets a function that tells whether to stop early.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], None]) -> None:
        self._work = work
        self._woken = threading.Event()
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-upkeep", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Do the work soon; once, however often it is asked for until it starts."""
        self._woken.set()

    def check(self) -> None:
        """Raise what ended the thread, if anything did.

        Raises:
            TargetError: Caused by the thread's own error.
        """
        if self._error is not None:
            raise TargetError(
                f"background upkeep of the embedded memory failed: {self._error!r}; "
                "nothing acknowledged is lost, close and reopen it"
            ) from self._error

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopping = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._woken.wait()
                if self._stopping:
                    return
                self._woken.clear()
                self._work(lambda: self._stopping)
        except BaseException as error:
            self._error = error  # raised by the next `check`
