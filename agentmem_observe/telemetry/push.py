"""The registry's metrics on their way to an exporter: a page now and then, and one at the end."""

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from agentmem_observe.telemetry.delivery import Delivery
from agentmem_observe.telemetry.otlp_metrics import MetricsPages
from agentmem_observe.telemetry.registry import MetricRegistry


class MetricPush:
    """Sends all that a registry holds, at an interval and once more at the end."""

    def __init__(
        self,
        registry: MetricRegistry,
        exporter: MetricExporter,
        delivery: Delivery,
        pages: MetricsPages,
        *,
        interval_seconds: float,
        timeout_seconds: float,
    ) -> None:
        """Start sending; the first page leaves after the first interval.

        Args:
            registry: What is sent.
            exporter: Gets the pages.
            delivery: Calls it; for this alone.
            pages: Makes them; for this alone.
            interval_seconds: From page to page.
            timeout_seconds: How long a page may take, as the exporter is told.
        """
        self._registry = registry
        self._exporter = exporter
        self._delivery = delivery
        self._pages = pages
        self._interval_seconds = interval_seconds
        self._timeout_millis = timeout_seconds * 1e3
        self._last_is_due = True
        delivery.start(self._loop)

    def finish(self, deadline_seconds: float) -> None:
        """Send the last page, within the time.

        Args:
            deadline_seconds: Of the monotonic clock.
        """
        self._delivery.finish(deadline_seconds, lambda: int(self._last_is_due))

    def _loop(self) -> None:
        while not self._delivery.closing.wait(self._interval_seconds):
            self._push()
        if not self._delivery.cut.is_set():
            self._last_is_due = False
            self._push()

    def _push(self) -> None:
        if self._delivery.attempt(1, self._export):
            self._pages.delivered()

    def _export(self) -> bool:
        page = self._pages.page(self._registry.collect())
        result = self._exporter.export(page, timeout_millis=self._timeout_millis)
        return result is MetricExportResult.SUCCESS
