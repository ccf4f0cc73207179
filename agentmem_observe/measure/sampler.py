"""Probes run at a steady pace beside a run, each with its own bounded time series."""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from agentmem_observe.clock import SYSTEM_CLOCK, Clock

T = TypeVar("T")

DEFAULT_CAPACITY = 4096
"""Samples kept at full resolution: over an hour at one per second, some 2 MB."""


class Series(Generic[T]):
    """What one probe saw over time, thinned out evenly when it grows too long.

    Beyond ``capacity`` samples every second one is dropped, and from then on only every second
    new one is kept: a soak of any length keeps its whole course, its first sample and its last.

    Examples:
        >>> readings = iter(range(100))
        >>> series = Series(lambda: next(readings), capacity=4)
        >>> for _ in range(10):
        ...     series.take()
        >>> series.samples
        (0, 4, 8, 9)
    """

    def __init__(
        self,
        probe: Callable[[], T | None],
        capacity: int = DEFAULT_CAPACITY,
        cpu_clock_ns: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        """Begin an empty series.

        Args:
            probe: Returns a sample, or None when there is nothing left to observe.
            capacity: Samples to keep, >= 2; one more if the newest is not among them.
            cpu_clock_ns: CPU time of the calling thread: what probing takes from the machine.

        Raises:
            ValueError: If ``capacity`` is below 2.
        """
        if capacity < 2:
            raise ValueError(f"capacity is {capacity!r}; a course has two ends, so >= 2")
        self._probe = probe
        self._capacity = capacity
        self._cpu_clock_ns = cpu_clock_ns
        self._kept: list[T] = []
        self._stride = 1
        self._success_total = 0
        self._failure_total = 0
        self._gone_total = 0
        self._cpu_ns = 0
        self._last_error: str | None = None
        self.newest: T | None = None

    @property
    def samples(self) -> tuple[T, ...]:
        """The course so far, oldest first; to be read when sampling has stopped.

        ``newest`` may be read from any thread at any time.
        """
        if self.newest is None or self._kept[-1] is self.newest:
            return tuple(self._kept)
        return (*self._kept, self.newest)

    def take(self) -> None:
        """Run the probe once; a failure is counted and reported, never raised."""
        begun_ns = self._cpu_clock_ns()
        try:
            sample = self._probe()
        except Exception as error:
            self._failure_total += 1
            self._last_error = f"{type(error).__name__}: {error}"
        else:
            if sample is None:
                self._gone_total += 1
            else:
                self._keep(sample)
        finally:
            self._cpu_ns += self._cpu_clock_ns() - begun_ns

    def report(self) -> dict[str, float | int | str | None]:
        """Return how the probe itself did: successes, failures, and the CPU time it cost."""
        return {
            "probe_success_total": self._success_total,
            "probe_failure_total": self._failure_total,
            "probe_gone_total": self._gone_total,
            "probe_cpu_seconds": self._cpu_ns / 1e9,
            "probe_last_error": self._last_error,
        }

    def _keep(self, sample: T) -> None:
        if self._success_total % self._stride == 0:
            self._kept.append(sample)
            if len(self._kept) > self._capacity:
                del self._kept[1::2]
                self._stride *= 2
        self._success_total += 1
        self.newest = sample


class StopSignal(Protocol):
    """What the sampler needs of `threading.Event`."""

    def set(self) -> None:
        """Ask to stop."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; return whether to stop."""
        ...


class Sampler:
    """Runs probes every interval in a thread of its own, from ``start`` to ``stop``.

    It belongs into the supervisor, never into the process that is being measured. The first sample
    is taken in ``start`` and the last in ``stop``, so a run is always spanned. Ticks are absolute,
    so they do not drift; a tick whose time passed while probing is skipped and counted.
    """

    def __init__(
        self,
        series: Sequence[Series[Any]],
        interval_seconds: float,
        *,
        clock: Clock = SYSTEM_CLOCK,
        stop_signal: StopSignal | None = None,
    ) -> None:
        """Prepare a sampler; it can be started once.

        Args:
            series: The probes to run, in this order.
            interval_seconds: Time from tick to tick, > 0.
            clock: Tells when ticks are due.
            stop_signal: Waits between ticks; an event of its own by default.

        Raises:
            ValueError: If ``interval_seconds`` is not positive.
        """
        if not interval_seconds > 0:
            raise ValueError(f"interval_seconds is {interval_seconds!r}; it must be > 0")
        self._series = tuple(series)
        self._interval_ns = round(interval_seconds * 1e9)
        self._clock = clock
        self._stop_signal: StopSignal = stop_signal or threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._next_ns = 0
        self._stopped = False
        self.missed_total = 0

    def start(self) -> None:
        """Take the first samples, then go on in the background.

        Raises:
            RuntimeError: If it was started before.
        """
        if self._thread.ident is not None:
            raise RuntimeError("a sampler starts once; make another one")
        self._next_ns = self._clock.now_ns() + self._interval_ns
        self._take_all()
        self._thread.start()

    def stop(self) -> None:
        """Wait for the probe at work, take the last samples; a second call does nothing.

        Call it while the observed process is still alive, or the last sample is a tick old.
        """
        if self._stopped:
            return
        self._stopped = True
        self._stop_signal.set()
        self._thread.join()
        self._take_all()

    def __enter__(self) -> "Sampler":
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop_signal.wait(max(0, self._next_ns - self._clock.now_ns()) / 1e9):
            self._take_all()
            self._next_ns += self._interval_ns
            late_ns = max(0, self._clock.now_ns() - self._next_ns)
            missed = -(-late_ns // self._interval_ns)
            self._next_ns += missed * self._interval_ns
            self.missed_total += missed

    def _take_all(self) -> None:
        for series in self._series:
            series.take()
