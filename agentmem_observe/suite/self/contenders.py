"""Ways to record one timed operation, side by side, for the ``self`` benchmarks."""

import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, Histogram

from agentmem_observe.bench.overhead import clock_pairs, recorded_pairs

Loop = Callable[[int], None]
"""Does its work the given number of times."""

_ATTRIBUTES = {"operation": "create_memory", "tier": "stm"}
_SECONDS = 0.000_25
_SLOW_SHARE = 20  # OpenTelemetry costs microseconds: a twentieth of the operations will do


def cpu_seconds_per_operation(
    operations: int, rounds: int, advance: Callable[[float], None]
) -> dict[str, float]:
    """Time each contender in turn and return its best round, less the cost of an empty loop.

    Args:
        operations: Operations per round, >= 1.
        rounds: How often each has its turn, >= 1.
        advance: Told about each round.

    Returns:
        CPU seconds of the calling thread per operation, by contender.
    """
    slow = max(1, operations // _SLOW_SHARE)
    with _Spans() as spans, _Metrics() as metrics:
        contenders: dict[str, tuple[Loop, int]] = {
            "empty_loop": (_empty, operations),
            "bare_call": (_bare_calls, operations),
            "clock_pair": (clock_pairs, operations),
            "recorded_pair": (recorded_pairs, operations),
            "seed_method": (_seed_method, operations),
            "prometheus_observe": (_prometheus_observe(), operations),
            "otel_histogram_record": (metrics.record, slow),
            "otel_span": (spans.record, slow),
        }
        best = dict.fromkeys(contenders, float("inf"))
        for _ in range(rounds):
            for name, (loop, count) in contenders.items():
                best[name] = min(best[name], _cpu_seconds(loop, count))
            advance(1)
    empty = best.pop("empty_loop")
    return {name: cost - empty for name, cost in best.items()}


def _cpu_seconds(loop: Loop, count: int) -> float:
    began = time.thread_time()
    loop(count)
    return (time.thread_time() - began) / count


def _empty(count: int) -> None:
    for _ in range(count):
        pass


def _nothing() -> None:
    pass


def _bare_calls(count: int) -> None:
    for _ in range(count):
        _nothing()


def _seed_method(count: int) -> None:
    """Time as the seeds' resource benchmark does: wall clock, and a list of floats."""
    operation_times = []
    for _ in range(count):
        op_start = time.time()
        op_duration = time.time() - op_start
        operation_times.append(op_duration)


def _prometheus_observe() -> Loop:
    histogram = Histogram("seconds", "help", _ATTRIBUTES, registry=CollectorRegistry())
    observe = histogram.labels(**_ATTRIBUTES).observe

    def loop(count: int) -> None:
        for _ in range(count):
            observe(_SECONDS)

    return loop


class _Metrics:
    """An OpenTelemetry meter that nobody reads from."""

    def __enter__(self) -> "_Metrics":
        self._provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
        self._histogram = self._provider.get_meter("self").create_histogram("seconds", "s")
        return self

    def __exit__(self, *exc: object) -> None:
        self._provider.shutdown()

    def record(self, count: int) -> None:
        """Record with the attributes that a series needs."""
        record = self._histogram.record
        for _ in range(count):
            record(_SECONDS, _ATTRIBUTES)


class _NoExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Spans:
    """An OpenTelemetry tracer that records and batches every span, and exports to nowhere."""

    def __enter__(self) -> "_Spans":
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_NoExporter()))
        self._tracer = self._provider.get_tracer("self")
        return self

    def __exit__(self, *exc: object) -> None:
        self._provider.shutdown()

    def record(self, count: int) -> None:
        """Start and end one span per operation."""
        span = self._tracer.start_as_current_span
        for _ in range(count):
            with span("create_memory", attributes=_ATTRIBUTES):
                pass
