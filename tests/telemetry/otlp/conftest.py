"""A collector of OTLP over gRPC and HTTP, in this process, that does what the test tells it to."""

import gzip
import os
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from agentmem_observe.telemetry.otlp import OtlpSession
from agentmem_observe.telemetry.registry import MetricRegistry

GRPC, HTTP = "grpc", "http/protobuf"
GRPC_CODES = {
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    400: grpc.StatusCode.INVALID_ARGUMENT,
}
RETRY_SECONDS = 0.01
HANG = "hang"
PATIENCE_SECONDS = 30  # with what must happen: only a broken program is waited for so long


@dataclass
class Collector:
    """What arrived, and how to answer what comes next: a status, or not at all until released."""

    port: int = 0
    spans: list[Any] = field(default_factory=list)
    pages: list[Any] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    answers: deque[int | str] = field(default_factory=deque)
    always: int | str = 200
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, headers: Mapping[str, str]) -> int:
        """Return the status of the next answer, in good time or when released."""
        self.headers.append(headers)
        status = self.answers.popleft() if self.answers else self.always
        self.asked.release()
        if status == HANG:
            self.released.wait()
        return status if isinstance(status, int) else 503

    def wait_until_asked(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE_SECONDS)

    def take(self, message: Any) -> None:
        (self.spans if hasattr(message, "resource_spans") else self.pages).append(message)

    def all_spans(self) -> list[Any]:
        return [
            span
            for request in self.spans
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self, page: int = -1) -> dict[str, Any]:
        """Return the metrics of a page by name."""
        scopes = self.pages[page].resource_metrics[0].scope_metrics
        return {metric.name: metric for scope in scopes for metric in scope.metrics}


class _Services(trace_grpc.TraceServiceServicer, metrics_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        status = self.collector.answer(dict(context.invocation_metadata()))
        if status != 200:
            delay = RetryInfo(retry_delay=Duration(nanos=int(RETRY_SECONDS * 1e9)))
            context.set_trailing_metadata(
                [("google.rpc.retryinfo-bin", delay.SerializeToString())]
            )
            context.abort(GRPC_CODES[status], "the collector's own words")
        self.collector.take(request)
        spans = hasattr(request, "resource_spans")
        return (
            trace_service.ExportTraceServiceResponse()
            if spans
            else metrics_service.ExportMetricsServiceResponse()
        )


class _Handler(BaseHTTPRequestHandler):
    collector: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.collector.answer({k.lower(): v for k, v in self.headers.items()})
        if status == 200:
            decode = {"gzip": gzip.decompress, "deflate": zlib.decompress}
            body = decode.get(self.headers.get("content-encoding", ""), bytes)(body)
            kinds = {
                "/v1/traces": trace_service.ExportTraceServiceRequest,
                "/v1/metrics": metrics_service.ExportMetricsServiceRequest,
            }
            self.collector.take(kinds[self.path].FromString(body))
        try:
            self.send_response(status)
            self.send_header("content-length", "0")
            if status in (429, 503):
                self.send_header("retry-after", str(RETRY_SECONDS))
            if status == 302:
                self.send_header("location", "http://127.0.0.1/login")
            self.end_headers()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked has hung up

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), thread


@pytest.fixture(params=[GRPC, HTTP])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def collector(protocol: str, no_thread_is_left: None) -> Iterator[Collector]:
    collector = Collector()
    if protocol == GRPC:
        with ThreadPoolExecutor(4) as threads:
            server = grpc.server(threads)
            trace_grpc.add_TraceServiceServicer_to_server(_Services(collector), server)
            metrics_grpc.add_MetricsServiceServicer_to_server(_Services(collector), server)
            collector.port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            yield collector
            collector.released.set()
            server.stop(None).wait()
    else:
        handler = type("Handler", (_Handler,), {"collector": collector})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
            collector.port = http.server_port
            thread = threading.Thread(target=http.serve_forever, args=[0.01])
            thread.start()
            yield collector
            collector.released.set()
            http.shutdown()
            thread.join()


@pytest.fixture
def registry() -> MetricRegistry:
    return MetricRegistry()


@pytest.fixture
def pointed(collector: Collector, protocol: str, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """The collector, with the environment that points to it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    return collector


def tracer_of(session: OtlpSession, sampler: Sampler = ALWAYS_ON) -> Any:
    assert session.span_processor is not None
    provider = TracerProvider(sampler, session.resource, shutdown_on_exit=False)
    provider.add_span_processor(session.span_processor)
    return provider.get_tracer("test", "1.0")


def end_spans(session: OtlpSession, count: int, sampler: Sampler = ALWAYS_ON) -> None:
    tracer = tracer_of(session, sampler)
    for number in range(count):
        tracer.start_span(f"span {number}").end()


def items(registry: MetricRegistry, exporter: str) -> dict[str, float]:
    """Return what the registry says became of an exporter's items."""
    return {
        sample.labels[1]: sample.value
        for family in registry.collect()
        if family.metric.name == "agentmem_exporter_items_total"
        for sample in family.samples
        if sample.labels[0] == exporter
    }
