"""Keeps the finished spans of a worker, its own and its target's, as plain data until sent."""

import os
import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from agentmem_observe.telemetry.spans import Attributes, SpanData, SpanEvent, SpanLink, SpanScope

SCOPE = "agentmem_observe"
"""The instrumentation scope of our own spans."""

MOST_TARGET_SPANS = 4_000
"""Spans of a run that its target made."""

_LONGEST_TEXT = 4_096
_INT64 = range(-(2**63), 2**63)


class Collector(SpanProcessor):
    """Keeps finished spans as plain data until they are sent; any thread may end one."""

    def __init__(self, most_foreign: int = MOST_TARGET_SPANS) -> None:
        """Keep no more than so many spans of a run that others made."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._spans: list[SpanData] = []
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
            data = _data(span)
            data.start_ns = self._starts.pop(int(data.span_id, 16), data.start_ns)
            self._spans.append(data)

    def drop(self) -> None:
        """Count a span that was one too many."""
        with self._lock:
            self._dropped += 1

    def take(self) -> tuple[list[SpanData], int]:
        """Return what was kept since the last call, and how many were dropped."""
        with self._lock:
            taken = self._spans, self._dropped
            self._spans, self._dropped = [], 0
            return taken


def _data(span: ReadableSpan) -> SpanData:
    """Return a finished span as plain data that any pipe carries."""
    context = span.get_span_context()
    assert context is not None  # the SDK's spans have one
    scope = span.instrumentation_scope
    return SpanData(
        name=bounded_text(span.name),
        trace_id=trace.format_trace_id(context.trace_id),
        span_id=trace.format_span_id(context.span_id),
        parent_id=trace.format_span_id(span.parent.span_id) if span.parent else "",
        kind=span.kind.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name,
        scope=SpanScope(
            bounded_text(scope.name if scope else ""),
            bounded_text((scope and scope.version) or ""),
            bounded_text((scope and scope.schema_url) or ""),
        ),
        description=bounded_text(span.status.description or ""),
        attributes=_attributes(span.attributes),
        events=[
            SpanEvent(bounded_text(event.name), event.timestamp, _attributes(event.attributes))
            for event in span.events
        ],
        links=[
            SpanLink(
                trace.format_trace_id(link.context.trace_id),
                trace.format_span_id(link.context.span_id),
                _attributes(link.attributes),
            )
            for link in span.links
        ],
    )


def _attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    return {bounded_text(name): _value(value) for name, value in (attributes or {}).items()}


def _value(value: Any) -> Any:
    """Return an attribute's value, bounded; what neither pipe nor OTLP can carry as its text."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value in _INT64 else str(value)
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    return bounded_text(value if isinstance(value, str) else repr(value))


def bounded_text(text: str) -> str:
    """Return a text that every pipe and protocol can carry, 4,096 characters at the most."""
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
