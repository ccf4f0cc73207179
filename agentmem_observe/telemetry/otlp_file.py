"""Spans and metrics as lines of OTLP-JSON in a file, for machines without a collector.

A line is one ``TracesData`` or ``MetricsData`` object, as a collector's ``otlpjsonfile`` receiver
reads them. OpenTelemetry's own file exporter is a pre-release, and writes a line in pieces.
"""

import base64
import fcntl
import json
import logging
import mmap
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agentmem_observe.errors import UsageError

_logger = logging.getLogger(__name__)

_IDS = {"traceId", "spanId", "parentSpanId"}
_OURS = b'{"resource'


class LineFile:
    """A file that grows by whole lines, even from several processes at once.

    A line is written by one call, which nothing but a SIGKILL within it can cut short. What such
    a death leaves behind, the next who opens the file removes.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Args:
            path: Where; lines are added to those that are there.

        Raises:
            UsageError: If it cannot be written, or holds something else.
        """
        self._lock = threading.Lock()  # the file's own is the process's: no use between threads
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            raise UsageError(
                f"--otlp-file {path}: cannot be written: {error.strerror}; name another file"
            ) from None
        if complaint := self._complaint():
            os.close(self._descriptor)
            raise UsageError(f"--otlp-file {path}: {complaint}; name another file")
        with _locked(self._descriptor):
            if unfinished := self._finish_last_line():
                _logger.warning(
                    "%s: removed the last %d bytes, a line cut short", path, unfinished
                )

    def append(self, line: bytes) -> None:
        """Add a line, whole or not at all.

        Args:
            line: Ends in a line feed.

        Raises:
            OSError: If it cannot be written; then the file is as it was.
        """
        with self._lock, _locked(self._descriptor):
            end = os.fstat(self._descriptor).st_size
            rest = memoryview(line)
            try:
                while rest:  # only a full disk takes a part, and then says so
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                os.ftruncate(self._descriptor, end)
                raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _complaint(self) -> str:
        """Return why nothing can be added, or ""."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            return "not a regular file"
        head = os.pread(self._descriptor, len(_OURS), 0)
        return "" if _OURS.startswith(head) else "exists and does not hold OTLP-JSON lines"

    def _finish_last_line(self) -> int:
        """Remove a last line that is no JSON; return how many bytes that were."""
        size = os.fstat(self._descriptor).st_size
        if not size:
            return 0
        with mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ) as content:
            start = content.rfind(b"\n") + 1
            line = content[start:]
        try:
            if line:
                json.loads(line)
                os.write(self._descriptor, b"\n")
        except ValueError:
            os.ftruncate(self._descriptor, start)
            return len(line)
        return 0


class FileSpanExporter(SpanExporter):
    """Writes each batch of spans as a line."""

    def __init__(self, file: LineFile) -> None:
        self._file = file

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a line; raises `OSError` if that fails."""
        self._file.append(otlp_json_line(encode_spans(spans)))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing: whoever opened the file closes it."""


class FileMetricExporter(MetricExporter):
    """Writes each page of metrics as a line."""

    def __init__(self, file: LineFile) -> None:
        super().__init__()
        self._file = file

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Write a line; raises `OSError` if that fails."""
        self._file.append(otlp_json_line(encode_metrics(metrics_data)))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return True: nothing is held back."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Do nothing: whoever opened the file closes it."""


def otlp_json_line(request: Message) -> bytes:
    """Return an export request as OTLP-JSON, which is protobuf's JSON but for a few fields.

    Enumerations are numbers, and ids hexadecimal digits instead of base64.
    """
    content = MessageToDict(request, use_integers_for_enums=True)
    _write_ids_in_hex(content)
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _write_ids_in_hex(node: Any) -> None:
    # Only names of fields are keys here: attributes are lists of key and value.
    if isinstance(node, dict):
        for name in _IDS & node.keys():
            node[name] = base64.b64decode(node[name]).hex()
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _write_ids_in_hex(child)


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
