"""Spans and metrics as OTLP-JSON lines in a file."""

import base64
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import Link, SpanKind

from agentmem_observe.errors import UsageError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.otlp import OtlpSession
from agentmem_observe.telemetry.otlp_file import LineFile
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry

from .conftest import Collector, end_spans, items, tracer_of

LABELS = {
    "target": "fake",
    "category": "storage",
    "benchmark": "write",
    "operation": "create_memory",
    "tier": "",
    "outcome": "ok",
}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.jsonl"


def started(registry: MetricRegistry, path: Path) -> OtlpSession:
    session = OtlpSession.from_environment(registry, file=path)
    assert session is not None
    return session


def filled() -> tuple[MetricRegistry, Histogram]:
    registry = MetricRegistry()
    histogram = Histogram()
    histogram.record(np.array([1_000, 2_000, 3_000_000], np.int64))
    registry.merge(catalog.OPERATION_LATENCY, LABELS, histogram)
    registry.note(catalog.OPERATION_LATENCY, LABELS, Exemplar(0.003, TRACE, SPAN, 1.7e9))
    registry.add(catalog.OPERATIONS, LABELS, 3)
    return registry, histogram


def objects(path: Path, kind: str) -> list[Any]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if kind in line]


def test_a_span_is_a_line_of_otlp_json(path: Path, registry: MetricRegistry):
    session = started(registry, path)
    tracer = tracer_of(session)
    other = tracer.start_span("other").get_span_context()
    span = tracer.start_span(
        "é", kind=SpanKind.CLIENT, links=[Link(other)], attributes={"n": 2**40, "traceId": "x"}
    )
    span.end(1_700_000_000_000_000_003)
    session.close()

    ((resource,),) = [line["resourceSpans"] for line in objects(path, "resourceSpans")]
    ((written,),) = [scope["spans"] for scope in resource["scopeSpans"]]
    context = span.get_span_context()
    assert written["traceId"] == f"{context.trace_id:032x}"
    assert written["spanId"] == f"{context.span_id:016x}"
    assert written["links"][0]["traceId"] == f"{other.trace_id:032x}"
    assert (written["name"], written["kind"]) == ("é", 3)
    assert written["endTimeUnixNano"] == "1700000000000000003"
    assert written["attributes"] == [
        {"key": "n", "value": {"intValue": str(2**40)}},
        {"key": "traceId", "value": {"stringValue": "x"}},
    ]


def test_metrics_are_a_line_of_otlp_json(path: Path):
    registry, histogram = filled()
    started(registry, path).close()

    (line,) = objects(path, "resourceMetrics")
    metrics = {
        metric["name"]: metric
        for metric in line["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    }
    data = metrics["agentmem.operation.latency"]["exponentialHistogram"]
    assert data["aggregationTemporality"] == 2
    (point,) = data["dataPoints"]
    assert point["count"] == "3"
    assert point["sum"] == histogram.sum_seconds
    assert point["scale"] == 5
    counts = [int(count) for count in point["positive"]["bucketCounts"]]
    assert counts == histogram.to_otel().bucket_counts
    assert point["exemplars"][0]["traceId"] == TRACE
    assert point["exemplars"][0]["spanId"] == SPAN
    (total,) = metrics["agentmem.operations"]["sum"]["dataPoints"]
    assert total["asDouble"] == 3.0


def in_base64(node: Any) -> Any:
    """Undo what OTLP does to protobuf's own JSON."""
    if isinstance(node, list):
        return [in_base64(child) for child in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        name: base64.b64encode(bytes.fromhex(child)).decode() if name in ids else in_base64(child)
        for name, child in node.items()
    }


def test_the_file_and_the_collector_get_the_same(pointed: Collector, path: Path):
    registry, histogram = filled()
    session = started(registry, path)
    end_spans(session, 700)
    session.close()

    spans = [
        span
        for line in objects(path, "resourceSpans")
        for resource in ParseDict(in_base64(line), ExportTraceServiceRequest()).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert spans == pointed.all_spans()
    assert len(spans) == 700
    (line,) = objects(path, "resourceMetrics")
    page = ParseDict(in_base64(line), ExportMetricsServiceRequest())
    scopes = page.resource_metrics[0].scope_metrics
    in_file = {metric.name: metric for metric in scopes[0].metrics}
    for name in ("agentmem.operation.latency", "agentmem.operations"):
        for metric in (in_file[name], pointed.metrics()[name]):
            data = getattr(metric, metric.WhichOneof("data"))
            (point,) = data.data_points
            if name == "agentmem.operations":
                assert point.as_double == histogram.count
            else:
                assert (point.count, point.sum) == (histogram.count, histogram.sum_seconds)
    for exporter in ("otlp_spans", "otlp_file_spans"):
        assert items(registry, exporter) == {"sent": 700, "failed": 0, "dropped": 0}


def test_a_second_run_adds_its_lines(path: Path, registry: MetricRegistry):
    started(registry, path).close()
    started(registry, path).close()

    assert len(objects(path, "resourceMetrics")) == 2


def test_a_line_that_a_killed_process_cut_short_is_removed(
    path: Path, caplog: pytest.LogCaptureFixture
):
    path.write_bytes(b'{"resourceSpans":[]}\n{"resourceMetr')

    file = LineFile(path)
    file.append(b'{"resourceMetrics":[]}\n')
    file.close()

    assert path.read_bytes() == b'{"resourceSpans":[]}\n{"resourceMetrics":[]}\n'
    assert caplog.messages == [f"{path}: removed the last 14 bytes, a line cut short"]


def test_a_whole_last_line_without_its_end_is_kept(path: Path):
    path.write_bytes(b'{"resourceSpans":[]}')

    file = LineFile(path)
    file.append(b'{"resourceMetrics":[]}\n')
    file.close()

    assert path.read_bytes() == b'{"resourceSpans":[]}\n{"resourceMetrics":[]}\n'


WRITER = """
import sys
from pathlib import Path
from agentmem_observe.telemetry.otlp_file import LineFile
file = LineFile(Path(sys.argv[1]))
line = b'{"resourceSpans":"' + b"x" * 100_000 + b'"}\\n'
while True:
    file.append(line)
    print(flush=True)
"""


def test_a_killed_process_leaves_lines_that_can_be_gone_on_with(path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.kill()

    LineFile(path).close()

    assert len(objects(path, "resourceSpans")) >= 20


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"# Notes\n", "exists and does not hold OTLP-JSON lines; name another file"),
        (b'{"benchmark": 1}', "exists and does not hold OTLP-JSON lines; name another file"),
    ],
)
def test_another_file_is_not_written_into(path: Path, content: bytes, complaint: str):
    path.write_bytes(content)

    with pytest.raises(UsageError, match=f"^--otlp-file {path}: {complaint}$"):
        LineFile(path)

    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, registry: MetricRegistry):
    path = tmp_path / "missing" / "telemetry.jsonl"

    with pytest.raises(UsageError, match=r"cannot be written: No such file or directory; name"):
        OtlpSession.from_environment(registry, file=path)


def test_what_is_no_file_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="not a regular file"):
        LineFile(tmp_path / "pipe")


def test_a_full_disk_costs_the_lines_that_do_not_fit_and_is_said(
    path: Path,
    registry: MetricRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    write = os.write
    pieces = iter([10])

    def full(descriptor: int, data: Any) -> int:
        if count := next(pieces, None):
            return write(descriptor, data[:count])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    session = started(registry, path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        end_spans(session, 2)
        assert session.span_processor is not None
        session.span_processor.force_flush()
    end_spans(session, 3)
    session.close()

    assert sum(1 for _ in objects(path, "resourceSpans")) == 1
    assert items(registry, "otlp_file_spans") == {"sent": 3, "failed": 2, "dropped": 0}
    assert caplog.messages == [
        f"otlp_file_spans: {path} does not take them: No space left on device; the run goes on, "
        "and what is lost is counted",
        f"otlp_file_spans: {path} takes them again",
        f"otlp_file_spans: 2 of 5 never reached {path}: 2 failed, 0 were dropped",
    ]
