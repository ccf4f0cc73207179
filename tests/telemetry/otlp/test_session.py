"""What arrives at a collector, over both protocols, field by field."""

import os
import platform
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context

from agentmem_observe import __version__
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS
from agentmem_observe.telemetry.otlp import OtlpSession
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry

from .conftest import Collector, end_spans, items, tracer_of

OPERATION = {
    "target": "fake",
    "category": "storage",
    "benchmark": "write",
    "operation": "create_memory",
    "tier": "stm",
    "outcome": "error:TimeoutError",
}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def started(registry: MetricRegistry) -> OtlpSession:
    session = OtlpSession.from_environment(registry, file=None)
    assert session is not None
    return session


def attributes(node: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in node.attributes
    }


def test_a_span_arrives_with_all_that_it_has(pointed: Collector, registry: MetricRegistry):
    session = started(registry)
    tracer = tracer_of(session)
    other = tracer.start_span("other")
    parent = tracer.start_span("parent")
    span = tracer.start_span(
        "create_memory",
        set_span_in_context(parent),
        kind=SpanKind.CLIENT,
        attributes={"gen_ai.operation.name": "create_memory", "number": 7, "share": 0.5},
        links=[Link(other.get_span_context(), {"why": "retry"})],
        start_time=1_700_000_000_000_000_001,
    )
    span.add_event("noted", {"yes": True}, timestamp=1_700_000_000_000_000_002)
    span.set_status(Status(StatusCode.ERROR, "broken"))
    span.end(1_700_000_000_000_000_003)
    session.close()

    (arrived,) = pointed.all_spans()
    context = span.get_span_context()
    assert arrived.trace_id == context.trace_id.to_bytes(16, "big")
    assert arrived.span_id == context.span_id.to_bytes(8, "big")
    assert arrived.parent_span_id == parent.get_span_context().span_id.to_bytes(8, "big")
    assert arrived.name == "create_memory"
    assert arrived.kind == trace_pb2.Span.SPAN_KIND_CLIENT
    assert arrived.start_time_unix_nano == 1_700_000_000_000_000_001
    assert arrived.end_time_unix_nano == 1_700_000_000_000_000_003
    assert attributes(arrived) == {
        "gen_ai.operation.name": "create_memory",
        "number": 7,
        "share": 0.5,
    }
    (link,) = arrived.links
    assert link.trace_id == other.get_span_context().trace_id.to_bytes(16, "big")
    assert link.span_id == other.get_span_context().span_id.to_bytes(8, "big")
    assert attributes(link) == {"why": "retry"}
    (event,) = arrived.events
    assert (event.name, event.time_unix_nano) == ("noted", 1_700_000_000_000_000_002)
    assert attributes(event) == {"yes": True}
    assert arrived.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    assert arrived.status.message == "broken"
    scope = pointed.spans[0].resource_spans[0].scope_spans[0].scope
    assert (scope.name, scope.version) == ("test", "1.0")


def test_spans_and_metrics_are_of_this_process(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=memory,host.name=elsewhere")
    session = started(registry)
    end_spans(session, 1)
    session.close()

    of_spans = attributes(pointed.spans[0].resource_spans[0].resource)
    of_metrics = attributes(pointed.pages[0].resource_metrics[0].resource)
    assert of_spans == of_metrics
    assert of_spans["service.name"] == "agentmem-observe"
    assert of_spans["service.version"] == __version__
    assert of_spans["service.instance.id"]
    assert of_spans["process.pid"] == os.getpid()
    assert of_spans["process.runtime.version"] == platform.python_version()
    assert (of_spans["team"], of_spans["host.name"]) == ("memory", "elsewhere")


def test_the_name_of_the_service_can_be_set(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=other")

    with started(registry) as session:
        assert session.resource.attributes["service.name"] == "nightly"


def test_the_metrics_are_those_of_the_registry(pointed: Collector):
    registry = MetricRegistry(now=lambda: 1_700_000_000.5)
    registry.add(catalog.OPERATIONS, OPERATION, 41)
    registry.add(catalog.OPERATIONS, OPERATION, 1)
    run = {"target": "fake", "category": "storage", "benchmark": "write"}
    registry.set(catalog.PROCESS_RSS, run, 4096)
    registry.set_state(catalog.VALIDITY, run, "degraded")
    started(registry).close()

    metrics = pointed.metrics()
    operations = metrics["agentmem.operations"]
    assert (operations.unit, operations.description) == ("{operation}", catalog.OPERATIONS.help)
    assert operations.sum.is_monotonic
    assert operations.sum.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = operations.sum.data_points
    assert point.as_double == 42
    assert point.start_time_unix_nano == 1_700_000_000_500_000_000
    assert point.time_unix_nano > point.start_time_unix_nano
    assert attributes(point) == {
        "agentmem.target": "fake",
        "agentmem.category": "storage",
        "agentmem.benchmark": "write",
        "gen_ai.operation.name": "create_memory",
        "agentmem.tier": "stm",
        "agentmem.outcome": "error:TimeoutError",
        "error.type": "TimeoutError",
    }
    (rss,) = metrics["agentmem.process.resident_memory"].gauge.data_points
    assert rss.as_double == 4096
    states = metrics["agentmem.validity"].gauge.data_points
    assert {attributes(each)["agentmem.verdict"]: each.as_double for each in states} == {
        "valid": 0,
        "degraded": 1,
        "void": 0,
    }
    assert len(metrics) == len(registry.collect())


def with_histogram() -> tuple[MetricRegistry, Histogram]:
    values = np.random.default_rng(1).lognormal(11, 2, 10_000).astype(np.int64)
    values[:3] = 0
    histogram = Histogram()
    histogram.record(values)
    registry = MetricRegistry()
    registry.merge(catalog.OPERATION_SERVICE_TIME, OPERATION, histogram)
    registry.note(
        catalog.OPERATION_SERVICE_TIME, OPERATION, Exemplar(0.0015, TRACE, SPAN, 1_700_000_000.25)
    )
    return registry, histogram


def test_a_histogram_arrives_with_its_exponential_buckets(pointed: Collector):
    registry, histogram = with_histogram()
    started(registry).close()

    metric = pointed.metrics()["agentmem.operation.service_time"]
    assert metric.unit == "s"
    data = metric.exponential_histogram
    assert data.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = data.data_points
    expected = histogram.to_otel()
    assert point.scale == expected.scale == 5
    assert point.zero_count == expected.zero_count == 3
    assert point.positive.offset == expected.offset
    assert list(point.positive.bucket_counts) == expected.bucket_counts
    assert list(point.negative.bucket_counts) == []
    assert point.count == histogram.count == 10_000
    assert point.sum == histogram.sum_seconds
    assert (point.min, point.max) == (0, histogram.max_seconds)
    assert point.zero_count + sum(point.positive.bucket_counts) == point.count
    (exemplar,) = point.exemplars
    assert exemplar.as_double == 0.0015
    assert exemplar.trace_id.hex() == TRACE
    assert exemplar.span_id.hex() == SPAN
    assert exemplar.time_unix_nano == 1_700_000_000_250_000_000
    assert attributes(point)["error.type"] == "TimeoutError"


def test_a_histogram_arrives_with_classic_buckets_where_the_environment_asks_for_them(
    pointed: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"
    )
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_off")
    registry, histogram = with_histogram()
    started(registry).close()

    (point,) = pointed.metrics()["agentmem.operation.service_time"].histogram.data_points
    assert tuple(point.explicit_bounds) == BOUNDS_SECONDS
    assert np.cumsum(point.bucket_counts).tolist()[:-1] == histogram.cumulative_at(BOUNDS_SECONDS)
    assert sum(point.bucket_counts) == point.count == histogram.count
    assert point.sum == histogram.sum_seconds
    assert (point.min, point.max) == (0, histogram.max_seconds)
    assert not point.exemplars


def test_more_series_than_a_message_holds_arrive_once_each(pointed: Collector):
    registry = MetricRegistry(series_limit=3_000)
    for number in range(3_000):
        registry.add(catalog.OPERATIONS, OPERATION | {"benchmark": f"b{number}"}, number)
    started(registry).close()

    points = [
        point
        for page in range(len(pointed.pages))
        if "agentmem.operations" in pointed.metrics(page)
        for point in pointed.metrics(page)["agentmem.operations"].sum.data_points
    ]
    assert len(pointed.pages) == 2
    assert sorted(point.as_double for point in points) == list(range(3_000))
    assert items(registry, "otlp_metrics") == {"sent": 1, "failed": 0, "dropped": 0}


@pytest.mark.parametrize("compression", ["gzip", "none", ""])
def test_headers_and_compression_are_those_of_the_environment(
    compression: str,
    pointed: Collector,
    protocol: str,
    registry: MetricRegistry,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20c2VjcmV0,x-a=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=Basic%20bWV0cmljcw==")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    session = started(registry)
    end_spans(session, 1)
    session.close()

    of_spans, of_metrics = pointed.headers
    assert (of_spans["authorization"], of_spans["x-a"]) == ("Basic c2VjcmV0", "1")
    assert of_metrics["authorization"] == "Basic bWV0cmljcw=="
    assert "x-a" not in of_metrics
    if protocol != "grpc":
        assert of_spans.get("content-encoding", "") == compression.replace("none", "")
    assert len(pointed.all_spans()) == 1


def test_a_signal_can_be_left_out(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    session = started(registry)
    session.close()

    assert session.span_processor is None
    assert len(pointed.pages) == 1


def test_a_signal_can_go_to_standard_error(
    registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
    session = started(registry)
    end_spans(session, 1)
    session.close()

    out, err = capfd.readouterr()
    assert out == ""
    assert '"name": "span 0"' in err
    assert '"agentmem.exporter.items"' in err
    assert items(registry, "console_spans") == {"sent": 1, "failed": 0, "dropped": 0}


class RecordedOnly(Sampler):
    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "records all, samples none"


def test_a_span_that_is_not_sampled_is_not_sent(pointed: Collector, registry: MetricRegistry):
    session = started(registry)
    end_spans(session, 2, RecordedOnly())
    end_spans(session, 1)
    session.close()

    assert len(pointed.all_spans()) == 1
    assert items(registry, "otlp_spans") == {"sent": 1, "failed": 0, "dropped": 0}


def test_the_last_page_of_metrics_counts_the_spans(pointed: Collector, registry: MetricRegistry):
    session = started(registry)
    end_spans(session, 1_000)
    session.close()

    points = pointed.metrics()["agentmem.exporter.items"].sum.data_points
    counted = {
        (
            attributes(each)["agentmem.exporter"],
            attributes(each)["agentmem.result"],
        ): each.as_double
        for each in points
    }
    assert counted["otlp_spans", "sent"] == len(pointed.all_spans()) == 1_000
    assert items(registry, "otlp_spans") == {"sent": 1_000, "failed": 0, "dropped": 0}


def test_closing_twice_sends_once(pointed: Collector, registry: MetricRegistry):
    session = started(registry)
    session.close()
    session.close()

    assert len(pointed.pages) == 1


def test_flushing_sends_spans_at_once(pointed: Collector, registry: MetricRegistry):
    with started(registry) as session:
        end_spans(session, 3)

        assert session.span_processor is not None
        assert session.span_processor.force_flush()
        assert len(pointed.all_spans()) == 3
