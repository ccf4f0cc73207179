"""What one measured stretch of load showed, and the figures that results quote from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.analysis.validity import Validity
from agentmem_observe.measure.recorder import OK, Aggregate
from agentmem_observe.workload.driver import Load

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}


@dataclass(frozen=True, slots=True)
class Measurement:
    """The outcome of one closed or open loop.

    Attributes:
        load: What was sent.
        aggregate: How it was answered.
        validity: Whether the numbers can be trusted.
        verification: What reading back showed; empty if nothing was verified.
    """

    load: Load
    aggregate: Aggregate
    validity: Validity
    verification: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> int:
        """Return how many operations succeeded."""
        return self.aggregate.outcomes().get(OK, 0)

    @property
    def throughput(self) -> float:
        """Return successful operations per second; 0 if no time passed."""
        elapsed = self.load.elapsed_seconds
        return self.ok / elapsed if elapsed > 0 else 0.0

    @property
    def answered_per_second(self) -> float:
        """Return operations per second, whatever their outcome; 0 if no time passed."""
        elapsed = self.load.elapsed_seconds
        return self.load.operations / elapsed if elapsed > 0 else 0.0

    def of(self, operation: str) -> "Measurement":
        """Return what the same load showed of one operation; ``load`` stays that of all."""
        part = Aggregate()
        for key, series in self.aggregate:
            if key.operation == operation:
                part.series(key).merge(series)
        return replace(self, aggregate=part, verification={})

    def summary(self) -> dict[str, Any]:
        """Return the figures that go into a result: the seeds' three first, then ours.

        Percentiles are of successful operations only, and left out where there are too few.
        """
        total = self.aggregate.total()
        figures: dict[str, Any] = {
            "throughput_ops_per_second": self.throughput,
            "total_time_seconds": self.load.elapsed_seconds,
            "items_processed": self.ok,
            "loop": "closed" if self.load.offered_rate is None else "open",
            "outcomes": self.aggregate.outcomes(),
        }
        durations = {"service_time": total.service_time}
        if self.load.offered_rate is not None:
            figures["offered_ops_per_second"] = self.load.offered_rate
            durations |= {"latency": total.latency, "lateness": total.lateness}
        for name, histogram in durations.items():
            for label, quantile in QUANTILES.items():
                if histogram.count >= fewest_samples_for(quantile):
                    figures[f"{name}_{label}_seconds"] = histogram.percentile(100 * quantile)
            if histogram.count:
                figures[f"{name}_max_seconds"] = histogram.max_seconds
        if self.verification:
            figures["verification"] = dict(self.verification)
        figures["validity"] = self.validity.verdict
        return figures
