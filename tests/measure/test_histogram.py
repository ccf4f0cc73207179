import json
import math
from bisect import bisect_left
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.exponent_mapping import (
    ExponentMapping,
)
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import (
    LogarithmMapping,
)

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.measure.histogram import Buckets, Histogram

unhurried = settings(deadline=None)  # hypothesis would judge by the wall clock

HALF_BUCKET = 2 ** (1 / 256) - 1
INT64_MAX = 2**63 - 1
SCHEMAS = range(-4, 8)

durations = st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits - 1))
samples = st.lists(durations, max_size=60)
filled_samples = st.lists(durations, min_size=1, max_size=60)


def recorded(*values_ns: int) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values_ns, np.int64))
    return histogram


def as_counter(buckets: Buckets) -> Counter[int]:
    return Counter({buckets.offset + k: int(n) for k, n in enumerate(buckets.counts) if n})


def exact_bounds_ns(indices: range) -> list[Decimal]:
    with localcontext(prec=60):
        roots = [Decimal(2) ** (Decimal(k) / 128) * 10**9 for k in range(128)]
        return [roots[index % 128] * Decimal(2) ** (index // 128) for index in indices]


def bucket_of(value_ns: int) -> int:
    return recorded(value_ns).downscaled(7).offset


# Recording


@unhurried
@given(filled_samples)
def test_count_sum_minimum_and_maximum_are_exact(values):
    histogram = recorded(*values)

    assert histogram.count == len(values)
    assert histogram.zero_count == values.count(0)
    assert histogram.sum_ns == sum(values)
    assert (histogram.min_ns, histogram.max_ns) == (min(values), max(values))
    assert histogram.downscaled(7).counts.sum() == len(values) - values.count(0)


def test_figures_in_seconds_follow_from_those_in_nanoseconds():
    histogram = recorded(1_000_000, 3_000_000)

    assert histogram.sum_seconds == 0.004
    assert histogram.mean_seconds == 0.002
    assert (histogram.min_seconds, histogram.max_seconds) == (0.001, 0.003)


def test_an_empty_histogram_says_so_and_never_zero_seconds():
    histogram = recorded()

    assert histogram.count == histogram.sum_ns == 0
    assert histogram.min_ns is None
    assert histogram.max_ns is None
    assert all(
        math.isnan(value)
        for value in (
            histogram.percentile(50),
            histogram.mean_seconds,
            histogram.min_seconds,
            histogram.max_seconds,
        )
    )


def test_a_large_array_is_counted_like_its_parts():
    values = np.random.default_rng(1).integers(0, 10**9, 20_001)
    whole, parts = Histogram(), Histogram()

    whole.record(values)
    for part in np.array_split(values, 7):
        parts.record(part)

    assert whole == parts
    assert whole.count == 20_001


@pytest.mark.parametrize("values", [[5, -1], [0, -3, 7], [-(2**63)]])
def test_a_negative_duration_is_refused_by_value_and_nothing_is_counted(values):
    histogram = recorded(4)

    with pytest.raises(ValueError, match=f"negative: {min(values)} ns"):
        histogram.record(np.array(values, np.int64))

    assert histogram == recorded(4)


def test_seconds_as_floats_are_refused():
    with pytest.raises(ValueError, match="int64 nanoseconds, not float64"):
        Histogram().record(np.array([0.001]))


def test_a_sum_beyond_64_bits_is_exact():
    values = [INT64_MAX] * 3

    histogram = recorded(*values)

    assert histogram.sum_ns == 3 * INT64_MAX


# Bucket bounds


@pytest.mark.parametrize("exponent", range(-9, 34))
def test_an_exact_power_of_two_is_the_last_value_of_the_bucket_below_the_bound(exponent):
    value = 1_953_125 * 2 ** (exponent + 9)

    assert bucket_of(value) == 128 * exponent
    assert bucket_of(value + max(1, value >> 45)) == 128 * exponent + 1
    for schema in SCHEMAS:
        histogram = recorded(value)
        index = math.ceil(Fraction(exponent) * Fraction(2) ** schema)
        assert histogram.downscaled(schema).offset == index
        assert histogram.to_prometheus_native(schema).spans == [(index, 1)]
        assert histogram.to_otel(schema).offset == index - 1


def test_powers_of_two_are_right_in_arrays_of_any_length():
    powers = 1_953_125 * 2 ** np.arange(43)

    for length in range(1, 34):
        for start in range(44 - length):
            histogram = Histogram()
            histogram.record(powers[start : start + length])
            expected = {128 * (k - 9): 1 for k in range(start, start + length)}
            assert as_counter(histogram.downscaled(7)) == expected


def test_values_next_to_a_bound_are_misplaced_by_one_bucket_at_most_and_only_within_1e_12():
    bounds = exact_bounds_ns(range(-3826, 4239))
    neighbours = sorted({int(bound) + k for bound in bounds[:-1] for k in (0, 1)})

    for value in neighbours:
        exact = bisect_left(bounds, value)
        histogram = Histogram()
        histogram.record(np.full(16, value))
        misplaced = histogram.downscaled(7).offset - (exact - 3826)
        crossed = bounds[exact - 1 if misplaced < 0 else exact]
        assert histogram.downscaled(7).counts.tolist() == [16]
        assert abs(misplaced) <= 1
        assert misplaced == 0 or abs(value - crossed) < crossed * Decimal("1e-12")


@unhurried
@given(st.integers(1, INT64_MAX), st.sampled_from([7, 5, 3, 1, 0, -1, -4]))
def test_indices_agree_with_the_mapping_of_the_opentelemetry_sdk(value, schema):
    mapping = LogarithmMapping(schema) if schema > 0 else ExponentMapping(schema)

    otel = recorded(value).to_otel(schema)

    near = {mapping.map_to_index(value * 1e-9 * (1 + e)) for e in (-1e-12, 0.0, 1e-12)}
    assert otel.offset in near
    assert otel.bucket_counts == [1]


# Merging and downscaling


@unhurried
@given(samples, samples, samples)
def test_merging_in_any_order_equals_recording_everything_at_once(a, b, c):
    left, right, swapped = recorded(*a), recorded(*b), recorded(*c)

    left.merge(recorded(*b))
    left.merge(recorded(*c))
    right.merge(recorded(*c))
    right.merge(recorded(*a))
    swapped.merge(recorded(*b))
    swapped.merge(recorded(*a))

    assert left == right == swapped == recorded(*a, *b, *c)


def test_merging_leaves_the_other_histogram_alone_even_when_the_first_was_empty():
    total, other = Histogram(), recorded(5, 7)

    total.merge(other)
    total.record(np.array([5], np.int64))

    assert other == recorded(5, 7)
    assert total == recorded(5, 7, 5)


def test_merging_with_itself_doubles_a_histogram():
    histogram = recorded(0, 5, 7)

    histogram.merge(histogram)

    assert histogram == recorded(0, 5, 7, 0, 5, 7)


@unhurried
@given(samples, samples, st.sampled_from(SCHEMAS))
def test_downscaling_and_merging_commute(a, b, schema):
    merged = recorded(*a)
    merged.merge(recorded(*b))

    apart = as_counter(recorded(*a).downscaled(schema)) + as_counter(
        recorded(*b).downscaled(schema)
    )

    assert as_counter(merged.downscaled(schema)) == apart


@unhurried
@given(samples, st.sampled_from(SCHEMAS), st.sampled_from(SCHEMAS))
def test_downscaling_twice_equals_downscaling_once(values, one, other):
    coarse, between = sorted((one, other))

    twice = recorded(*values).downscaled(between).downscaled(coarse)

    once = recorded(*values).downscaled(coarse)
    assert (twice.schema, twice.offset) == (once.schema, once.offset)
    assert np.array_equal(twice.counts, once.counts)


@pytest.mark.parametrize("schema", [8, -5])
def test_a_resolution_that_does_not_exist_is_refused_by_value(schema):
    with pytest.raises(ValueError, match=f"from -4 to 7, not {schema}"):
        recorded(1).downscaled(schema)


def test_downscaling_never_hands_out_the_counts_that_are_still_being_written():
    histogram = recorded(5)

    histogram.downscaled(7).counts[0] = 99

    assert histogram == recorded(5)


# Percentiles


def nearest_rank(values: list[int], q: float) -> float:
    rank = max(1, math.ceil(Fraction(str(q)) * len(values) / 100))
    return sorted(values)[rank - 1] / 1e9


@unhurried
@given(filled_samples, st.floats(0, 100) | st.sampled_from([50, 90, 99, 99.9]))
def test_a_percentile_is_within_half_a_bucket_of_the_value_of_nearest_rank(values, q):
    percentile = recorded(*values).percentile(q)

    assert percentile == pytest.approx(nearest_rank(values, q), rel=HALF_BUCKET + 1e-12, abs=0)


@unhurried
@given(filled_samples, st.lists(st.floats(0, 100), min_size=2, max_size=5))
def test_percentiles_never_fall_as_q_rises(values, qs):
    histogram = recorded(*values)

    percentiles = [histogram.percentile(q) for q in sorted(qs)]

    assert percentiles == sorted(percentiles)


@unhurried
@given(filled_samples)
def test_percentile_0_is_the_minimum_and_100_the_maximum_exactly(values):
    histogram = recorded(*values)

    assert histogram.percentile(0) == min(values) / 1e9
    assert histogram.percentile(100) == max(values) / 1e9


@pytest.mark.parametrize("q", [16.1, 64.4, 94.2, 95.9, 99.9])
def test_the_rank_is_not_pushed_up_by_binary_fractions(q):
    rank = round(q * 10)
    values = [10_000] * rank + [1_000_000] * (1000 - rank)

    percentile = recorded(*values).percentile(q)

    assert percentile == pytest.approx(10e-6, rel=0.003)


def test_zeros_are_the_lowest_ranks():
    histogram = recorded(0, 0, 0, 1_000)

    assert [histogram.percentile(q) for q in (0, 50, 75, 76)] == [0, 0, 0, 1e-6]


@pytest.mark.parametrize("q", [-0.1, 100.1, math.nan, math.inf])
def test_a_percentile_outside_0_to_100_is_refused_by_value(q):
    with pytest.raises(ValueError, match=rf"from 0 to 100, not {q!r}"):
        recorded(1).percentile(q)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0])
def test_percentiles_of_a_million_log_normal_durations_are_within_0_4_percent(sigma):
    values = np.random.default_rng(7).lognormal(math.log(250e3), sigma, 10**6).astype(np.int64)
    histogram = Histogram()
    histogram.record(values)
    ordered = np.sort(values)

    for q in (50, 75, 90, 95, 99, 99.9, 99.99):
        exact = ordered[math.ceil(Fraction(str(q)) * len(ordered) / 100) - 1] / 1e9
        assert histogram.percentile(q) == pytest.approx(exact, rel=0.004)


# Classic buckets


@unhurried
@given(samples, st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=6))
def test_classic_counts_are_those_of_a_bound_moved_by_half_a_bucket_at_most(values, bounds):
    counts = recorded(*values).cumulative_at(bounds)

    for bound, count in zip(bounds, counts, strict=True):
        least, most = (
            sum(value / 1e9 <= bound * (1 + sign * (HALF_BUCKET + 1e-12)) for value in values)
            for sign in (-1, 1)
        )
        assert least <= count <= most


@unhurried
@given(filled_samples, st.lists(st.floats(0, 1e10), max_size=6))
def test_classic_counts_never_fall_and_infinity_counts_all(values, bounds):
    counts = recorded(*values).cumulative_at([*sorted(bounds), math.inf])

    assert counts == sorted(counts)
    assert counts[-1] == len(values)


def test_classic_counts_are_exact_at_powers_of_two():
    histogram = recorded(0, 500_000_000, 500_000_001, 3_000_000_000)

    counts = histogram.cumulative_at([-1.0, 0.0, 1e-9, 0.25, 0.5, 2.0, 4.0])

    assert counts == [0, 1, 1, 1, 2, 3, 4]


def test_a_classic_count_never_falls_when_more_is_recorded():
    bounds = [mantissa * 10.0**exponent for exponent in range(-6, 2) for mantissa in (1, 2.5, 5)]

    for bound in bounds:
        histogram = recorded(round(bound * 1e9))
        (before,) = histogram.cumulative_at([bound])
        histogram.merge(recorded(round(bound * 4e9)))
        histogram.merge(recorded(round(bound * 0.2e9)))
        (after,) = histogram.cumulative_at([bound])
        assert after == before + 1


def test_classic_counts_of_an_empty_histogram_are_zero():
    assert Histogram().cumulative_at([1e-6, math.inf]) == [0, 0]


def test_a_bound_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="nan"):
        recorded(1).cumulative_at([math.nan])


# Export


@unhurried
@given(filled_samples, st.sampled_from(SCHEMAS))
def test_each_value_lies_inside_its_exported_buckets_and_the_totals_agree(values, schema):
    histogram = recorded(*values)

    otel = histogram.to_otel(schema)
    prometheus = histogram.to_prometheus_native(schema)

    from_otel = Counter({otel.offset + k: n for k, n in enumerate(otel.bucket_counts) if n})
    from_prometheus = expanded(prometheus.spans, prometheus.deltas)
    assert otel.zero_count == prometheus.zero_count == values.count(0)
    assert otel.zero_count + from_otel.total() == len(values)
    assert from_prometheus == {index + 1: n for index, n in from_otel.items()}
    ordered = iter(sorted(value for value in values if value))
    for index, n in sorted(from_otel.items()):
        for value in (next(ordered) for _ in range(n)):
            exponent = Fraction(index) / Fraction(2) ** schema
            above = math.log2(value * 1e-9) - exponent
            assert -1e-12 < above <= float(Fraction(2) ** -schema) + 1e-12


def expanded(spans: list[tuple[int, int]], deltas: list[int]) -> dict[int, int]:
    counts, index, count, remaining = {}, 0, 0, iter(deltas)
    for offset, length in spans:
        index += offset
        for _ in range(length):
            count += next(remaining)
            counts[index] = count
            index += 1
    assert next(remaining, None) is None
    return counts


def test_spans_and_deltas_skip_the_empty_buckets():
    histogram = recorded(*[10**9] * 3, *[10**9 * 2] * 5, *[10**9 * 4] * 1, *[10**9 * 16] * 2, 0)

    native = histogram.to_prometheus_native(schema=0)

    assert native.spans == [(0, 3), (1, 1)]
    assert native.deltas == [3, 2, -4, 1]
    assert native.zero_count == 1
    assert native.zero_threshold == 2.0**-128


def test_an_empty_histogram_exports_no_buckets():
    otel = Histogram().to_otel()
    native = Histogram().to_prometheus_native()

    assert (otel.scale, otel.offset, otel.bucket_counts) == (5, 0, [])
    assert (native.schema, native.spans, native.deltas) == (5, [], [])


def test_upper_bounds_are_those_of_prometheus():
    buckets = recorded(10**9, 4 * 10**9).downscaled(0)

    assert buckets.upper_bounds_seconds().tolist() == [1.0, 2.0, 4.0]


# Round trips and refusals


@unhurried
@given(samples)
def test_a_histogram_survives_json_and_bytes(values):
    histogram = recorded(*values)

    from_json = Histogram.from_dict(json.loads(json.dumps(histogram.to_dict())))
    from_bytes = Histogram.from_bytes(histogram.to_bytes())

    assert histogram == from_json == from_bytes
    assert from_json.percentile(99) == pytest.approx(histogram.percentile(99), nan_ok=True)


def test_a_sum_beyond_64_bits_survives_bytes():
    histogram = recorded(INT64_MAX, INT64_MAX, INT64_MAX, 1)

    assert Histogram.from_bytes(histogram.to_bytes()).sum_ns == 3 * INT64_MAX + 1


def test_a_restored_histogram_goes_on_counting():
    histogram = Histogram.from_bytes(recorded(5, 700).to_bytes())

    histogram.record(np.array([0, 5, 9_000], np.int64))

    assert histogram == recorded(5, 700, 0, 5, 9_000)


def test_only_filled_buckets_are_written():
    histogram = recorded(1, 1, 10**9)

    assert histogram.to_dict() == {
        "schema": 7,
        "count": 3,
        "zero_count": 0,
        "sum_ns": 10**9 + 2,
        "min_ns": 1,
        "max_ns": 10**9,
        "index_steps": [-3826, 3826],
        "counts": [2, 1],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 5}, "Invalid enum value 5"),
        ({"count": "3"}, "Expected `int`"),
        ({"count": 4}, "count 4 is not the sum"),
        ({"zero_count": -1}, "Expected `int` >= 0"),
        ({"sum_ns": 10**12}, "do not belong"),
        ({"sum_ns": 2}, "do not belong"),
        ({"min_ns": None}, "no minimum"),
        ({"min_ns": 0}, "minimum 0 ns with zero_count 0"),
        ({"min_ns": 3}, "do not belong"),
        ({"max_ns": 2 * 10**9}, "do not belong"),
        ({"max_ns": 0, "min_ns": 0, "zero_count": 1, "sum_ns": 0, "count": 4}, "do not belong"),
        ({"max_ns": 2**63}, "Expected `int`"),
        ({"counts": [2]}, "2 bucket indices for 1 counts"),
        ({"counts": [3, 0]}, "Expected `int` >= 1"),
        ({"counts": [2**64, 1]}, "Expected `int`"),
        ({"counts": None}, "Expected `array`"),
        ({"index_steps": [-3826, 0]}, "must ascend"),
        ({"index_steps": [0, -1]}, "must ascend"),
        ({"index_steps": [4000, 4000]}, "must ascend"),
        ({"index_steps": [-3827, 3827]}, "Expected `int` >= -3826"),
        ({"index_steps": [-3826, 10**9]}, "Expected `int` <="),
        ({"index_steps": [-3826, 3826.5]}, "Expected `int`"),
        ({"index_steps": [], "counts": [], "count": 0}, "of no values"),
        ({"buckets": []}, "unknown field `buckets`"),
        ({"schema": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_nonsense_is_refused_with_its_reason(changes, message):
    data = recorded(1, 1, 10**9).to_dict() | changes

    with pytest.raises(ResultFormatError, match=message):
        Histogram.from_dict(data)


@pytest.mark.parametrize("missing", ["schema", "sum_ns", "counts"])
def test_a_missing_field_is_refused_by_name(missing):
    data = recorded(1).to_dict()
    del data[missing]

    with pytest.raises(ResultFormatError, match=f"missing required field `{missing}`"):
        Histogram.from_dict(data)


@pytest.mark.parametrize("data", [b"", b"nonsense", recorded(1).to_bytes()[:-1]])
def test_bytes_that_are_no_histogram_are_refused(data):
    with pytest.raises(ResultFormatError, match="not a histogram"):
        Histogram.from_bytes(data)


def test_a_histogram_reads_well_in_a_failing_test():
    assert repr(recorded(10**6)) == "<Histogram count=1 p50=0.001s p99=0.001s max=0.001s>"
