"""Writes families in the format that a scraper asks for: text, OpenMetrics or protobuf."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from prometheus_client.core import Metric as TextMetric
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import ALLOWUTF8
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.samples import Exemplar as TextExemplar

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry.buckets import LE, HistogramStack, bucket_of
from agentmem_observe.telemetry.catalog import Kind
from agentmem_observe.telemetry.protobuf import encode_protobuf
from agentmem_observe.telemetry.registry import Exemplar, Family, Sample


class Format(Enum):
    """A format of a page; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROTOBUF = (
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily;"
        " encoding=delimited"
    )


def encode(families: Iterable[Family], format: Format) -> bytes:
    """Return the page that a scraper gets.

    Native histograms are in the protobuf alone, exemplars and creation times not in the text.
    """
    match format:
        case Format.PROTOBUF:
            return encode_protobuf(families)
        case Format.OPENMETRICS:
            return _openmetrics(Page(families, extras=True), ALLOWUTF8)
        case Format.TEXT:
            return generate_text(Page(families, extras=False))


# Its own annotations are missing. Our names need no escaping: to say so by ALLOWUTF8 spares a look
# at each of their characters, a third of the time.
_openmetrics: Callable[["Page", str], bytes] = generate_openmetrics

# Negotiation


class Choice(NamedTuple):
    """One of the things that a client would take.

    Attributes:
        value: In lower case, without parameters.
        params: Parameters by name, but ``q``.
        weight: How much it is wanted, from 0 (not at all) to 1.
    """

    value: str
    params: dict[str, str]
    weight: float


def choices(header: str) -> list[Choice]:
    """Return what a header such as ``Accept`` lists, most wanted first, else in its order.

    What is not wanted at all is left out, and so is what has no valid weight.

    Examples:
        >>> [choice.value for choice in choices("text/plain;q=0.5, */*;q=0, text/html")]
        ['text/html', 'text/plain']
    """
    found = (_choice(part) for part in header.split(","))
    wanted = [choice for choice in found if 0 < choice.weight <= 1]
    return sorted(wanted, key=lambda choice: -choice.weight)


def _choice(part: str) -> Choice:
    value, *rest = (each.strip() for each in part.split(";"))
    pairs = (each.partition("=") for each in rest)
    params = {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}
    try:
        weight = float(params.pop("q", "1")) if value else 0.0
    except ValueError:
        weight = 0.0
    return Choice(value.lower(), params, weight)


def negotiate(accept: str) -> Format:
    """Return the format that a client wants most; text if it wants none that there is.

    Args:
        accept: The header ``Accept``, "" if there is none.

    Examples:
        >>> negotiate("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3").name
        'OPENMETRICS'
    """
    offers = (_format(choice) for choice in choices(accept))
    return next((offer for offer in offers if offer), Format.TEXT)


def _format(choice: Choice) -> Format | None:
    version = choice.params.get("version", "")
    match choice.value:
        case "application/vnd.google.protobuf":
            wanted = choice.params.get("proto"), choice.params.get("encoding")
            delimited = wanted == ("io.prometheus.client.MetricFamily", "delimited")
            return Format.PROTOBUF if delimited else None
        case "application/openmetrics-text":
            return Format.OPENMETRICS if version in ("", "1.0.0", "0.0.1") else None
        case "text/plain":
            return Format.TEXT if version in ("", "0.0.4") else None
        case "*/*" | "text/*":
            return Format.TEXT
        case _:
            return None


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client takes gzip, by its header ``Accept-Encoding``."""
    return any(choice.value in ("gzip", "*") for choice in choices(accept_encoding))


def compress(page: bytes) -> bytes:
    """Return a page as gzip, the quickest way: level 9 takes four times as long for a seventh."""
    return gzip.compress(page, 1, mtime=0)


# prometheus_client's view of our families

_TEXT_TYPES = {
    Kind.COUNTER: "counter",
    Kind.GAUGE: "gauge",
    Kind.STATE: "gauge",
    Kind.HISTOGRAM: "histogram",
}


class Page:
    """A collector, as prometheus_client's writers want it."""

    def __init__(self, families: Iterable[Family], *, extras: bool) -> None:
        """Show families.

        Args:
            families: What to show, once.
            extras: Whether to show what OpenMetrics alone has: exemplars and creation times.
        """
        self._families = families
        self._extras = extras

    def collect(self) -> Iterator[TextMetric]:
        """Yield the families in prometheus_client's form."""
        for family in self._families:
            metric = family.metric
            name = metric.name.removesuffix("_total")
            kind = _TEXT_TYPES[metric.kind]
            text = TextMetric(name, metric.help, kind, metric.base_unit)
            if metric.kind is Kind.HISTOGRAM:
                self._add_histograms(text, metric.labels, family.samples)
            else:
                self._add_numbers(text, metric.name, metric.labels, family.samples)
            yield text

    def _add_numbers(
        self, text: TextMetric, name: str, names: Sequence[str], samples: Iterable[Sample]
    ) -> None:
        for sample in samples:
            assert not isinstance(sample.value, Histogram)
            labels = dict(zip(names, sample.labels, strict=True))
            text.add_sample(name, labels, sample.value)
            if self._extras and text.type == "counter":
                text.add_sample(f"{text.name}_created", labels, sample.since_seconds)

    def _add_histograms(
        self, text: TextMetric, names: Sequence[str], samples: Sequence[Sample]
    ) -> None:
        histograms = [each.value for each in samples if isinstance(each.value, Histogram)]
        counts = HistogramStack(histograms).classic().tolist()
        for sample, histogram, row in zip(samples, histograms, counts, strict=True):
            labels = dict(zip(names, sample.labels, strict=True))
            exemplars = {bucket_of(each.seconds): each for each in sample.exemplars}
            for place, (le, count) in enumerate(zip(LE, [*row, histogram.count], strict=True)):
                exemplar = exemplars.get(place)  # the writer of text passes them over
                text.add_sample(
                    f"{text.name}_bucket",
                    labels | {"le": le},
                    count,
                    exemplar=exemplar and _text_exemplar(exemplar),
                )
            text.add_sample(f"{text.name}_count", labels, histogram.count)
            text.add_sample(f"{text.name}_sum", labels, histogram.sum_seconds)
            if self._extras:
                text.add_sample(f"{text.name}_created", labels, sample.since_seconds)


def _text_exemplar(exemplar: Exemplar) -> TextExemplar:
    labels = {"trace_id": exemplar.trace_id, "span_id": exemplar.span_id}
    return TextExemplar(labels, exemplar.seconds, exemplar.at_seconds)
