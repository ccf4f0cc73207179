"""Tells systemd how the daemon is: ready, reloading, stopping, alive.

Each message is a datagram to the socket that ``NOTIFY_SOCKET`` names; where there is none, nobody
asked. See sd_notify(3).
"""

import logging
import os
import socket
import time
from collections.abc import Mapping

from agentmem_observe.daemon.say import Say

SOCKET = "NOTIFY_SOCKET"
WATCHDOG_MICROSECONDS = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"

_PATIENCE_SECONDS = 1.0  # with a service manager that is busy and has its queue full


class Notifier:
    """Sends messages to the service manager; never raises, never waits for long.

    Attributes:
        watchdog_seconds: It ends the daemon if `watchdog` is not called for so long; None if it
            does not watch. Call it at least twice in that time.
    """

    def __init__(self, environment: Mapping[str, str], say: Say) -> None:
        """Find out whom to tell.

        Args:
            environment: What the service manager set.
            say: Is told, once, that messages do not arrive.
        """
        self._address = environment.get(SOCKET, "")
        self._say = say
        self._is_broken = False
        self.watchdog_seconds = _watchdog_seconds(environment) if self._address else None

    def ready(self, status: str = "") -> None:
        """The daemon has started, or has read its settings again.

        Args:
            status: A line about it for people, in ``systemctl status``; "" leaves the last one.
        """
        self._send("READY=1", *_status(status))

    def reloading(self) -> None:
        """The daemon begins to read its settings again; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self, grace_seconds: float = 0.0) -> None:
        """The daemon begins to end.

        Args:
            grace_seconds: It asks to be given so long for it, if that is more than it has.
        """
        microseconds = round(grace_seconds * 1e6)
        self._send(
            "STOPPING=1", *([f"EXTEND_TIMEOUT_USEC={microseconds}"] if microseconds else [])
        )

    def watchdog(self) -> None:
        """The daemon is alive; nothing is sent if nobody watches."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
                way.settimeout(_PATIENCE_SECONDS)
                way.connect(_bytes(self._address))
                way.send("\n".join(lines).encode(errors="replace"))
        except OSError as error:
            self._report(error)

    def _report(self, error: OSError) -> None:
        if self._is_broken:
            return
        self._is_broken = True
        self._say(
            "notify_failed",
            f"systemd cannot be told how the daemon is: {SOCKET}={self._address!r}: "
            f"{error.strerror or error}; the daemon goes on, but systemd may restart it",
            level=logging.WARNING,
        )


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get(WATCHDOG_MICROSECONDS, "")
    pid = environment.get(WATCHDOG_PID) or str(os.getpid())
    if not microseconds.isdecimal() or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None


def _status(text: str) -> list[str]:
    return [f"STATUS={' '.join(text.split())}"] if text else []


def _bytes(address: str) -> bytes:
    """Return an address as the kernel takes it: one that begins with @ is in no file system."""
    found = os.fsencode(address)
    return b"\0" + found[1:] if found.startswith(b"@") else found
