"""The current side's histograms as an HdrHistogram V2 log, one line for each of every round.

Written from the published form of the log: a counter's index is made of the position of a value's
highest bit and of the 11 bits below; counters are ZigZag LEB128, runs of empty ones a negative
number; all of it is deflated and in base64.
"""

import base64
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.files import read_json
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.results.comparison import Comparison
from agentmem_observe.results.schema import ended_at

_DIGITS: Final = 3
_HALF_BITS: Final = 10  # 3 digits: 2,048 values each need a counter of their own, half of them new
_HALF: Final = 1 << _HALF_BITS
_HIGHEST_NS: Final = 86_400_000_000_000  # a day; a longer duration raises it
_ENCODED: Final = 0x1C849303 | 0x10
_COMPRESSED: Final = 0x1C849304 | 0x10
_MIDDLE: Final = 0.5 / 128  # half a bucket of schema 7, in powers of two
_NOT_IN_TAGS: Final = str.maketrans({",": "_", " ": "_", "\n": "_", "\r": "_"})


@dataclass(frozen=True, slots=True)
class _Interval:
    """A line of the log; times in seconds since 1970."""

    tag: str
    start: float
    seconds: float
    histogram: Histogram


def render(comparison: Comparison) -> str:
    """Return the log: durations in nanoseconds, to three digits.

    Tags are ``category.benchmark/operation/tier/outcome/kind``, where the kind is ``latency`` or
    ``service_time``.

    Raises:
        ResultFormatError: If a file has been changed meanwhile, or has histograms that are none.
    """
    intervals = sorted(_intervals(comparison), key=lambda each: each.start)
    began = intervals[0].start if intervals else 0.0
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
    head = (
        "#[Histogram log format version 1.3]\n"
        f"#[StartTime: {began:.3f} (seconds since epoch), {day}]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
    )
    return head + "".join(map(_line, intervals))


def encode(histogram: Histogram) -> str:
    """Return a histogram as HdrHistogram's compressed V2 encoding, in base64.

    Args:
        histogram: Durations; each goes to the middle of its bucket, which is 0.54 % wide, but the
            shortest and the longest stay what they are.
    """
    counts: dict[int, int] = {}
    for value, count in _values(histogram):
        index = _index(value)
        counts[index] = counts.get(index, 0) + count
    payload = b"".join(_words(counts))
    highest = max(_HIGHEST_NS, 2 * (histogram.max_ns or 0))
    header = struct.pack(">IiiiQQd", _ENCODED, len(payload), 0, _DIGITS, 1, highest, 1.0)
    squeezed = zlib.compress(header + payload)
    return base64.b64encode(struct.pack(">Ii", _COMPRESSED, len(squeezed)) + squeezed).decode()


def _intervals(comparison: Comparison) -> Iterator[_Interval]:
    for identity, rounds in comparison.current.rounds.items():
        label = comparison.labels[identity]
        for one in rounds:
            document = read_json(Path(one.path), ResultFormatError)
            seconds = float(document["metadata"].get("execution_time") or 0.0)
            start = ended_at(document) - seconds
            try:
                for series in document["metadata"].get("histograms") or []:
                    yield from _of_series(f"{label}/", series, start, seconds)
            except (AttributeError, TypeError, ValueError, ResultFormatError) as error:
                raise ResultFormatError(
                    f"{one.path}: metadata.histograms: not as we write them: {error}"
                ) from error


def _of_series(
    label: str, series: Mapping[str, Any], start: float, seconds: float
) -> Iterator[_Interval]:
    names = [str(series.get(key) or "-") for key in ("operation", "tier", "outcome")]
    for kind in ("latency", "service_time"):
        if content := series.get(kind):
            tag = (label + "/".join([*names, kind])).translate(_NOT_IN_TAGS)
            yield _Interval(tag, start, seconds, Histogram.from_dict(content))


def _line(each: _Interval) -> str:
    longest = (each.histogram.max_ns or 0) / 1e6
    return (
        f"Tag={each.tag},{each.start:.3f},{each.seconds:.3f},{longest:.3f},"
        f"{encode(each.histogram)}\n"
    )


def _values(histogram: Histogram) -> Iterator[tuple[int, int]]:
    """Yield durations in nanoseconds and how many there are of each."""
    if histogram.min_ns is None or histogram.max_ns is None:
        return
    if histogram.zero_count:
        yield 0, histogram.zero_count
    buckets = histogram.buckets
    filled = [(at, int(count)) for at, count in enumerate(buckets.counts, buckets.offset) if count]
    for place, (at, count) in enumerate(filled):
        left = count
        for is_it, exact in (
            (place == len(filled) - 1, histogram.max_ns),
            (place == 0 and not histogram.zero_count, histogram.min_ns),
        ):
            if is_it and left:
                yield exact, 1
                left -= 1
        if left:
            middle = round(2.0 ** (at / 128 - _MIDDLE) * 1e9)
            yield min(max(middle, histogram.min_ns), histogram.max_ns), left


def _index(value: int) -> int:
    """Return which counter a value belongs to."""
    above = max(0, value.bit_length() - (_HALF_BITS + 1))
    return (above << _HALF_BITS) + (value >> above)


def _words(counts: Mapping[int, int]) -> Iterator[bytes]:
    """Yield the counters up to the last one that is not empty."""
    next_index = 0
    for index in sorted(counts):
        if index > next_index:
            yield _leb128(2 * (index - next_index) - 1)
        yield _leb128(2 * counts[index])
        next_index = index + 1


def _leb128(value: int) -> bytes:
    """Return a number of up to 64 bits, seven a byte; a ninth byte has all eight."""
    parts = bytearray()
    while value >= 0x80 and len(parts) < 8:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
