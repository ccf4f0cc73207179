"""Durations as counts in base-2 exponential buckets: merged exactly, exported by index arithmetic.

Nanoseconds come in by the array and are counted by ``ceil(128 log2(seconds))``; the counts go out
as percentiles, as JSON, over a pipe, or as the native histograms of OpenTelemetry and Prometheus.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.model import Float64Array, Int64Array

SCHEMA: Final = 7
"""Resolution inside: 128 buckets per doubling; a bucket's middle is within 0.272 % of its ends."""

EXPORT_SCHEMA = 5
"""Resolution of exports by default: 32 buckets per doubling, +-1.1 %."""

MIN_SCHEMA = -4
"""The coarsest resolution that Prometheus knows: one bucket per factor of 65,536."""

PROMETHEUS_ZERO_THRESHOLD = 2.0**-128
"""Seconds up to which a value counts as zero: client_golang's default, so that series add up."""

_PER_DOUBLING = 2**SCHEMA
_CHUNK = 8192  # values bucketed at once: temporaries stay in the cache and are not page-faulted
_INT64 = np.dtype(np.int64)
_INT64_MAX = 2**63 - 1
_SHORTEST_INDEX = -3826  # of 1 ns
_LONGEST_INDEX = 4238  # of 2**63 ns, 292 years
_SPLIT = 2**62


@dataclass(frozen=True, slots=True)
class Buckets:
    """Counts of consecutive buckets, in Prometheus' numbering.

    Bucket ``i`` holds the values in (base**(i-1), base**i] seconds with base = 2**(2**-schema): a
    value on a bound belongs to the bucket below it. The first and the last count are never zero.

    Attributes:
        schema: Resolution, from -4 (coarse) to 7 (fine).
        offset: Index of the first bucket, 0 if there is none.
        counts: Values per bucket, int64, shape (n,).
    """

    schema: int
    offset: int
    counts: Int64Array

    def downscaled(self, schema: int) -> "Buckets":
        """Merge neighbours until the resolution is ``schema``; exact, no value is looked at again.

        Args:
            schema: From -4 to the present schema.

        Raises:
            ValueError: If ``schema`` is finer than the present one or below -4.

        Examples:
            >>> Buckets(schema=1, offset=2, counts=np.array([5, 7, 9])).downscaled(0)
            Buckets(schema=0, offset=1, counts=array([ 5, 16]))
        """
        if not MIN_SCHEMA <= schema <= self.schema:
            raise ValueError(f"schema must be from {MIN_SCHEMA} to {self.schema}, not {schema!r}")
        if not self.counts.size:
            return Buckets(schema, 0, self.counts.copy())
        merged = 2 ** (self.schema - schema)
        offset = -(-self.offset // merged)  # ceil: (base**(i-1), base**i] lies in a bucket whole
        missing = (self.offset - 1) % merged  # of the first merged bucket's neighbours, below ours
        starts = np.maximum(np.arange(-missing, self.counts.size, merged), 0)
        return Buckets(schema, offset, np.add.reduceat(self.counts, starts))

    def upper_bounds_seconds(self) -> Float64Array:
        """Return the inclusive upper bound of each bucket in seconds, ascending, shape (n,)."""
        indices = np.arange(self.offset, self.offset + self.counts.size)
        bounds: Float64Array = np.exp2(indices * 2.0**-self.schema)
        return bounds


@dataclass(frozen=True, slots=True)
class OtelBuckets:
    """The bucket fields of an OpenTelemetry ExponentialHistogram data point, as plain data.

    Attributes:
        scale: OpenTelemetry's name for the schema.
        zero_count: Values that are zero.
        offset: Index of the first count; index ``i`` covers (base**i, base**(i+1)] seconds.
        bucket_counts: Values per bucket, without gaps; empty if there are none.
    """

    scale: int
    zero_count: int
    offset: int
    bucket_counts: list[int]


@dataclass(frozen=True, slots=True)
class PrometheusBuckets:
    """The bucket fields of a Prometheus native histogram, as plain data.

    Attributes:
        schema: Resolution.
        zero_threshold: Width of the zero bucket in seconds.
        zero_count: Values in the zero bucket.
        spans: Runs of filled buckets: (offset, length), where the first offset is an index and
            each other the number of empty buckets since the run before.
        deltas: One count per filled bucket, as its difference from the one before.
    """

    schema: int
    zero_threshold: float
    zero_count: int
    spans: list[tuple[int, int]]
    deltas: list[int]


_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_INT64_MAX)]
_Step: TypeAlias = Annotated[
    int, msgspec.Meta(ge=_SHORTEST_INDEX, le=_LONGEST_INDEX - _SHORTEST_INDEX)
]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a histogram is on a disk and in a pipe; only filled buckets are listed."""

    schema: Literal[7]
    count: _Count
    zero_count: _Count
    sum_ns: Annotated[int, msgspec.Meta(ge=0)]
    min_ns: _Count | None
    max_ns: _Count | None
    index_steps: list[_Step]  # the first filled bucket's index, then the distance to each next
    counts: list[Annotated[int, msgspec.Meta(ge=1, le=_INT64_MAX)]]


_PIPE_TYPE = tuple[_Count, _Content]


class Histogram:
    """Durations, counted in buckets 0.54 % wide; not thread-safe.

    Attributes:
        count: How many values were recorded. This and the next four are exact and for reading.
        zero_count: How many of them were 0 ns, which a coarse clock can say.
        sum_ns: Their sum in nanoseconds, of any size.
        min_ns: The shortest in nanoseconds, None if there is none.
        max_ns: The longest in nanoseconds, None if there is none.

    Examples:
        >>> histogram = Histogram()
        >>> histogram.record(np.array([1_000_000, 2_000_000, 40_000_000]))
        >>> f"{histogram.percentile(50):.4f} {histogram.percentile(100):.4f}"
        '0.0020 0.0400'
    """

    __slots__ = ("_counts", "_offset", "count", "max_ns", "min_ns", "sum_ns", "zero_count")

    def __init__(self) -> None:
        self.count = 0
        self.zero_count = 0
        self.sum_ns = 0
        self.min_ns: int | None = None
        self.max_ns: int | None = None
        self._offset = 0
        self._counts: Int64Array = np.zeros(0, np.int64)

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, Histogram) else False

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return (
            f"<Histogram count={self.count} p50={self.percentile(50):.4g}s"
            f" p99={self.percentile(99):.4g}s max={self.max_seconds:.4g}s>"
        )

    def record(self, values_ns: Int64Array) -> None:
        """Count durations; cheap per value from a few thousand values on.

        Args:
            values_ns: Durations in nanoseconds, >= 0, int64, shape (n,).

        Raises:
            ValueError: If a duration is negative or the type is not int64; then none is counted.
        """
        if values_ns.dtype != _INT64:
            raise ValueError(f"durations must be int64 nanoseconds, not {values_ns.dtype}")
        if not values_ns.size:
            return
        shortest = values_ns.item(values_ns.argmin())  # a third of the fixed cost of min()
        if shortest < 0:
            raise ValueError(f"a duration cannot be negative: {shortest} ns")
        for start in range(0, values_ns.size, _CHUNK):
            self._record_chunk(values_ns[start : start + _CHUNK], shortest)

    def merge(self, other: "Histogram") -> None:
        """Add the values of another histogram; exact, in any order."""
        if other.min_ns is None or other.max_ns is None:
            return
        self._add_counts(other._offset, other._counts)
        self.zero_count += other.zero_count
        self.sum_ns += other.sum_ns
        self._add_extremes(other.count, other.min_ns, other.max_ns)

    def percentile(self, q: float) -> float:
        """Return the duration that ``q`` percent of the values do not exceed, in seconds.

        It is the value of nearest rank, ceil(q / 100 * count) and at least 1, taken from the
        (geometric) middle of its bucket: within 0.272 % of that value, and exact for the first
        rank (the minimum) and the last (the maximum). NaN if nothing was recorded.

        Args:
            q: Per cent, from 0 to 100, taken as the decimal number that it prints as.

        Raises:
            ValueError: If ``q`` is outside [0, 100] or NaN.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"a percentile must be from 0 to 100, not {q!r}")
        # In binary 95.9 / 100 * 1000 is above 959 and would be the rank after: hence the fraction.
        rank = math.ceil(self.count * Fraction(str(q)) / 100)
        if rank <= 1:
            return self.min_seconds
        if rank >= self.count:
            return self.max_seconds
        if rank <= self.zero_count:
            return 0.0
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank - self.zero_count))
        middle: float = 2.0 ** ((self._offset + bucket - 0.5) / _PER_DOUBLING)
        return min(max(middle, self.min_seconds), self.max_seconds)

    @property
    def buckets(self) -> Buckets:
        """The counts of the values above zero as they are inside: at schema 7, not a copy."""
        return Buckets(SCHEMA, self._offset, self._counts)

    @property
    def sum_seconds(self) -> float:
        """The sum of all values in seconds."""
        return self.sum_ns / 1e9

    @property
    def mean_seconds(self) -> float:
        """The arithmetic mean in seconds, NaN if nothing was recorded."""
        return self.sum_ns / self.count / 1e9 if self.count else math.nan

    @property
    def min_seconds(self) -> float:
        """The shortest value in seconds, NaN if nothing was recorded."""
        return math.nan if self.min_ns is None else self.min_ns / 1e9

    @property
    def max_seconds(self) -> float:
        """The longest value in seconds, NaN if nothing was recorded."""
        return math.nan if self.max_ns is None else self.max_ns / 1e9

    def downscaled(self, schema: int = EXPORT_SCHEMA) -> Buckets:
        """Return the counts of the values above zero at a resolution from -4 to 7; exact.

        Raises:
            ValueError: If there is no such resolution.
        """
        return self.buckets.downscaled(schema)

    def cumulative_at(self, bounds_seconds: Iterable[float]) -> list[int]:
        """Return how many values do not exceed each bound: the counts of classic ``le`` buckets.

        A bound is moved to the nearest bucket bound, at the most 0.272 % away, whatever was
        recorded: so a count never falls when more is. Powers of two seconds give exact counts.

        Args:
            bounds_seconds: Upper bounds in seconds; infinity is allowed.

        Raises:
            ValueError: If a bound is NaN.
        """
        cumulative = self.zero_count + np.cumsum(self._counts)
        return [self._count_up_to(bound, cumulative) for bound in bounds_seconds]

    def to_otel(self, schema: int = EXPORT_SCHEMA) -> OtelBuckets:
        """Return the buckets of an OpenTelemetry exponential histogram of scale -4 to 7.

        Raises:
            ValueError: If there is no such resolution.
        """
        buckets = self.downscaled(schema)
        # OpenTelemetry names a bucket by the exponent of its lower bound, Prometheus by its upper.
        offset = buckets.offset - 1 if buckets.counts.size else 0
        return OtelBuckets(schema, self.zero_count, offset, buckets.counts.tolist())

    def to_prometheus_native(self, schema: int = EXPORT_SCHEMA) -> PrometheusBuckets:
        """Return the buckets of a Prometheus native histogram of schema -4 to 7.

        Raises:
            ValueError: If there is no such resolution.
        """
        buckets = self.downscaled(schema)
        filled = np.flatnonzero(buckets.counts)
        deltas = np.diff(buckets.counts[filled], prepend=0).tolist()
        first = np.flatnonzero(np.diff(filled, prepend=-2) > 1)  # of each run, within ``filled``
        lengths = np.diff(first, append=filled.size)
        starts = filled[first] + buckets.offset
        ends = np.concatenate(([0], (starts + lengths)[:-1]))
        spans = list(zip((starts - ends).tolist(), lengths.tolist(), strict=True))
        return PrometheusBuckets(schema, PROMETHEUS_ZERO_THRESHOLD, self.zero_count, spans, deltas)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types, filled buckets only; `from_dict` gives it back."""
        return msgspec.structs.asdict(self._content())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Histogram":
        """Restore a histogram from what `to_dict` returned.

        Raises:
            ResultFormatError: If it is not a histogram, or one that contradicts itself.
        """
        try:
            return cls._restored(msgspec.convert(data, _Content))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a character of JSON
            raise ResultFormatError(f"not a histogram of schema {SCHEMA}: {error}") from error

    def to_bytes(self) -> bytes:
        """Return everything as MessagePack, for a pipe; `from_bytes` gives it back."""
        # MessagePack's integers end at 64 bits; latencies of a long overload add up to more.
        high, low = divmod(self.sum_ns, _SPLIT)
        content = msgspec.structs.replace(self._content(), sum_ns=low)
        return msgspec.msgpack.encode((high, content))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Histogram":
        """Restore a histogram from what `to_bytes` returned.

        Raises:
            ResultFormatError: If it is not a histogram, or one that contradicts itself.
        """
        try:
            high, content = msgspec.msgpack.decode(data, type=_PIPE_TYPE)
        except msgspec.DecodeError as error:
            raise ResultFormatError(f"not a histogram of schema {SCHEMA}: {error}") from error
        sum_ns = content.sum_ns + high * _SPLIT
        return cls._restored(msgspec.structs.replace(content, sum_ns=sum_ns))

    def _record_chunk(self, values_ns: Int64Array, shortest: int) -> None:
        longest = values_ns.item(values_ns.argmax())
        positive = values_ns if shortest else values_ns[values_ns > 0]
        if positive.size:
            self._add_counts(*_bucketed(positive, longest))
        self.zero_count += values_ns.size - positive.size
        self.sum_ns += _exact_sum(values_ns, longest)
        self._add_extremes(values_ns.size, shortest, longest)

    def _add_counts(self, offset: int, counts: Int64Array) -> None:
        if not counts.size:
            return
        if not self._counts.size:
            self._offset, self._counts = offset, counts.copy()
            return
        low = min(self._offset, offset)
        high = max(self._offset + self._counts.size, offset + counts.size)
        if high - low > self._counts.size:
            grown = np.zeros(high - low, np.int64)
            grown[self._offset - low :][: self._counts.size] = self._counts
            self._offset, self._counts = low, grown
        start = offset - self._offset
        window = self._counts[start : start + counts.size]
        window += counts

    def _add_extremes(self, count: int, shortest: int, longest: int) -> None:
        self.count += count
        self.min_ns = shortest if self.min_ns is None else min(self.min_ns, shortest)
        self.max_ns = longest if self.max_ns is None else max(self.max_ns, longest)

    def _count_up_to(self, bound: float, cumulative: Int64Array) -> int:
        if math.isnan(bound):
            raise ValueError(f"a bucket's bound must be a number of seconds, not {bound!r}")
        if bound == math.inf:
            return self.count
        if bound <= 0:
            return self.zero_count if bound == 0 else 0
        place = round(math.log2(bound) * _PER_DOUBLING) - self._offset
        if place < 0 or not cumulative.size:
            return self.zero_count
        return int(cumulative[min(place, cumulative.size - 1)])

    def _content(self) -> _Content:
        filled = np.flatnonzero(self._counts)
        return _Content(
            schema=SCHEMA,
            count=self.count,
            zero_count=self.zero_count,
            sum_ns=self.sum_ns,
            min_ns=self.min_ns,
            max_ns=self.max_ns,
            index_steps=np.diff(filled + self._offset, prepend=0).tolist(),
            counts=self._counts[filled].tolist(),
        )

    @classmethod
    def _restored(cls, content: _Content) -> "Histogram":
        indices = np.cumsum(content.index_steps, dtype=np.int64)
        if complaint := _contradiction(content, indices):
            raise ResultFormatError(f"not a histogram: {complaint}")
        histogram = cls()
        histogram.count, histogram.zero_count = content.count, content.zero_count
        histogram.sum_ns = content.sum_ns
        histogram.min_ns, histogram.max_ns = content.min_ns, content.max_ns
        if indices.size:
            counts = np.zeros(int(indices[-1] - indices[0]) + 1, np.int64)
            counts[indices - indices[0]] = content.counts
            histogram._offset, histogram._counts = int(indices[0]), counts
        return histogram


def _bucketed(positive: Int64Array, longest: int) -> tuple[int, Int64Array]:
    """Return the index of the first filled bucket, and the counts from there on.

    The roundings of the products and the logarithm can move a value that is within 1e-12
    (relative) of a bound into the neighbouring bucket. The only bounds that whole nanoseconds can
    meet are powers of two seconds from 1/512 on: there each step is exact.
    """
    top = math.ceil(math.log2(longest * 1e-9) * _PER_DOUBLING) + 1  # however log2 is rounded below
    below_top = positive.astype(np.float64)
    below_top *= 1e-9
    np.log2(below_top, out=below_top)
    below_top *= -float(_PER_DOUBLING)
    below_top += top
    # Counted from the top, the truncation of the cast is the ceil of the exponent: a pass saved.
    counts = np.bincount(below_top.astype(np.int64))
    while not counts[0]:
        counts = counts[1:]
        top -= 1
    return top - counts.size + 1, counts[::-1]


def _exact_sum(values_ns: Int64Array, longest: int) -> int:
    # A chunk of 8,192 would have to hold durations of 13 days to leave int64; then Python adds.
    if longest * values_ns.size <= _INT64_MAX:
        return int(np.add.reduce(values_ns))
    return sum(values_ns.tolist())


def _contradiction(content: _Content, indices: Int64Array) -> str | None:
    """Return what cannot be true of any histogram, or None."""
    if len(content.counts) != indices.size:
        return f"{indices.size} bucket indices for {len(content.counts)} counts"
    if indices.size and (
        min(content.index_steps[1:], default=1) < 1 or indices[-1] > _LONGEST_INDEX
    ):
        return f"bucket indices must ascend, to {_LONGEST_INDEX} at the most"
    if content.zero_count + sum(content.counts) != content.count:
        return f"count {content.count} is not the sum of zero_count and counts"
    if not content.count:
        empty = content.sum_ns == 0 and content.min_ns is content.max_ns is None
        return None if empty else "a sum, a minimum or a maximum of no values"
    if content.min_ns is None or content.max_ns is None:
        return "no minimum or no maximum"
    if (content.min_ns == 0) != (content.zero_count > 0):
        return f"minimum {content.min_ns} ns with zero_count {content.zero_count}"
    if not (
        content.min_ns * content.count <= content.sum_ns <= content.max_ns * content.count
        and (content.min_ns == 0 or _is_in_bucket(content.min_ns, indices[:1]))
        and _is_in_bucket(content.max_ns, indices[-1:])
    ):
        return (
            f"minimum {content.min_ns} ns, maximum {content.max_ns} ns and sum {content.sum_ns} ns"
            " do not belong to these buckets"
        )
    return None


def _is_in_bucket(value_ns: int, index: Int64Array) -> bool:
    if value_ns == 0 or not index.size:
        return value_ns == 0 and not index.size
    # One off is allowed: another machine's logarithm may round a value on a bound the other way.
    return bool(abs(math.ceil(math.log2(value_ns * 1e-9) * _PER_DOUBLING) - index[0]) <= 1)
