"""How work without an end of its own waits for its turns, and learns that it is over."""

import os
import select
import threading
from collections.abc import Callable
from typing import BinaryIO

from agentmem_observe.bench.messages import GO, Alive, Asking, Window

ALIVE_EVERY_SECONDS = 1.0
"""How often a worker in turns says that it lives."""

Send = Callable[[Asking | Alive | Window], None]


class Turns:
    """What a benchmark without an end asks before each part of its work; here all are granted."""

    def next(self) -> bool:
        """Wait for the next turn; return False when there is none any more."""
        return True

    @property
    def over(self) -> bool:
        """Return whether the turn in hand is to be cut short."""
        return False

    def ended(self, window: Window) -> None:
        """Tell what came of a turn; what was measured in it is told already."""


class GrantedTurns(Turns):
    """Turns that the supervisor grants over a pipe; while they last, it hears that we live."""

    def __init__(self, pipe: BinaryIO, send: Send) -> None:
        """Begin to listen.

        Args:
            pipe: Brings `GO` for each turn, and ends when all is over.
            send: Takes messages to the supervisor, from any thread.
        """
        self._pipe = pipe.fileno()
        self._send = send
        self._granted = threading.Semaphore(0)
        self._over = threading.Event()
        threading.Thread(target=self._listen, name="turns", daemon=True).start()

    def next(self) -> bool:
        """Ask for the next turn and wait; return False when there is none any more."""
        if self.over:
            return False
        self._send(Asking())
        self._granted.acquire()
        return not self.over

    @property
    def over(self) -> bool:
        """Return whether the turn in hand is to be cut short."""
        return self._over.is_set()

    def ended(self, window: Window) -> None:
        """Tell what came of a turn."""
        self._send(window)

    def _listen(self) -> None:
        while not self.over:
            readable, _, _ = select.select([self._pipe], [], [], ALIVE_EVERY_SECONDS)
            if not readable:
                self._send(Alive())
                continue
            if not os.read(self._pipe, len(GO)):
                self._over.set()
            self._granted.release()
