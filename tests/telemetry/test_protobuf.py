"""The protobuf page, decoded by Google's library from the messages' published definition."""

import gc
import math
import struct
import sys

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS, HistogramStack, bucket_of
from agentmem_observe.telemetry.catalog import METRICS, Kind
from agentmem_observe.telemetry.protobuf import encode_protobuf
from agentmem_observe.telemetry.registry import Exemplar, Family, MetricRegistry, Sample

OPERATION = dict(
    target="fake", category="storage", benchmark="b", operation="o", tier="", outcome="ok"
)
SINCE = 1_700_000_000.25

# Of client_model's metrics.proto, what we write: name, number, type, label.
DOUBLE, INT64, UINT64, STRING, MESSAGE, UINT32, ENUM, SINT32, SINT64, INT32 = (
    1, 3, 4, 9, 11, 13, 14, 17, 18, 5,
)  # fmt: skip
FIELDS = {
    "LabelPair": [("name", 1, STRING), ("value", 2, STRING)],
    "Timestamp": [("seconds", 1, INT64), ("nanos", 2, INT32)],
    "Exemplar": [("label", 1, "*LabelPair"), ("value", 2, DOUBLE), ("timestamp", 3, "Timestamp")],
    "Gauge": [("value", 1, DOUBLE)],
    "Counter": [
        ("value", 1, DOUBLE), ("exemplar", 2, "Exemplar"), ("created_timestamp", 3, "Timestamp"),
    ],
    "Bucket": [
        ("cumulative_count", 1, UINT64), ("upper_bound", 2, DOUBLE), ("exemplar", 3, "Exemplar"),
    ],
    "BucketSpan": [("offset", 1, SINT32), ("length", 2, UINT32)],
    "Histogram": [
        ("sample_count", 1, UINT64), ("sample_sum", 2, DOUBLE), ("bucket", 3, "*Bucket"),
        ("schema", 5, SINT32), ("zero_threshold", 6, DOUBLE), ("zero_count", 7, UINT64),
        ("positive_span", 12, "*BucketSpan"), ("positive_delta", 13, -SINT64),
        ("created_timestamp", 15, "Timestamp"),
    ],
    "Metric": [
        ("label", 1, "*LabelPair"), ("gauge", 2, "Gauge"), ("counter", 3, "Counter"),
        ("histogram", 7, "Histogram"),
    ],
    "MetricFamily": [
        ("name", 1, STRING), ("help", 2, STRING), ("type", 3, INT32), ("metric", 4, "*Metric"),
        ("unit", 5, STRING),
    ],
}  # fmt: skip


def message_class() -> type[Message]:
    """Return the class of MetricFamily, made from `FIELDS`; negative types are repeated."""
    file = descriptor_pb2.FileDescriptorProto(name="m.proto", package="t", syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = message.field.add(name=field, number=number, label=1)
            if isinstance(kind, str):
                added.type, added.type_name = MESSAGE, f".t.{kind.removeprefix('*')}"
                added.label = 3 if kind.startswith("*") else 1
            else:
                added.type, added.label = abs(kind), 3 if kind < 0 else 1
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.MetricFamily"))


MetricFamily = message_class()


def decode(page: bytes) -> list[Message]:
    """Return the messages of a page; fail on bytes that nobody would read."""
    families, place = [], 0
    while place < len(page):
        length = shift = 0
        while True:
            digit = page[place]
            length |= (digit & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if digit < 0x80:
                break
        family = MetricFamily()
        assert family.ParseFromString(page[place : place + length]) == length
        without_unknown = MetricFamily()
        without_unknown.CopyFrom(family)
        without_unknown.DiscardUnknownFields()
        assert family == without_unknown
        assert family.ByteSize() == without_unknown.ByteSize()
        families.append(family)
        place += length
    assert place == len(page)
    return families


def recorded(*nanoseconds: int) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(nanoseconds, np.int64))
    return histogram


def histogram_page(*histograms: Histogram, exemplars: tuple[Exemplar, ...] = ()) -> list[Message]:
    samples = tuple(
        Sample(("t", "c", "b", f"{n:04}", "", "ok"), histogram, SINCE, exemplars)
        for n, histogram in enumerate(histograms)
    )
    (family,) = decode(encode_protobuf([Family(catalog.OPERATION_LATENCY, samples)]))
    return [metric.histogram for metric in family.metric]


def assert_same(message: Message, histogram: Histogram) -> None:
    native = histogram.to_prometheus_native()
    assert message.sample_count == histogram.count
    assert message.sample_sum == histogram.sum_seconds
    assert message.schema == native.schema
    assert message.zero_threshold == native.zero_threshold
    assert message.zero_count == native.zero_count
    assert [(span.offset, span.length) for span in message.positive_span] == native.spans
    assert list(message.positive_delta) == native.deltas
    assert [bucket.upper_bound for bucket in message.bucket] == list(BOUNDS_SECONDS)
    counts = [bucket.cumulative_count for bucket in message.bucket]
    assert counts == histogram.cumulative_at(BOUNDS_SECONDS)


def test_every_field_of_a_histogram_says_what_the_histogram_does():
    histogram = recorded(0, 900, 1_000_000, 1_000_100, 7_000_000, 10**9, 2 * 10**11)

    (message,) = histogram_page(histogram)

    assert_same(message, histogram)
    assert message.created_timestamp.seconds == 1_700_000_000
    assert message.created_timestamp.nanos == 250_000_000
    assert message.zero_count == 1
    assert [message.bucket[0].cumulative_count, message.bucket[-1].cumulative_count] == [2, 6]


durations = st.integers(0, 2**62) | st.integers(0, 10**7) | st.sampled_from([0, 1, 10**9])
histograms = st.lists(durations, max_size=30).map(lambda values: recorded(*values))


@settings(max_examples=60, deadline=None)
@given(st.lists(histograms, min_size=1, max_size=6))
def test_histograms_side_by_side_are_written_as_each_would_be_alone(several):
    messages = histogram_page(*several)

    for message, histogram in zip(messages, several, strict=True):
        assert_same(message, histogram)
    assert HistogramStack(several).classic().tolist() == [
        histogram.cumulative_at(BOUNDS_SECONDS) for histogram in several
    ]


def test_an_empty_histogram_is_still_a_native_one():
    (message,) = histogram_page(Histogram())

    assert_same(message, Histogram())
    # Prometheus takes a histogram without spans for native only if its zero bucket has a width.
    assert message.zero_threshold > 0


@pytest.mark.parametrize("bound", BOUNDS_SECONDS)
def test_values_next_to_a_bound_are_counted_as_the_histogram_counts_them(bound):
    nanoseconds = [round(bound * 1e9 * factor) for factor in (0.998, 0.9995, 1, 1.0005, 1.002)]
    alone = [recorded(each) for each in nanoseconds]
    together = recorded(*nanoseconds, 1, 10**12)

    messages = histogram_page(*alone, together)

    for message, histogram in zip(messages, [*alone, together], strict=True):
        assert_same(message, histogram)


def test_counts_as_large_as_numbers_get_are_written():
    histogram = recorded(1000)
    for _ in range(62):
        histogram.merge(histogram)
    histogram.merge(recorded(1_000_000))

    (message,) = histogram_page(histogram)

    assert message.sample_count == 2**62 + 1
    assert list(message.positive_delta) == [2**62, 1 - 2**62]
    assert_same(message, histogram)


def exemplar(seconds: float, number: int = 1) -> Exemplar:
    return Exemplar(seconds, f"{number:032x}", f"{number:016x}", 1_700_000_123.5)


def test_exemplars_are_in_the_classic_bucket_that_they_belong_to():
    seconds = (1e-6, 0.3, 0.0000012, 1000.0)
    histogram = recorded(*(int(each * 1e9) for each in seconds))
    exemplars = tuple(sorted(exemplar(each, number) for number, each in enumerate(seconds)))

    (message, other) = histogram_page(histogram, histogram, exemplars=exemplars)

    found = [bucket for bucket in message.bucket if bucket.HasField("exemplar")]
    bounds = [*BOUNDS_SECONDS, math.inf]
    assert [bucket.upper_bound for bucket in found] == [
        bounds[bucket_of(each.seconds)] for each in exemplars
    ]
    for bucket, each in zip(found, exemplars, strict=True):
        assert bucket.exemplar.value == each.seconds
        labels = {label.name: label.value for label in bucket.exemplar.label}
        assert labels == {"trace_id": each.trace_id, "span_id": each.span_id}
        assert bucket.exemplar.timestamp.seconds == 1_700_000_123
        assert bucket.exemplar.timestamp.nanos == 500_000_000
    counts = [bucket.cumulative_count for bucket in message.bucket]
    assert counts == [*histogram.cumulative_at(BOUNDS_SECONDS), 4]
    assert other == message


def test_pages_keep_nothing_of_exemplars_that_are_gone():
    def blocks_after(pages: range) -> int:
        for number in pages:
            histogram_page(recorded(10**9), exemplars=(exemplar(0.5 + number * 1e-6, number),))
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks_after(range(100))

    assert blocks_after(range(100, 1_100)) - before < 1_000  # of each some eight


def test_the_bucket_of_infinity_is_written_only_if_it_has_an_exemplar():
    (message,) = histogram_page(recorded(10**12), exemplars=(exemplar(1.0),))

    assert message.bucket[-1].upper_bound == BOUNDS_SECONDS[-1]


def test_a_page_has_every_family_with_its_labels_types_and_values():
    registry = MetricRegistry(now=lambda: SINCE)
    registry.add(catalog.OPERATIONS, OPERATION, 2**53)
    registry.set(catalog.BENCHMARK_PROGRESS, labels_of(catalog.BENCHMARK_PROGRESS), 0.25)
    registry.set_state(catalog.VALIDITY, labels_of(catalog.BENCHMARK_PROGRESS), "void")
    registry.merge(catalog.OPERATION_LATENCY, OPERATION, recorded(1000))

    families = {family.name: family for family in decode(encode_protobuf(registry.collect()))}

    counter = families["agentmem_operations_total"]
    assert (counter.type, counter.unit) == (0, "")
    assert counter.help == catalog.OPERATIONS.help
    assert counter.metric[0].counter.value == 2**53
    assert counter.metric[0].counter.created_timestamp.seconds == 1_700_000_000
    assert {pair.name: pair.value for pair in counter.metric[0].label} == OPERATION
    gauge = families["agentmem_benchmark_progress_ratio"]
    assert (gauge.type, gauge.unit, gauge.metric[0].gauge.value) == (1, "ratio", 0.25)
    state = families["agentmem_validity"]
    assert state.type == 1
    assert {metric.label[-1].value: metric.gauge.value for metric in state.metric} == {
        "valid": 0, "degraded": 0, "void": 1,
    }  # fmt: skip
    histogram = families["agentmem_operation_latency_seconds"]
    assert (histogram.type, histogram.unit) == (4, "seconds")
    assert histogram.metric[0].histogram.sample_count == 1


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 5e-324])
def test_numbers_are_written_to_the_bit(value):
    sample = Sample((), value, SINCE)

    (family,) = decode(encode_protobuf([Family(catalog.EXPORTER_RSS, (sample,))]))

    written = family.metric[0].gauge.value
    assert struct.pack("<d", written) == struct.pack("<d", value)


def labels_of(metric: catalog.Metric) -> dict[str, str]:
    return dict.fromkeys(metric.labels, "x")


def test_a_counter_says_since_when_it_counts_and_no_gauge_does():
    for metric in METRICS.values():
        if metric.kind is Kind.HISTOGRAM:
            continue
        sample = Sample(("x",) * len(metric.labels), 1.0, SINCE)

        (family,) = decode(encode_protobuf([Family(metric, (sample,))]))

        assert family.metric[0].HasField("counter") == (metric.kind is Kind.COUNTER)
        assert family.metric[0].HasField("gauge") != (metric.kind is Kind.COUNTER)


def test_a_page_of_nothing_is_empty():
    assert encode_protobuf([]) == b""


def test_hostile_labels_are_read_back_as_they_were_kept(hostile_families):
    messages = decode(encode_protobuf(hostile_families))

    for family, message in zip(hostile_families, messages, strict=True):
        assert [tuple(label.value for label in metric.label) for metric in message.metric] == [
            sample.labels for sample in family.samples
        ]


def test_a_bomb_leaves_a_page_of_bounded_size_that_says_what_was_refused(bomb):
    page = encode_protobuf(bomb.collect())

    families = {family.name: family for family in decode(page)}

    assert len(page) < 500_000
    counters = families["agentmem_operations_total"].metric
    assert len(counters) == 301
    assert sum(metric.counter.value for metric in counters) == 100_000
    histograms = families["agentmem_operation_latency_seconds"].metric
    assert sum(metric.histogram.sample_count for metric in histograms) == 100_000
    refused = families["agentmem_exporter_refused_samples_total"].metric
    assert [metric.counter.value for metric in refused] == [99_700, 99_700]
