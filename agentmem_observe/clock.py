"""Time as a dependency: the real monotonic clock, and one that tests move by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in integer nanoseconds that can also wait."""

    def now_ns(self) -> int:
        """Return the current time in nanoseconds since an arbitrary origin."""
        ...

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Return at ``deadline_ns`` or, when that is past, at once."""
        ...


class SystemClock:
    """The machine's monotonic clock.

    ``now_ns`` is the builtin itself, so a hot loop pays no Python frame for it.
    """

    now_ns = staticmethod(time.perf_counter_ns)

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Sleep until an absolute deadline, re-sleeping after an early wake-up."""
        while (left := deadline_ns - time.perf_counter_ns()) > 0:
            time.sleep(left * 1e-9)


class FakeClock:
    """A clock that stands still until someone sleeps on it or advances it.

    Examples:
        >>> clock = FakeClock()
        >>> clock.sleep_until_ns(5)
        >>> clock.advance(1.5)
        >>> clock.now_ns()
        1500000005
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the virtual time in nanoseconds."""
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Jump to the deadline; never move backwards."""
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance(self, seconds: float) -> None:
        """Move the virtual time forward by ``seconds`` (>= 0)."""
        self._now_ns += round(seconds * 1e9)


SYSTEM_CLOCK = SystemClock()
