"""Ended spans on their way to an exporter: a bounded queue that never holds up who ends them."""

import threading
import time
from collections import deque
from functools import partial

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agentmem_observe.telemetry.delivery import Delivery
from agentmem_observe.telemetry.otel_environment import QueueLimits

DEFAULT_FINISH_SECONDS = 5.0
"""How long the last items may take, unless it is said."""


class SpanQueue(SpanProcessor):
    """Batches spans for an exporter.

    Unlike the SDK's own processor it knows what it drops, and its end is bounded in time.
    """

    def __init__(self, exporter: SpanExporter, delivery: Delivery, limits: QueueLimits) -> None:
        """Start sending.

        Args:
            exporter: Gets the batches.
            delivery: Calls it; for this queue alone.
            limits: How many spans wait, and for how long.
        """
        self._exporter = exporter
        self._delivery = delivery
        self._limits = limits
        self._queue: deque[ReadableSpan] = deque()
        self._flushes = 0
        self._idle = True
        self._changed = threading.Condition()
        delivery.start(self._loop)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only ended spans are sent."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span if it is sampled and there is room; never waits."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._changed:
            full = self._delivery.closing.is_set() or len(self._queue) >= self._limits.spans
            if not full:
                self._queue.append(span)
                if len(self._queue) == self._limits.batch:
                    self._changed.notify_all()
        if full:
            self._delivery.drop(1)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits; return whether it was all tried in time."""
        with self._changed:
            self._flushes += 1
            self._changed.notify_all()
            flushed = self._changed.wait_for(
                lambda: self._idle and not self._queue, timeout_millis / 1e3
            )
            self._flushes -= 1
        return flushed

    def shutdown(self) -> None:
        """Finish, as `finish` does, in the default time."""
        self.finish(time.monotonic() + DEFAULT_FINISH_SECONDS)

    def finish(self, deadline_seconds: float) -> None:
        """Send what waits, within the time, and take no more.

        Args:
            deadline_seconds: Of the monotonic clock.
        """
        with self._changed:
            self._delivery.closing.set()
            self._changed.notify_all()
        self._delivery.finish(deadline_seconds, self._forget)

    def _loop(self) -> None:
        while not self._delivery.closing.is_set():
            with self._changed:
                self._changed.wait_for(self._is_due, self._limits.delay_seconds)
            self._send_all()
        self._send_all()

    def _is_due(self) -> bool:
        return (
            self._delivery.closing.is_set()
            or (self._flushes > 0 and bool(self._queue))
            or len(self._queue) >= self._limits.batch
        )

    def _send_all(self) -> None:
        while batch := self._take():
            self._delivery.attempt(len(batch), partial(self._export, batch))

    def _export(self, batch: list[ReadableSpan]) -> bool:
        return self._exporter.export(batch) is SpanExportResult.SUCCESS

    def _take(self) -> list[ReadableSpan]:
        with self._changed:
            count = 0 if self._delivery.cut.is_set() else len(self._queue)
            batch = [self._queue.popleft() for _ in range(min(count, self._limits.batch))]
            self._idle = not batch
            self._changed.notify_all()
        return batch

    def _forget(self) -> int:
        with self._changed:
            rest = len(self._queue)
            self._queue.clear()
        return rest
