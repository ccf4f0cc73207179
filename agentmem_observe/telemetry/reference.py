"""docs/metrics.md, made from the catalog."""

from collections.abc import Iterator
from typing import Final

from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS
from agentmem_observe.telemetry.catalog import LABELS, METRICS, OVERFLOW, Kind, Metric

_HEAD: Final = """\
# Metrics

*Made from `agentmem_observe/telemetry/catalog.py`; change it there, then run `make golden`.*

One registry feeds every exporter, so Prometheus, OpenTelemetry and the result files agree to the
last count.

- **Histograms** are native histograms of schema 5 (±1.1 %) where Prometheus asks for protobuf,
  and OpenTelemetry's exponential histograms of the same buckets. Prometheus gets classic buckets
  too: {bounds} s.
- **States** are gauges with one series per value of their last label: 1 for the value that holds,
  0 for the others.
- **Counters** begin at zero with this process, and go on over its runs.
- Label values are bounded sets. A metric has at most 2,000 series; what is beyond goes to a series
  whose labels all are `{overflow}`, and is counted in `agentmem_exporter_refused_samples_total`.
- In OpenTelemetry a metric's name has dots and no unit, and labels are the attributes named below.
"""


def reference() -> str:
    """Return the page as Markdown."""
    bounds = ", ".join(f"{bound:g}" for bound in BOUNDS_SECONDS)
    return "\n".join(
        [_HEAD.format(bounds=bounds, overflow=OVERFLOW), *_metrics(), "", *_labels(), ""]
    )


def _metrics() -> Iterator[str]:
    yield "## All metrics"
    for metric in METRICS.values():
        yield ""
        yield f"### `{metric.name}`"
        yield ""
        yield f"{metric.help}"
        yield ""
        yield f"{_facts(metric)}"


def _facts(metric: Metric) -> str:
    facts = [
        metric.kind.capitalize(),
        f"unit `{metric.unit}`",
        f"OpenTelemetry `{metric.otel_name}`",
    ]
    if metric.better:
        facts.append(f"{metric.better} is better")
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    facts.append(f"labels {labels}" if labels else "no labels")
    if metric.kind is Kind.STATE:
        facts.append("states " + ", ".join(f"`{state}`" for state in metric.states))
    return "; ".join(facts) + "."


def _labels() -> Iterator[str]:
    yield "## Labels"
    yield ""
    yield "| label | OpenTelemetry attribute | what its values are |"
    yield "|---|---|---|"
    for label in LABELS.values():
        yield f"| `{label.name}` | `{label.attribute}` | {label.help} |"
