"""Spans of commands and runs, and those of workers, as one processor gets them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from agentmem_observe.telemetry.catalog import (
    EXPORTER_ITEMS,
    OPERATION_LATENCY,
    OPERATION_SERVICE_TIME,
)
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunKey
from agentmem_observe.telemetry.spans import (
    OperationExemplar,
    RunTracing,
    SpanData,
    SpanEvent,
    SpanLink,
    SpanScope,
    Traces,
)
from agentmem_observe.telemetry.tracing import Tracing

KEY = RunKey("redis://***@host", "storage", "write_throughput")
RESOURCE = Resource({"service.name": "tests"})


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def registry() -> MetricRegistry:
    return MetricRegistry()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter, registry: MetricRegistry) -> Iterator[Tracing]:
    processor = SimpleSpanProcessor(exporter)
    yield Tracing(RESOURCE, processor, registry=registry)
    processor.shutdown()


def a_span(trace_id: str, parent_id: str) -> SpanData:
    return SpanData(
        name="search_memory",
        trace_id=trace_id,
        span_id="12" * 8,
        parent_id=parent_id,
        kind="CLIENT",
        start_ns=1_000_000_000,
        end_ns=3_000_000_000,
        status="ERROR",
        scope=SpanScope("its_own", "2.0", "https://example.org/schema"),
        description="refused",
        attributes={"text": "a", "whole": 3, "share": 0.5, "yes": True, "many": ["a", "b"]},
        events=[SpanEvent("retried", 2_000_000_000, {"attempt": 2})],
        links=[SpanLink("34" * 16, "56" * 8, {"why": "cause"})],
    )


def test_a_workers_span_comes_out_as_it_was_made(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with tracing.run(KEY) as run:
        _, trace_id, run_id, _ = run.context_for_worker.split("-")
        run.received(Traces([a_span(trace_id, run_id)], []))

    span, whole = exporter.get_finished_spans()
    assert span.name == "search_memory"
    assert span.context is not None
    assert whole.context is not None
    assert (span.context.trace_id, span.context.span_id) == (int(trace_id, 16), int("12" * 8, 16))
    assert span.context.trace_flags.sampled
    assert span.parent is not None
    assert span.parent.span_id == whole.context.span_id
    assert (span.kind, span.start_time, span.end_time) == (SpanKind.CLIENT, 10**9, 3 * 10**9)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "refused")
    assert span.attributes == {
        "text": "a", "whole": 3, "share": 0.5, "yes": True, "many": ("a", "b"),
    }  # fmt: skip
    ((event,), (link,)) = (span.events, span.links)
    assert (event.name, event.timestamp, event.attributes) == (
        "retried",
        2_000_000_000,
        {"attempt": 2},
    )
    assert (link.context.span_id, link.attributes) == (int("56" * 8, 16), {"why": "cause"})
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "its_own"
    assert span.instrumentation_scope.version == "2.0"
    assert span.instrumentation_scope.schema_url == "https://example.org/schema"
    assert span.resource is RESOURCE


def test_a_workers_span_can_be_encoded_as_otlp(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with tracing.run(KEY) as run:
        run.received(Traces([a_span("ab" * 16, "")], []))

    span, _ = exporter.get_finished_spans()
    ((scope,),) = (resource.scope_spans for resource in encode_spans([span]).resource_spans)
    (encoded,) = scope.spans
    assert (encoded.name, encoded.parent_span_id) == ("search_memory", b"")
    assert len(encoded.events) == len(encoded.links) == 1


def test_runs_in_any_thread_are_parts_of_the_command(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    def run(name: str) -> None:
        with tracing.run(KEY._replace(benchmark=name)):
            pass

    with tracing.command("run") as command, ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ["one", "two"]))

    *runs, last = exporter.get_finished_spans()
    assert last.name == "run"
    assert sorted(span.name for span in runs) == ["storage/one", "storage/two"]
    assert {span.parent and span.parent.span_id for span in runs} == {
        command.get_span_context().span_id
    }


def test_a_run_without_a_command_and_one_after_it_are_traces_of_their_own(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with tracing.command("run"):
        pass
    for _ in range(2):
        with tracing.run(KEY):
            pass

    spans = exporter.get_finished_spans()
    assert [span.parent for span in spans] == [None] * 3
    assert len({span.context.trace_id for span in spans if span.context}) == 3


def test_the_runs_span_is_current_while_it_goes_on(tracing: Tracing) -> None:
    with tracing.run(KEY) as run:
        context = trace.get_current_span().get_span_context()

        assert run.trace_id == f"{context.trace_id:032x}"
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_trace_that_is_not_sampled_asks_nothing_of_the_worker(
    exporter: InMemorySpanExporter,
) -> None:
    tracing = Tracing(RESOURCE, SimpleSpanProcessor(exporter), ALWAYS_OFF)

    with tracing.command("run"), tracing.run(KEY) as run:
        asked = run.context_for_worker, run.trace_id

    assert asked == ("", "")
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(("share", "sampled"), [("0", False), ("1", True)])
def test_the_environments_sampler_decides_on_the_whole_trace(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, share: str, sampled: bool
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    tracing = Tracing(RESOURCE, SimpleSpanProcessor(exporter))

    with tracing.command("run"), tracing.run(KEY) as run:
        assert bool(run.context_for_worker) is sampled

    assert len(exporter.get_finished_spans()) == 2 * sampled


def test_exemplars_go_to_both_histograms_and_dropped_spans_are_counted(
    tracing: Tracing, registry: MetricRegistry, exporter: InMemorySpanExporter
) -> None:
    exemplar = OperationExemplar(
        "create_memory", "stm", "ok", 0.3, 0.2, "ab" * 16, "cd" * 8, 1_700_000_000.0
    )

    with tracing.run(KEY) as run:
        run.received(Traces([], [exemplar], operations=7, sampled=2, dropped=3))
        run.received(Traces([], [], operations=1, dropped=1))

    found = {family.metric: sample for family in registry.collect() for sample in family.samples}
    assert found[OPERATION_LATENCY].labels == (*KEY, "create_memory", "stm", "ok")
    assert [each.seconds for each in found[OPERATION_LATENCY].exemplars] == [0.3]
    assert [each.seconds for each in found[OPERATION_SERVICE_TIME].exemplars] == [0.2]
    assert found[OPERATION_LATENCY].exemplars[0].trace_id == "ab" * 16
    assert found[EXPORTER_ITEMS].labels == ("worker_spans", "dropped")
    assert found[EXPORTER_ITEMS].value == 4
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["agentmem.operations"] == 8
    assert span.attributes["agentmem.operations.sampled"] == 2
    assert span.attributes["agentmem.spans.dropped"] == 4


@pytest.mark.parametrize(
    ("status", "code"),
    [("ok", StatusCode.UNSET), ("skipped", StatusCode.UNSET), ("failed", StatusCode.ERROR)],
)
def test_a_failed_run_is_an_error_for_its_reason(
    tracing: Tracing, exporter: InMemorySpanExporter, status: str, code: StatusCode
) -> None:
    with tracing.run(KEY) as run:
        run.ended(status, "it hung")

    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["agentmem.status"] == status
    assert span.status.status_code is code
    assert span.status.description == ("it hung" if status == "failed" else None)


def test_an_exception_makes_an_error_of_its_type_without_its_text(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with pytest.raises(ValueError, match="swordfish"), tracing.command("run"), tracing.run(KEY):
        raise ValueError("swordfish")

    for span in exporter.get_finished_spans():
        assert span.attributes is not None
        assert span.attributes["error.type"] == "ValueError"
        assert span.status.status_code is StatusCode.ERROR
        assert "swordfish" not in span.to_json()


def test_tracing_that_traces_nothing_asks_nothing_of_the_worker() -> None:
    with RunTracing().run(KEY) as run:
        run.received(Traces([], []))
        run.ended("ok", "")

    assert run.context_for_worker == ""
