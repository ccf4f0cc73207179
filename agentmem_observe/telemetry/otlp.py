"""Everything that goes out as OTLP: ended spans and the registry's metrics to the exporters.

Spans come from whoever is given `OtlpSession.span_processor`, metrics from the registry; each
exporter that the environment or ``--otlp-file`` asks for gets them in a thread of its own.
"""

import os
import platform
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import grpc
import requests
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_spans
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_spans
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter

from agentmem_observe import __version__
from agentmem_observe.results.host import recent_vcs
from agentmem_observe.telemetry.delivery import Delivery
from agentmem_observe.telemetry.otel_environment import (
    GRPC,
    Destination,
    OtelSettings,
    read_settings,
)
from agentmem_observe.telemetry.otlp_file import FileMetricExporter, FileSpanExporter, LineFile
from agentmem_observe.telemetry.otlp_metrics import MetricsPages
from agentmem_observe.telemetry.push import MetricPush
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.span_queue import DEFAULT_FINISH_SECONDS, SpanQueue

_POINTS_PER_PAGE = 2_000  # a point of a full histogram is 2 kB, a gRPC server takes 4 MB
_CREDENTIAL_PROVIDERS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{}CREDENTIAL_PROVIDER"
_STANDARD_ERROR = "standard error"

_Exporter = TypeVar("_Exporter", SpanExporter, MetricExporter)
_Named = tuple[str, _Exporter, str]  # its name in the registry, itself, and where it sends to


class Redirected(requests.RequestException):
    """What answered is not the collector: it says that that is somewhere else."""


class OtlpSession:
    """The exporters of one command, from the first span to the last page of metrics.

    Attributes:
        resource: What all spans and metrics are of.
        span_processor: What a tracer's ended spans are to be given to; None if nobody wants them.
    """

    def __init__(
        self, registry: MetricRegistry, settings: OtelSettings, resource: Resource
    ) -> None:
        """Open the file, if there is one, and start sending.

        Args:
            registry: Where the metrics are, and where what is sent and lost is counted.
            settings: What was asked for.
            resource: What all spans and metrics are of.

        Raises:
            UsageError: If the file cannot be written.
        """
        self.resource = resource
        self._file = LineFile(settings.file) if settings.file else None
        self._queues = [
            SpanQueue(exporter, Delivery(registry, name, exporter, to), settings.queue)
            for name, exporter, to in _span_exporters(settings, self._file)
        ]
        self._pushes = [
            MetricPush(
                registry,
                exporter,
                Delivery(registry, name, exporter, to),
                MetricsPages(
                    resource,
                    delta=settings.delta,
                    exponential=settings.exponential,
                    exemplars=settings.exemplars,
                ),
                interval_seconds=settings.interval_seconds,
                timeout_seconds=settings.push_timeout_seconds,
            )
            for name, exporter, to in _metric_exporters(settings, self._file)
        ]
        self.span_processor = _together(self._queues)

    @classmethod
    def from_environment(cls, registry: MetricRegistry, *, file: Path | None) -> Self:
        """Start what the ``OTEL_*`` variables of this process ask for; `start_otlp` says if any.

        Args:
            registry: Where the metrics are, and where what is sent and lost is counted.
            file: Where OTLP-JSON lines go, if anywhere.

        Raises:
            ConfigError: If a variable has a value that cannot be used.
            UsageError: If the file cannot be written.
        """
        return cls(registry, read_settings(os.environ, file), describe_process())

    def close(self, timeout_seconds: float = DEFAULT_FINISH_SECONDS) -> None:
        """Send what is left, whatever the collector does within the time, and say what was lost.

        Spans may take half of it, so that the metrics, which count them, come last. A second call
        does nothing.

        Args:
            timeout_seconds: For all of it, > 0.
        """
        start = time.monotonic()
        for queue in self._queues:
            queue.finish(start + timeout_seconds / 2)
        for push in self._pushes:
            push.finish(start + timeout_seconds)
        self._queues, self._pushes = [], []
        if self._file:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def describe_process() -> Resource:
    """Return what spans and metrics are of: this process, on this machine, of this commit.

    ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME`` win over what was found out.
    """
    copy = recent_vcs() or {}
    found = {
        "service.name": "agentmem-observe",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
        "host.name": platform.node(),
        "process.pid": os.getpid(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        "process.runtime.description": sys.version,
        "vcs.ref.head.revision": copy.get("commit"),
        "vcs.ref.head.name": copy.get("branch"),
    }
    known = {name: value for name, value in found.items() if value}
    return Resource.create({**known, **OTELResourceDetector().detect().attributes})


def _span_exporters(settings: OtelSettings, file: LineFile | None) -> list[_Named[SpanExporter]]:
    exporters: list[_Named[SpanExporter]] = []
    if to := settings.spans.otlp:
        exporters.append(("otlp_spans", _otlp_spans(to), to.shown))
    if settings.spans.console:
        console = ConsoleSpanExporter(out=sys.stderr)
        exporters.append(("console_spans", console, _STANDARD_ERROR))
    if file:
        exporters.append(("otlp_file_spans", FileSpanExporter(file), str(settings.file)))
    return exporters


def _metric_exporters(
    settings: OtelSettings, file: LineFile | None
) -> list[_Named[MetricExporter]]:
    exporters: list[_Named[MetricExporter]] = []
    if to := settings.metrics.otlp:
        exporters.append(("otlp_metrics", _otlp_metrics(to), to.shown))
    if settings.metrics.console:
        console = ConsoleMetricExporter(out=sys.stderr)
        exporters.append(("console_metrics", console, _STANDARD_ERROR))
    if file:
        exporters.append(("otlp_file_metrics", FileMetricExporter(file), str(settings.file)))
    return exporters


def _otlp_spans(to: Destination) -> SpanExporter:
    if to.protocol == GRPC:
        return grpc_spans.OTLPSpanExporter(
            endpoint=to.endpoint,
            timeout=to.timeout_seconds,
            compression=_grpc_compression(to),
        )
    return http_spans.OTLPSpanExporter(
        endpoint=to.endpoint,
        timeout=to.timeout_seconds,
        compression=HttpCompression(to.compression),
        session=_http_session("TRACES_"),
    )


def _otlp_metrics(to: Destination) -> MetricExporter:
    if to.protocol == GRPC:
        return grpc_metrics.OTLPMetricExporter(
            endpoint=to.endpoint,
            timeout=to.timeout_seconds,
            compression=_grpc_compression(to),
            max_export_batch_size=_POINTS_PER_PAGE,
        )
    return http_metrics.OTLPMetricExporter(
        endpoint=to.endpoint,
        timeout=to.timeout_seconds,
        compression=HttpCompression(to.compression),
        session=_http_session("METRICS_"),
        max_export_batch_size=_POINTS_PER_PAGE,
    )


def _grpc_compression(to: Destination) -> grpc.Compression:
    return grpc.Compression.Gzip if to.compression == "gzip" else grpc.Compression.NoCompression


def _http_session(signal: str) -> requests.Session | None:
    """Return a session that takes a redirection for a failure; None lets the SDK make its own.

    The SDK follows none and yet counts it as a success: a login page would swallow everything.
    """
    if any(_CREDENTIAL_PROVIDERS.format(which) in os.environ for which in ("", signal)):
        return None
    session = requests.Session()
    session.hooks["response"] = [_refuse_redirection]
    return session


def _refuse_redirection(
    response: requests.Response, *args: object, **kwargs: object
) -> requests.Response:
    if 300 <= response.status_code < 400:
        response.close()
        raise Redirected(response=response)
    return response


def _together(queues: list[SpanQueue]) -> SpanProcessor | None:
    if len(queues) < 2:
        return queues[0] if queues else None
    several = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]  # the SDK's lack
    for queue in queues:
        several.add_span_processor(queue)
    return several
