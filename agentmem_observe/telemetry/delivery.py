"""One exporter with the thread that calls it, and the account of what became of what it got."""

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import Protocol

from agentmem_observe.telemetry.catalog import EXPORTER_ITEMS
from agentmem_observe.telemetry.registry import MetricRegistry

_logger = logging.getLogger(__name__)

_GRACE_SECONDS = 0.25  # of the time to finish: for a call that was cut off to return
_SDK_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)
_NO_LISTENER = ("failed to connect", "DNS resolution failed")  # in the details of gRPC's errors
_RESULTS = ("sent", "failed", "dropped")
_CODES = {status.value for status in HTTPStatus}
_PHRASES = {status.phrase: f"HTTP {status.value}" for status in HTTPStatus}


class Closable(Protocol):
    """An exporter, as far as it can be told to stop."""

    def shutdown(self) -> None:
        """Give up what is under way."""


class Delivery:
    """Runs an exporter's calls in a thread of its own and counts what became of the items.

    Trouble is told in two lines, when it begins and when it is over, instead of the SDK's line
    for each attempt. They name no header, no path and no query: those may hold credentials.
    """

    def __init__(
        self, registry: MetricRegistry, name: str, exporter: Closable, destination: str
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            registry: Counts the items in `EXPORTER_ITEMS`.
            name: Of the exporter there, such as ``otlp_spans``.
            exporter: What is shut down at the end, or to cut its last call off.
            destination: Where it sends, for people; no credentials.
        """
        self.closing = threading.Event()
        self.cut = threading.Event()
        self._registry = registry
        self._name = name
        self._exporter = exporter
        self._destination = destination
        self._counts = dict.fromkeys(_RESULTS, 0)
        self._in_flight = 0
        self._trouble = ""  # the reason, while there is trouble
        self._reason = ""  # why the call under way meets with trouble, as far as heard
        self._no_listener = False
        self._over = threading.Event()  # nothing more is worth waiting for
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._thread_id = 0
        for result in _RESULTS:
            self._count(result, 0)

    def start(self, loop: Callable[[], None]) -> None:
        """Run a loop in the thread; it must end soon after `closing` is set."""
        self._thread = threading.Thread(target=self._run, args=[loop], name=self._name)
        self._thread.daemon = True  # a call that cannot be cut off must not hold the process
        self._thread.start()

    def attempt(self, items: int, export: Callable[[], bool]) -> bool:
        """Call the exporter, from within the loop; count and tell how it went.

        Args:
            items: How many the call is about.
            export: Returns whether they arrived.

        Returns:
            Whether they arrived, in time.
        """
        with self._lock:
            self._in_flight, self._reason, self._no_listener = items, "", False
        try:
            arrived = export()
        except Exception as error:  # whatever an encoder stumbles over must not stop the exports
            arrived = False
            system = error.strerror if isinstance(error, OSError) else None
            self._reason = system or type(error).__name__
        with self._lock:
            if not self._in_flight:  # given up meanwhile
                return False
            self._in_flight, self._no_listener = 0, False
            self._count("sent" if arrived else "failed", items)
            self._tell(arrived)
        return arrived

    def drop(self, items: int) -> None:
        """Count items that were never tried."""
        with self._lock:
            self._count("dropped", items)

    def finish(self, deadline_seconds: float, rest: Callable[[], int]) -> None:
        """Let the loop end, cut off what does not end in time, and say what was lost.

        Where nobody listens one more try is made; any other collector has until the deadline.

        Args:
            deadline_seconds: Of the monotonic clock.
            rest: Returns, and forgets, how many items the loop has not come to.
        """
        if self._thread is None:
            return
        with self._lock:
            self.closing.set()
            if self._no_listener:
                self._over.set()
        self._over.wait(max(0.0, deadline_seconds - _GRACE_SECONDS - time.monotonic()))
        self.cut.set()
        self._exporter.shutdown()
        self._thread.join(max(0.0, deadline_seconds - time.monotonic()))
        self._thread = None
        with self._lock:
            self._count("failed", self._in_flight)
            self._in_flight = 0
            self._count("dropped", rest())
            self._summarise()

    def filter(self, record: logging.LogRecord) -> bool:
        """Take in what the SDK says in our thread, in place of its logger."""
        if record.thread != self._thread_id:
            return True
        with self._lock:
            reason, self._no_listener = _reason(record)
            self._reason = reason or self._reason
            if self._no_listener and self.closing.is_set():
                self._over.set()
        return False

    def _run(self, loop: Callable[[], None]) -> None:
        self._thread_id = threading.get_ident()
        loggers = [logging.getLogger(name) for name in _SDK_LOGGERS]
        for logger in loggers:
            logger.filters.insert(0, self)  # before the SDK's own, which hides what it repeats
        try:
            loop()
        finally:
            for logger in loggers:
                logger.removeFilter(self)
            self._over.set()

    def _count(self, result: str, items: int) -> None:
        self._counts[result] += items
        self._registry.add(EXPORTER_ITEMS, {"exporter": self._name, "result": result}, items)

    def _tell(self, arrived: bool) -> None:
        if arrived and self._trouble:
            self._say("export_recovered", f"{self._destination} takes them again")
            self._trouble = ""
        elif not arrived and not self._trouble:
            self._trouble = self._reason or "no success in the time allowed"
            self._say(
                "export_failing",
                f"{self._destination} does not take them: {self._trouble}; the run goes on, and "
                "what is lost is counted",
                reason=self._trouble,
            )

    def _summarise(self) -> None:
        failed, dropped = self._counts["failed"], self._counts["dropped"]
        if failed or dropped:
            self._say(
                "export_lost",
                f"{failed + dropped} of {sum(self._counts.values())} never reached "
                f"{self._destination}: {failed} failed, {dropped} were dropped",
                failed=failed,
                dropped=dropped,
            )

    def _say(self, event: str, text: str, **fields: object) -> None:
        about = {"exporter": self._name, "destination": self._destination}
        extra = {"event": event, "fields": about | fields}
        _logger.warning("%s: %s", self._name, text, extra=extra)


def _reason(record: logging.LogRecord) -> tuple[str, bool]:
    """Return why an export failed, and whether nobody listens there.

    The SDK's exporters say it in their log alone. Of that only codes and the names of exceptions
    are repeated: its texts quote URLs and what a server answered.
    """
    arguments = record.args if isinstance(record.args, tuple) else ()
    for argument in arguments:
        match argument:
            case Exception():
                return type(argument).__name__, True
            case Enum():
                details = str(arguments[-1])
                return argument.name, any(text in details for text in _NO_LISTENER)
            case int() if argument in _CODES:
                return f"HTTP {argument}", False
            case str() if argument in _PHRASES:
                return _PHRASES[argument], False
    return "", False
