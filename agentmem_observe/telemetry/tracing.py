"""Spans of commands and runs, and those that workers send, on their way to one exporter."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agentmem_observe import __version__
from agentmem_observe.measure.recorder import SeriesKey
from agentmem_observe.telemetry import semconv
from agentmem_observe.telemetry.catalog import (
    EXPORTER_ITEMS,
    OPERATION_LATENCY,
    OPERATION_SERVICE_TIME,
)
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry
from agentmem_observe.telemetry.runs import RunKey, operation_labels
from agentmem_observe.telemetry.spans import (
    OperationExemplar,
    RunTrace,
    RunTracing,
    SpanData,
    Traces,
)

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def current_span_ids() -> tuple[str, str] | None:
    """Return trace id and span id of the thread's current span, as hexadecimal digits, if any."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


class Tracing(RunTracing):
    """Hands every span of this process and its workers to one processor; any thread may call.

    The sampler decides once per trace, at the span of the command or, without one, of the run.
    What it leaves out costs nothing: the worker is not told to trace.
    """

    def __init__(
        self,
        resource: Resource,
        span_processor: SpanProcessor,
        sampler: Sampler | None = None,
        *,
        registry: MetricRegistry | None = None,
    ) -> None:
        """Prepare to trace.

        Args:
            resource: What every span is of.
            span_processor: Gets them all; whoever made it flushes and shuts it down.
            sampler: None is the one of OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
            registry: Gets exemplars and the number of spans dropped.
        """
        provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        provider.add_span_processor(span_processor)
        self._tracer = provider.get_tracer(semconv.SCOPE, __version__)
        self._resource = resource
        self._processor = span_processor
        self._registry = registry
        self._command: Context | None = None

    @contextmanager
    def command(self, name: str) -> Iterator[trace.Span]:
        """Trace a command for as long as the context is open; runs become parts of it.

        Args:
            name: Of the command, such as ``run``; never its arguments.
        """
        with self._span(name, Context()) as span:
            self._command = trace.set_span_in_context(span, Context())
            try:
                yield span
            finally:
                self._command = None

    @contextmanager
    def run(self, key: RunKey) -> Iterator["OtelRunTrace"]:
        """Trace a run for as long as the context is open; its span is the thread's current one.

        Args:
            key: What is run; its target without secrets.
        """
        attributes = {
            semconv.TARGET: key.target,
            semconv.CATEGORY: key.category,
            semconv.BENCHMARK: key.benchmark,
        }
        name = f"{key.category}/{key.benchmark}"
        with self._span(name, self._command or Context(), attributes) as span:
            run = OtelRunTrace(self, span, key)
            try:
                yield run
            finally:
                run.count()

    @contextmanager
    def _span(
        self, name: str, parent: Context, attributes: dict[str, str] | None = None
    ) -> Iterator[trace.Span]:
        # The texts of exceptions stay out: they may hold what was stored.
        span = self._tracer.start_span(name, parent, attributes=attributes)
        with trace.use_span(span, True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def export(self, data: SpanData) -> None:
        """Hand a worker's span to the processor."""
        self._processor.on_end(_readable(data, self._resource))

    def note(self, key: RunKey, exemplar: OperationExemplar) -> None:
        """Keep an exemplar of the run's histograms."""
        if self._registry is None:
            return
        series = SeriesKey(exemplar.operation, exemplar.tier, exemplar.outcome)
        labels = operation_labels(key, series)
        for metric, seconds in (
            (OPERATION_LATENCY, exemplar.latency_seconds),
            (OPERATION_SERVICE_TIME, exemplar.service_seconds),
        ):
            self._registry.note(
                metric,
                labels,
                Exemplar(seconds, exemplar.trace_id, exemplar.span_id, exemplar.at_seconds),
            )

    def dropped(self, count: int) -> None:
        """Count spans that a worker did not send."""
        if self._registry is not None and count:
            self._registry.add(
                EXPORTER_ITEMS, {"exporter": "worker_spans", "result": "dropped"}, count
            )


class OtelRunTrace(RunTrace):
    """The span of one run, and what its worker sends.

    Attributes:
        context_for_worker: W3C ``traceparent``, or "" if the trace is not sampled.
        trace_id: 32 hexadecimal digits, or "" if the trace is not sampled.
    """

    def __init__(self, tracing: Tracing, span: trace.Span, key: RunKey) -> None:
        """Begin with nothing received."""
        self._tracing = tracing
        self._span = span
        self._key = key
        self._operations = self._sampled = self._dropped = 0
        self.context_for_worker = self.trace_id = ""
        context = span.get_span_context()
        if context.is_valid and context.trace_flags.sampled:
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(
                carrier, trace.set_span_in_context(span, Context())
            )
            self.context_for_worker = carrier["traceparent"]
            self.trace_id = trace.format_trace_id(context.trace_id)

    def received(self, traces: Traces) -> None:
        """Hand on spans and exemplars that the worker sent."""
        for data in traces.spans:
            self._tracing.export(data)
        for exemplar in traces.exemplars:
            self._tracing.note(self._key, exemplar)
        self._tracing.dropped(traces.dropped)
        self._operations += traces.operations
        self._sampled += traces.sampled
        self._dropped += traces.dropped

    def ended(self, status: str, reason: str) -> None:
        """Say how the run went; a failed one is an error for this reason."""
        self._span.set_attribute(semconv.STATUS, status)
        if status == "failed":
            self._span.set_status(Status(StatusCode.ERROR, reason))

    def count(self) -> None:
        """Note on the span how much of the run was traced."""
        self._span.set_attribute(semconv.OPERATIONS, self._operations)
        self._span.set_attribute(semconv.OPERATIONS_SAMPLED, self._sampled)
        self._span.set_attribute(semconv.SPANS_DROPPED, self._dropped)


def _readable(data: SpanData, resource: Resource) -> ReadableSpan:
    """Return a span as if it had been made here."""
    scope = data.scope
    return ReadableSpan(
        data.name,
        _context(data.trace_id, data.span_id),
        _context(data.trace_id, data.parent_id) if data.parent_id else None,
        resource,
        attributes=_frozen(data.attributes),
        events=[
            Event(event.name, _frozen(event.attributes), event.at_ns) for event in data.events
        ],
        links=[
            Link(_context(link.trace_id, link.span_id), _frozen(link.attributes))
            for link in data.links
        ],
        kind=SpanKind[data.kind],
        status=Status(StatusCode[data.status], data.description or None),
        start_time=data.start_ns,
        end_time=data.end_ns,
        instrumentation_scope=InstrumentationScope(
            scope.name, scope.version or None, scope.schema_url or None
        ),
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=_SAMPLED)


def _frozen(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with tuples for lists, as the SDK has them."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in attributes.items()
    }
