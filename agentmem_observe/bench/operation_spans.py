"""Spans of single operations: of some while they happen, of the slowest afterwards."""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode

from agentmem_observe.bench.collector import Collector
from agentmem_observe.bench.slowest import SlowOperation
from agentmem_observe.clock import Clock
from agentmem_observe.errors import UsageError
from agentmem_observe.measure.recorder import outcome_name
from agentmem_observe.model import ObservationBatch, Outcome, Record
from agentmem_observe.targets.credentials import redact
from agentmem_observe.targets.registry import FACTORY, parse_spec
from agentmem_observe.telemetry import semconv
from agentmem_observe.telemetry.spans import Attributes, OperationExemplar
from agentmem_observe.workload.driver import OperationTracer, Times, TracedOperation
from agentmem_observe.workload.operations import Operation

MOST_OPERATIONS = 1_000
"""Sampled operations of a run."""

_APART_NS = 20_000_000
"""Between two samples of a loop at first: a sample costs some 0.1 ms."""
_SAMPLES_PER_DISTANCE = 8
"""Then samples get twice as far apart: 22 in a second, 95 in ten minutes, 152 in a day."""

_MOST_RECORDS, _LONGEST_CONTENT, _LONGEST_ID = 5, 400, 100  # so that no JSON is cut in two


class Anchor:
    """Tells what a reading of the run's clock is since 1970.

    The two clocks run at the same speed: the kernel slews both. Only a step of the wall clock
    parts them, and then all spans of a worker stay consistent with each other.
    """

    def __init__(self, clock: Clock, unix_ns: Callable[[], int] = time.time_ns) -> None:
        """Read both clocks as closely together as some tries allow."""
        readings = [(clock.now_ns(), unix_ns(), clock.now_ns()) for _ in range(5)]
        before, at, after = min(readings, key=lambda reading: reading[2] - reading[0])
        self._offset_ns = at - (before + after) // 2

    def unix_ns(self, reading_ns: int) -> int:
        """Return nanoseconds since 1970."""
        return reading_ns + self._offset_ns


class Subject(NamedTuple):
    """What every operation's span says of the target.

    Attributes:
        kind: CLIENT if the target is a server, else INTERNAL.
        attributes: By the convention.
    """

    kind: SpanKind
    attributes: Mapping[str, str | int]

    @classmethod
    def of(cls, target: str) -> "Subject":
        """Return what a target's spec tells; what has a location is a server."""
        attributes: dict[str, str | int] = {semconv.STORE_ID: redact(target)}
        try:
            spec = parse_spec(target, Path())
        except UsageError:  # what builds the target will say so
            return cls(SpanKind.INTERNAL, attributes)
        if spec.scheme == FACTORY or not spec.location:
            return cls(SpanKind.INTERNAL, attributes)
        attributes[semconv.PROVIDER_NAME] = spec.scheme
        with suppress(ValueError):  # no address, or a port that is no number: so will this
            parts = urlsplit(f"//{spec.location}")
            if parts.hostname:
                attributes[semconv.SERVER_ADDRESS] = parts.hostname
            if parts.hostname and parts.port:
                attributes[semconv.SERVER_PORT] = parts.port
        return cls(SpanKind.CLIENT, attributes)


class OperationSpans:
    """Begins, ends and writes the spans of operations, and keeps their exemplars."""

    def __init__(
        self, tracer: trace.Tracer, collector: Collector, subject: Subject, anchor: Anchor
    ) -> None:
        self._tracer = tracer
        self._collector = collector
        self._subject = subject
        self._anchor = anchor
        self._exemplars: list[OperationExemplar] = []

    def begin(
        self, operation: str, tier: str, started_ns: int, parent: Context, selection: str
    ) -> trace.Span:
        """Begin a span at a reading of the run's clock."""
        attributes: Attributes = {
            semconv.OPERATION_NAME: operation,
            **self._subject.attributes,
            semconv.SELECTION: selection,
        }
        if tier:
            attributes[semconv.TIER] = tier
        start_ns = self._anchor.unix_ns(started_ns)
        return self._tracer.start_span(
            operation, parent, self._subject.kind, attributes, start_time=start_ns
        )

    def end(self, span: trace.Span, operation: SlowOperation) -> None:
        """End a span at exactly the readings of the operation, and keep an exemplar."""
        times = operation.times
        span.set_attribute(semconv.OUTCOME, operation.outcome)
        latency_seconds = (times.finished - times.due) * 1e-9
        span.set_attribute(semconv.LATENCY, latency_seconds)
        if error_type := semconv.error_type(operation.outcome):
            span.set_attribute(semconv.ERROR_TYPE, error_type)
            span.set_status(StatusCode.ERROR)
        self._collector.start_at(span, self._anchor.unix_ns(times.started))
        end_ns = self._anchor.unix_ns(times.finished)
        span.end(end_ns)
        context = span.get_span_context()
        self._exemplars.append(
            OperationExemplar(
                operation.operation,
                operation.tier,
                operation.outcome,
                latency_seconds,
                (times.finished - times.started) * 1e-9,
                trace.format_trace_id(context.trace_id),
                trace.format_span_id(context.span_id),
                end_ns * 1e-9,
            )
        )

    def write(self, operation: SlowOperation) -> None:
        """Write the span of an operation that is over."""
        span = self.begin(
            operation.operation,
            operation.tier,
            operation.times.started,
            operation.within,
            "slowest",
        )
        self.end(span, operation)

    def take_exemplars(self) -> list[OperationExemplar]:
        """Return those of the spans that ended since the last call."""
        taken, self._exemplars = self._exemplars, []
        return taken


class Sampling(OperationTracer):
    """Chooses the first operation of a block when the last choice is long enough ago.

    Attributes:
        parent: What the next operation's span is a part of.
        seen: Readings of the operations that were sampled.
    """

    def __init__(self, spans: OperationSpans, clock: Clock, captures_content: bool) -> None:
        self.parent = Context()
        self.seen: set[Times] = set()
        self._spans = spans
        self._clock = clock
        self._captures_content = captures_content
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._left = MOST_OPERATIONS
        self._count = 0
        self._in_loop = 0
        self._next_ns = 0
        self._unjudged: list[tuple[trace.Span, SlowOperation]] = []

    def begin_anew(self, parent: Context) -> None:
        """Forget what was sampled, and sample as many again, as parts of this."""
        with self._lock:
            self.seen.clear()
            self._left = MOST_OPERATIONS
        self.begin_loop(parent)

    def begin_loop(self, parent: Context) -> None:
        """Sample anew, as parts of this."""
        self.parent = parent
        self._in_loop = 0
        self._next_ns = self._clock.now_ns()

    def take_count(self) -> int:
        """Return how many were sampled since the last call."""
        taken, self._count = self._count, 0
        return taken

    def begin(self, operation: Operation, number: int) -> "_Sampled | None":
        """Begin a span of this operation, unless there was one a moment ago."""
        if os.getpid() != self._process:
            return None  # a forked copy: nobody would send its spans
        now_ns = self._clock.now_ns()
        with self._lock:
            if now_ns < self._next_ns or not self._left:
                return None
            self._left -= 1
            self._count += 1
            self._in_loop += 1
            self._next_ns = now_ns + (_APART_NS << self._in_loop // _SAMPLES_PER_DISTANCE)
        span = self._spans.begin(operation.name, operation.tier, now_ns, self.parent, "sampled")
        return _Sampled(self, operation, number, span)

    def end(self, sampled: "_Sampled", times: Times, outcome: str) -> None:
        """Note how a sampled operation ended; its span waits for `judge` or `finish`."""
        span, operation = sampled.span, sampled.operation
        count = record_count(operation.name, sampled.value)
        if count is not None:
            span.set_attribute(semconv.RECORD_COUNT, count)
        if self._captures_content and sampled.answered:
            span.set_attributes(_content(operation, sampled.number, sampled.value))
        ended = SlowOperation(operation.name, operation.tier, outcome, times, self.parent)
        with self._lock:
            self._unjudged.append((span, ended))
            self.seen.add(times)

    def judge(self, batch: ObservationBatch) -> None:
        """End the spans of sampled operations in a batch whose outcomes are final."""
        for span, sampled in self._take_unjudged():
            if (place := _place_in(batch, sampled)) is None:
                with self._lock:
                    self._unjudged.append((span, sampled))
            else:
                outcome = outcome_name(int(batch.outcome[place]), batch.error_types)
                self._spans.end(span, sampled._replace(outcome=outcome))

    def finish(self) -> None:
        """End the spans that nobody will judge: of a loop that broke off."""
        for span, sampled in self._take_unjudged():
            self._spans.end(span, sampled)

    def _take_unjudged(self) -> list[tuple[trace.Span, SlowOperation]]:
        with self._lock:
            taken, self._unjudged = self._unjudged, []
        return taken


class _Sampled(TracedOperation):
    """A sampled operation; its context is attached from entering until its answer is here."""

    def __init__(
        self, sampling: Sampling, operation: Operation, number: int, span: trace.Span
    ) -> None:
        self.operation = operation
        self.number = number
        self.span = span
        self.answered = False
        self.value: object = None
        self._sampling = sampling
        self._token: Any = None

    def __enter__(self) -> None:
        context = trace.set_span_in_context(self.span, context_api.get_current())
        self._token = context_api.attach(context)

    def __exit__(self, *exc: object) -> None:
        if self._token is not None:
            context_api.detach(self._token)
            self._token = None

    def check(self, number: int, value: Any) -> Outcome:
        self.__exit__()  # what checking asks of the target is no part of the operation
        self.answered, self.value = True, value
        return Outcome.OK if self.operation.check is None else self.operation.check(number, value)

    def ended(self, times: Times, code: int, error_types: Sequence[str]) -> None:
        self._sampling.end(self, times, outcome_name(code, error_types))


def _place_in(batch: ObservationBatch, sampled: SlowOperation) -> int | None:
    if (batch.operation, batch.tier) != (sampled.operation, sampled.tier):
        return None
    times = sampled.times
    same = (batch.started == times.started) & (batch.finished == times.finished)
    places = np.flatnonzero(same)
    return int(places[0]) if places.size else None


def record_count(operation: str, value: object) -> int | None:
    """Return how many records an operation of this name was about, by its answer; None if unknown.

    Examples:
        >>> record_count("search_memory", ["hit", "hit"]), record_count("create_memory", "id_1")
        (2, 1)
    """
    if operation not in (*semconv.MEMORY_OPERATIONS, *semconv.OWN_OPERATIONS):
        return None
    match value:
        case list() | tuple() if all(isinstance(part, list) for part in value):
            return sum(len(part) for part in value)
        case list() | tuple():
            return sum(part is not None for part in value)
        case int():  # of deleting, whether there was one; of a transition, how many
            return int(value)
        case str():
            return 1 if value else 0
        case Record():
            return 1
    return None


def _content(operation: Operation, number: int, value: object) -> dict[str, str]:
    """Return attributes of what an operation was about, or why there are none.

    A benchmark says it of its own answers; where that fails, its measurement goes on.
    """
    if operation.content is None:
        return {}
    try:
        query, records = operation.content(number, value)
        shown = {semconv.QUERY_TEXT: query} if query else {}
        if records:
            shown[semconv.RECORDS] = _records(records)
    except Exception as error:  # what it says may hold contents, cut nowhere
        return {semconv.CONTENT_ERROR: type(error).__name__}
    return shown


def _records(records: Iterable[Record]) -> str:
    """Return the first few records, cut short, in the convention's JSON form."""
    return json.dumps(
        [
            {
                "id": record.record_id[:_LONGEST_ID],
                "content": (record.content or json.dumps(record.state, default=repr))[
                    :_LONGEST_CONTENT
                ],
            }
            for record in itertools.islice(records, _MOST_RECORDS)
        ]
    )
