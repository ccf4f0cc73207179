"""Writes families as Prometheus' protobuf: the one format that native histograms travel in.

A page is messages ``io.prometheus.client.MetricFamily``, each after its length. A page has buckets
by the ten thousand: numpy writes those of a whole family at once.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from agentmem_observe.measure.histogram import (
    EXPORT_SCHEMA,
    PROMETHEUS_ZERO_THRESHOLD,
    Histogram,
)
from agentmem_observe.model import Int64Array
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS, HistogramStack, bucket_of
from agentmem_observe.telemetry.catalog import Kind, Metric
from agentmem_observe.telemetry.registry import Exemplar, Family, Sample

_Columns: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]
"""Bytes, a message per row, and which of them are written: numbers are of different lengths."""

_MOST_SERIES_CACHED = 16_384

_VARINT, _DOUBLE, _BYTES = 0, 1, 2  # the wire types in use

_TYPES: Final = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.STATE: 1, Kind.HISTOGRAM: 4}


def encode_protobuf(families: Iterable[Family]) -> bytes:
    """Return a page of length-delimited messages.

    Histograms have their native buckets at schema 5 and the classic ones of `BOUNDS_SECONDS`; an
    exemplar is in the classic bucket that it belongs to, where every version of Prometheus looks.
    """
    _exemplar_fields.turn()
    return b"".join(map(_family, families))


def _family(family: Family) -> bytes:
    metric, samples = family.metric, family.samples
    content = [
        _field(1, metric.name.encode()),
        _field(2, metric.help.encode()),
        _key(3, _VARINT) + _varint(_TYPES[metric.kind]),
        _field(5, metric.base_unit.encode()) if metric.base_unit else b"",
    ]
    for sample, value in zip(samples, _values(metric, samples), strict=True):
        content.append(_field(4, _labels(metric.labels, sample.labels) + value))
    page = b"".join(content)
    return _varint(len(page)) + page


def _values(metric: Metric, samples: Sequence[Sample]) -> Iterable[bytes]:
    match metric.kind:
        case Kind.HISTOGRAM:
            return _histograms(samples)
        case Kind.COUNTER:
            return (_field(3, _number(each) + _created(3, each.since_seconds)) for each in samples)
        case _:
            return (_field(2, _number(each)) for each in samples)


def _number(sample: Sample) -> bytes:
    assert not isinstance(sample.value, Histogram)
    return _double(1, sample.value)


@lru_cache(_MOST_SERIES_CACHED)
def _created(number: int, since_seconds: float) -> bytes:
    return _field(number, _timestamp(since_seconds))


@lru_cache(_MOST_SERIES_CACHED)
def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> bytes:
    pairs = zip(names, values, strict=True)
    return b"".join(_field(1, _label(name, value)) for name, value in pairs)


def _label(name: str, value: str) -> bytes:
    return _field(1, name.encode()) + _field(2, value.encode())


# Histograms


def _histograms(samples: Sequence[Sample]) -> Iterator[bytes]:
    histograms = [each.value for each in samples if isinstance(each.value, Histogram)]
    stack = HistogramStack(histograms)
    classic = _classic(stack, samples)
    natives = _native(stack, len(samples))
    for sample, histogram, buckets, native in zip(
        samples, histograms, classic, natives, strict=True
    ):
        yield _field(
            7,
            b"".join(
                (
                    _key(1, _VARINT),
                    _varint(histogram.count),
                    _double(2, histogram.sum_seconds),
                    buckets,
                    _created(15, sample.since_seconds),
                    _RESOLUTION,
                    _key(7, _VARINT),
                    _varint(histogram.zero_count),
                    native,
                )
            ),
        )


def _classic(stack: HistogramStack, samples: Sequence[Sample]) -> Iterator[bytes]:
    """Yield the fields ``bucket`` of each histogram."""
    counts = stack.classic()
    bounds = np.tile(_BOUND_FIELDS, (len(samples), 1))
    page, ends = _rows(
        _key(3, _BYTES),
        _constant(_key(1, _VARINT), counts.size),
        _varints(counts.ravel()),
        (bounds, np.ones(bounds.shape, np.bool_)),
    )
    edges = [0, *ends.tolist()]
    per_sample = len(BOUNDS_SECONDS)
    for number, sample in enumerate(samples):
        own = edges[number * per_sample : (number + 1) * per_sample + 1]
        if sample.exemplars:
            yield _with_exemplars(page, own, sample)
        else:
            yield page[own[0] : own[-1]]


def _with_exemplars(page: bytes, edges: list[int], sample: Sample) -> bytes:
    """Return the buckets between the edges, with the exemplars in theirs."""
    parts: list[bytes] = []
    done = edges[0]
    places = {bucket_of(each.seconds): each for each in sample.exemplars}
    for place in sorted(places):
        if place < len(BOUNDS_SECONDS):
            start, end = edges[place : place + 2]
            bucket = page[start + 2 : end]
        else:  # +Inf's is implied, unless it has something to say
            assert isinstance(sample.value, Histogram)
            start = end = edges[-1]
            bucket = _key(1, _VARINT) + _varint(sample.value.count) + _double(2, math.inf)
        parts += page[done:start], _field(3, bucket + _exemplar_fields.of(places[place]))
        done = end
    return b"".join((*parts, page[done : edges[-1]]))


def _exemplar(exemplar: Exemplar) -> bytes:
    return _field(
        3,
        _field(1, _label("trace_id", exemplar.trace_id))
        + _field(1, _label("span_id", exemplar.span_id))
        + _double(2, exemplar.seconds)
        + _field(3, _timestamp(exemplar.at_seconds)),
    )


class _ExemplarFields:
    """The fields ``exemplar`` of the last page and the one in hand.

    Most exemplars are in many pages, one after the other, but none comes back: a cache of a fixed
    size would fill with old ones, for hours and by megabytes.
    """

    def __init__(self) -> None:
        self._last: dict[Exemplar, bytes] = {}
        self._now: dict[Exemplar, bytes] = {}

    def turn(self) -> None:
        """Begin a page; that others are being written meanwhile costs time at the most."""
        self._last, self._now = self._now, {}

    def of(self, exemplar: Exemplar) -> bytes:
        field = self._now.get(exemplar) or self._last.get(exemplar) or _exemplar(exemplar)
        self._now[exemplar] = field
        return field


_exemplar_fields = _ExemplarFields()


def _native(stack: HistogramStack, histograms: int) -> Iterator[bytes]:
    """Yield the fields ``positive_span`` and ``positive_delta`` of each histogram."""
    buckets = stack.native()
    if not buckets.counts.size:
        yield from [b""] * histograms
        return
    begins = np.diff(buckets.owners, prepend=-1) != 0
    gaps = np.diff(buckets.indices, prepend=0) - 1
    first = np.flatnonzero(begins | (gaps != 0))  # of each run of filled buckets
    lengths = np.diff(first, append=begins.size)
    distances = np.where(begins, buckets.indices, gaps)[first]
    deltas = np.where(begins, buckets.counts, np.diff(buckets.counts, prepend=0))
    spans, span_ends = _rows(
        _key(12, _BYTES),
        _constant(_key(1, _VARINT), first.size),
        _varints(_zigzag(distances)),
        _constant(_key(2, _VARINT), first.size),
        _varints(lengths),
    )
    steps, step_ends = _flat(_varints(_zigzag(deltas)))
    owners = np.arange(histograms + 1)
    spans_of = _parts(spans, span_ends, np.searchsorted(buckets.owners[first], owners))
    steps_of = _parts(steps, step_ends, np.searchsorted(buckets.owners, owners))
    for span, step in zip(spans_of, steps_of, strict=True):
        yield span + _field(13, step) if step else b""


def _parts(page: bytes, ends: Int64Array, firsts: Int64Array) -> Iterator[bytes]:
    """Yield a page in parts, given where each message ends and which message is a part's first."""
    edges = np.concatenate(([0], ends))[firsts].tolist()
    return (page[start:end] for start, end in pairwise(edges))


# The wire format, many messages at once


def _rows(key: bytes, *parts: _Columns) -> tuple[bytes, Int64Array]:
    """Return messages shorter than 128 bytes with their keys, and where each ends."""
    lengths = np.sum([present.sum(axis=1) for _, present in parts], axis=0)
    length = (lengths.astype(np.uint8)[:, None], np.ones((lengths.size, 1), np.bool_))
    return _flat(_constant(key, lengths.size), length, *parts)


def _flat(*parts: _Columns) -> tuple[bytes, Int64Array]:
    present = np.concatenate([part for _, part in parts], axis=1)
    columns = np.concatenate([part for part, _ in parts], axis=1)
    return columns[present].tobytes(), np.cumsum(present.sum(axis=1))


def _constant(content: bytes, rows: int) -> _Columns:
    columns = np.tile(np.frombuffer(content, np.uint8), (rows, 1))
    return columns, np.ones(columns.shape, np.bool_)


def _varints(values: npt.NDArray[np.integer]) -> _Columns:
    """Return numbers >= 0 in base 128, lowest digit first, with a mark on all but the last."""
    width = max(1, -(-int(values.max()).bit_length() // 7))
    rest = values.astype(np.uint64)[:, None] >> np.arange(0, 7 * width, 7, dtype=np.uint64)
    present = rest > 0
    present[:, 0] = True
    columns = (rest & 0x7F).astype(np.uint8)
    columns[:, :-1] |= present[:, 1:].astype(np.uint8) << 7
    return columns, present


def _zigzag(values: Int64Array) -> npt.NDArray[np.uint64]:
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


# The wire format, one at a time


def _key(number: int, wire_type: int) -> bytes:
    return bytes([number << 3 | wire_type])


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _field(number: int, content: bytes) -> bytes:
    return b"".join((_key(number, _BYTES), _varint(len(content)), content))


def _double(number: int, value: float) -> bytes:
    return _pack_double(number << 3 | _DOUBLE, value)


_pack_double = struct.Struct("<Bd").pack


def _timestamp(seconds: float) -> bytes:
    fraction, whole = math.modf(seconds)
    nanoseconds = int(fraction * 1e9)
    return _key(1, _VARINT) + _varint(int(whole)) + _key(2, _VARINT) + _varint(nanoseconds)


_RESOLUTION = (
    _key(5, _VARINT) + _varint(EXPORT_SCHEMA << 1) + _double(6, PROMETHEUS_ZERO_THRESHOLD)
)
_BOUND_FIELDS = np.array([[*_double(2, bound)] for bound in BOUNDS_SECONDS], np.uint8)
