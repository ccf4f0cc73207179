"""The end of a queue whose collector was away when it was last tried."""

import logging
import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agentmem_observe.telemetry.delivery import Delivery
from agentmem_observe.telemetry.otel_environment import QueueLimits
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.span_queue import SpanQueue

from .conftest import PATIENCE_SECONDS, items


class AwayAtFirst(SpanExporter):
    """Finds nobody listening, and says so as the SDK's exporters do; later it does find one."""

    def __init__(self) -> None:
        self.away = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.away:
            logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").error(
                "Failed: %s", ConnectionError("http://me:hunter2@127.0.0.1:1")
            )
        return SpanExportResult.FAILURE if self.away else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.away = True


def test_a_collector_that_was_away_gets_what_is_left_when_it_is_back(registry: MetricRegistry):
    exporter = AwayAtFirst()
    delivery = Delivery(registry, "otlp_spans", exporter, "there")
    queue = SpanQueue(exporter, delivery, QueueLimits(delay_seconds=3_600, spans=10, batch=10))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    provider.get_tracer("test").start_span("lost").end()
    queue.force_flush()
    exporter.away = False
    provider.get_tracer("test").start_span("kept").end()
    queue.finish(time.monotonic() + PATIENCE_SECONDS)

    assert items(registry, "otlp_spans") == {"sent": 1, "failed": 1, "dropped": 0}
