"""Keeps the finished spans of a worker, its own and its target's, as plain data until sent."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from agentmem_observe.telemetry.semconv import SCOPE
from agentmem_observe.telemetry.spans import Attributes, SpanData, SpanEvent, SpanLink, SpanScope

MOST_TARGET_SPANS = 4_000
"""Spans of a run that its target made."""

_LONGEST_TEXT = 16_384
_INT64 = range(-(2**63), 2**63)
_TIMES = range(2**63)


class Collector(SpanProcessor):
    """Keeps finished spans until they are sent; any thread may end one.

    A target's span ends within a timed operation: all that is done there is to keep it.
    """

    def __init__(
        self, hidden_in: Callable[[str], str], most_foreign: int = MOST_TARGET_SPANS
    ) -> None:
        """Keep nothing yet.

        Args:
            hidden_in: Takes credentials out of a text.
            most_foreign: Keep no more spans of a run that others made.
        """
        self._hidden_in = hidden_in
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._spans: list[ReadableSpan] = []
        self._room = most_foreign
        self._dropped = 0
        self._starts: dict[int, int] = {}

    def start_at(self, span: trace.Span, start_ns: int) -> None:
        """Set when a span that has not ended yet began."""
        self._starts[span.get_span_context().span_id] = start_ns

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span."""
        if os.getpid() != self._process:
            return  # a forked copy: its parent sends what is kept here
        own = span.instrumentation_scope is not None and span.instrumentation_scope.name == SCOPE
        with self._lock:
            if not own and not self._room:
                self._dropped += 1
                return
            self._room -= not own
            self._spans.append(span)

    def drop(self) -> None:
        """Count a span that was one too many."""
        with self._lock:
            self._dropped += 1

    def take(self) -> tuple[list[SpanData], int]:
        """Return what was kept since the last call, and how many were dropped."""
        with self._lock:
            spans, dropped = self._spans, self._dropped
            self._spans, self._dropped = [], 0
        data = [self._data(span) for span in spans]
        fit = [each for each in data if _has_times(each)]
        return fit, dropped + len(data) - len(fit)

    def _data(self, span: ReadableSpan) -> SpanData:
        context = span.get_span_context()
        assert context is not None  # the SDK's spans have one
        scope = span.instrumentation_scope
        start_ns = self._starts.pop(context.span_id, span.start_time)
        return SpanData(
            name=self._text(span.name),
            trace_id=trace.format_trace_id(context.trace_id),
            span_id=trace.format_span_id(context.span_id),
            parent_id=trace.format_span_id(span.parent.span_id) if span.parent else "",
            kind=span.kind.name,
            start_ns=start_ns or 0,
            end_ns=span.end_time or 0,
            status=span.status.status_code.name,
            scope=SpanScope(
                self._text(scope.name if scope else ""),
                self._text((scope and scope.version) or ""),
                self._text((scope and scope.schema_url) or ""),
            ),
            description=self._text(span.status.description or ""),
            attributes=self._attributes(span.attributes),
            events=[
                SpanEvent(
                    self._text(event.name), event.timestamp, self._attributes(event.attributes)
                )
                for event in span.events
            ],
            links=[
                SpanLink(
                    trace.format_trace_id(link.context.trace_id),
                    trace.format_span_id(link.context.span_id),
                    self._attributes(link.attributes),
                )
                for link in span.links
            ],
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> Attributes:
        return {self._text(name): self._value(value) for name, value in (attributes or {}).items()}

    def _value(self, value: Any) -> Any:
        """Return a value; one that neither pipe nor OTLP can carry as its text."""
        match value:
            case bool():
                return value
            case float():
                return float(value)  # of a subclass, numpy's
            case int() if value in _INT64:
                return int(value)
            case list() | tuple():
                return [self._value(each) for each in value]
        return self._text(value)

    def _text(self, value: Any) -> str:
        """Return any value as a text: not even names need to be one."""
        text = value if isinstance(value, str) else _shown(value)
        return self._hidden_in(text)[:_LONGEST_TEXT].encode("utf-8", "replace").decode()


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # others' code, which costs no result
        return type(value).__name__


def _has_times(span: SpanData) -> bool:
    """Return whether pipe and OTLP can carry its times: a target may set any."""
    times = (span.start_ns, span.end_ns, *(event.at_ns for event in span.events))
    return all(type(time) is int and time in _TIMES for time in times)
