"""Finished spans as plain data, for a pipe; and tracing that traces nothing.

Nothing in here needs OpenTelemetry: a process that traces nothing does not import it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from agentmem_observe.telemetry.runs import RunKey

Attributes = dict[str, Any]
"""Values are str, bool, int, float, or lists of one of these."""


class SpanEvent(msgspec.Struct, array_like=True):
    """Something that happened during a span.

    Attributes:
        name: What happened.
        at_ns: When, nanoseconds since 1970.
        attributes: Further facts.
    """

    name: str
    at_ns: int
    attributes: Attributes


class SpanLink(msgspec.Struct, array_like=True):
    """Another span that a span refers to.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        attributes: Further facts.
    """

    trace_id: str
    span_id: str
    attributes: Attributes


class SpanScope(msgspec.Struct, array_like=True, frozen=True):
    """What made a span.

    Attributes:
        name: The instrumenting library.
        version: Its version, or "".
        schema_url: Of the conventions that it follows, or "".
    """

    name: str
    version: str = ""
    schema_url: str = ""


class SpanData(msgspec.Struct):
    """A finished span.

    Attributes:
        name: What was done.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: Span that this one is part of, or "".
        kind: Name of OpenTelemetry's SpanKind.
        start_ns: Nanoseconds since 1970.
        end_ns: Nanoseconds since 1970.
        status: Name of OpenTelemetry's StatusCode.
        scope: What made it.
        description: Of an error.
        attributes: Facts about it.
        events: What happened meanwhile.
        links: What it refers to.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    scope: SpanScope
    description: str = ""
    attributes: Attributes = {}
    events: list[SpanEvent] = []
    links: list[SpanLink] = []


class OperationExemplar(msgspec.Struct, array_like=True):
    """One operation of a series, and the span of it.

    Attributes:
        operation: Label of the series.
        tier: Label of the series.
        outcome: Label of the series.
        latency_seconds: From when it was due until it was answered.
        service_seconds: From when it was sent until it was answered.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        at_seconds: When it was answered, since 1970.
    """

    operation: str
    tier: str
    outcome: str
    latency_seconds: float
    service_seconds: float
    trace_id: str
    span_id: str
    at_seconds: float


class Traces(msgspec.Struct, tag=True):
    """What was traced since the last of these messages.

    Attributes:
        spans: Finished ones, parents after their children.
        exemplars: Of operations among the spans.
        operations: How many operations were measured.
        sampled: How many of them were sampled.
        dropped: Spans that were one too many, or whose times cannot be sent.
    """

    spans: list[SpanData]
    exemplars: list[OperationExemplar]
    operations: int = 0
    sampled: int = 0
    dropped: int = 0


class RunTrace:
    """The span of one run. This one is none.

    Attributes:
        context_for_worker: W3C ``traceparent`` of the span; "" means that nothing is traced.
    """

    context_for_worker = ""

    def received(self, traces: Traces) -> None:
        """Take what the worker traced."""

    def ended(self, status: str, reason: str) -> None:
        """Say how the run went.

        Args:
            status: ``ok``, ``skipped`` or ``failed``.
            reason: Why it was skipped or failed, fit to be seen by anyone; else "".
        """


class RunTracing:
    """Makes a span for each run. This one makes none."""

    @contextmanager
    def run(self, key: RunKey) -> Iterator[RunTrace]:
        """Trace a run for as long as the context is open.

        Args:
            key: What is run.
        """
        yield RunTrace()
