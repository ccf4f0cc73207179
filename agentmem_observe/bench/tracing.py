"""Spans of a run, made in its worker and sent between loops: phases, loops, some operations.

An operation gets a span in one of two ways. The first of some blocks of the driver are sampled:
while they are in the target a context is attached, so that spans of its own become their parts.
The slowest of a run are known afterwards, and their spans are written from their clock readings.
Everything else costs nothing: no context is attached, so that a target's own spans are not kept.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util import types

from agentmem_observe import __version__
from agentmem_observe.bench.collector import Collector
from agentmem_observe.bench.messages import Request
from agentmem_observe.bench.operation_spans import Anchor, OperationSpans, Sampling, Subject
from agentmem_observe.bench.slowest import Slowest
from agentmem_observe.bench.untraced import Loop, Untraced
from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.model import ObservationBatch
from agentmem_observe.targets.credentials import Credentials
from agentmem_observe.telemetry import semconv
from agentmem_observe.telemetry.spans import Attributes, Traces

SLOWEST = 16
"""Operations of a run that get a span because they took longest."""

MOST_STEPS = 500
"""Phases and loops of a run that get a span."""


class _Provider(TracerProvider):
    def _handle_fork(self) -> None:
        """Do nothing in a forked child, whose spans are not sent.

        The SDK looks for the child's resource, in a thread pool: where that module was imported
        later than this provider was made, its lock is still held then, and the child hangs.
        """


class _Turns(Sampler):
    """Keeps turns, of the spans that begin a trace, if their run's own is kept; no target's."""

    def __init__(self, run: trace.SpanContext) -> None:
        self._keep = run.trace_flags.sampled

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        kept = self._keep and attributes is not None and semconv.WINDOW in attributes
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE if kept else Decision.DROP, attributes, trace_state
        )

    def get_description(self) -> str:
        return "turns"


class TracedRun(Untraced):
    """Makes the spans of one run; `start` builds it where it is the process's tracing."""

    def __init__(
        self,
        request: Request,
        send: Callable[[Traces], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Continue the trace that a request names.

        Args:
            request: With a ``traceparent``.
            send: Takes what was traced, between loops.
            clock: The run's.
            environ: Whether contents may be recorded, and OpenTelemetry's limits.
        """
        self._process = os.getpid()
        self._send = send
        self._collector = Collector(Credentials(request.target).hidden_in)
        self._clock = clock
        self._anchor = Anchor(clock)
        self._run = TraceContextTextMapPropagator().extract(
            {"traceparent": request.traceparent}, Context()
        )
        self._origin = trace.get_current_span(self._run).get_span_context()
        self.provider = _Provider(
            ParentBased(_Turns(self._origin)), Resource.get_empty(), shutdown_on_exit=False
        )
        self.provider.add_span_processor(self._collector)
        self._tracer = self.provider.get_tracer(semconv.SCOPE, __version__)
        self._phase: trace.Span | None = None
        self._steps = 0
        self._slowest = Slowest(SLOWEST)
        self._measured = 0
        subject = Subject.of(request.target)
        self._spans = OperationSpans(self._tracer, self._collector, subject, self._anchor)
        self.operations: Sampling = Sampling(self._spans, clock, semconv.captures_content(environ))
        self.operations.parent = self._run

    def phase(self, name: str) -> None:
        """End the phase before, and begin this one."""
        self._end_phase()
        self._phase = self._step("phase", self._run, {semconv.PHASE: name})
        self.operations.parent = self._within()

    def loop(self) -> Loop:
        """Return the context of a loop that is about to be measured."""
        return _TracedLoop(self)

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Give a turn a trace of its own, linked with the run's: one of months is of no use.

        Args:
            number: Of the turn, from 1.
        """
        self.end()
        span = self._tracer.start_span(
            "window",
            Context(),
            attributes={semconv.WINDOW: number},
            links=[trace.Link(self._origin)],
            start_time=self._now_ns(),
        )
        self._run = trace.set_span_in_context(span, Context())
        self._steps = 0
        self._slowest = Slowest(SLOWEST)
        self.operations.begin_anew(self._run)
        try:
            yield
        finally:
            self._write_slowest()
            span.end(self._now_ns())
            self.flush()

    def end(self) -> None:
        """Write the slowest operations, end the last phase, and send all that is left."""
        self._write_slowest()
        self._end_phase()
        self.flush()

    def _write_slowest(self) -> None:
        for operation in self._slowest:
            if operation.times not in self.operations.seen:
                self._spans.write(operation)
        self._slowest = Slowest(SLOWEST)

    def flush(self) -> None:
        """Send what there is."""
        if os.getpid() != self._process:
            return
        self.operations.finish()
        spans, dropped = self._collector.take()
        traces = Traces(
            spans,
            self._spans.take_exemplars(),
            operations=self._measured,
            sampled=self.operations.take_count(),
            dropped=dropped,
        )
        self._measured = 0
        self._send(traces)

    def begin_loop(self) -> tuple[trace.Span | None, Context]:
        """Begin the span of a loop, and let operations be parts of it."""
        span = self._step("measure", self._within(), {})
        within = self._within() if span is None else trace.set_span_in_context(span, Context())
        self.operations.begin_loop(within)
        return span, within

    def end_loop(self, span: trace.Span | None, error: type[BaseException] | None) -> None:
        """End the span of a loop."""
        if span is not None:
            if error is not None:
                span.set_attribute(semconv.ERROR_TYPE, error.__name__)
                span.set_status(StatusCode.ERROR)
            span.end(self._now_ns())
        self.operations.begin_loop(self._within())

    def saw(self, batch: ObservationBatch, within: Context) -> None:
        """Take operations of a loop whose outcome is final."""
        self._measured += len(batch)
        self.operations.judge(batch)
        self._slowest.see(batch, within)

    def _within(self) -> Context:
        if self._phase is None:
            return self._run
        return trace.set_span_in_context(self._phase, Context())

    def _step(self, name: str, parent: Context, attributes: Attributes) -> trace.Span | None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            self._collector.drop()
            return None
        return self._tracer.start_span(
            name, parent, attributes=attributes, start_time=self._now_ns()
        )

    def _now_ns(self) -> int:
        return self._anchor.unix_ns(self._clock.now_ns())

    def _end_phase(self) -> None:
        if self._phase is not None:
            self._phase.end(self._now_ns())
            self._phase = None


class _TracedLoop(Loop):
    def __init__(self, run: TracedRun) -> None:
        self._run = run

    def __enter__(self) -> "_TracedLoop":
        self._span, self._within = self._run.begin_loop()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._run.end_loop(self._span, kind)

    def saw(self, batch: ObservationBatch) -> None:
        self._run.saw(batch, self._within)


def start(request: Request, send: Callable[[Traces], None]) -> TracedRun:
    """Trace a run, and make that the process's tracing, so that targets can take part in it.

    Args:
        request: With a ``traceparent``.
        send: Takes what was traced, between loops.
    """
    run = TracedRun(request, send)
    trace.set_tracer_provider(run.provider)
    return run
