import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmem_observe.model import Float64Array
from agentmem_observe.workload.arrivals import (
    BLOCK_SECONDS,
    BLOCK_SIZE,
    Arrivals,
    Constant,
    Poisson,
    Ramp,
)

unhurried = settings(deadline=None)  # hypothesis would judge by the wall clock

rates = st.floats(-2, 5).map(lambda exponent: 10**exponent)
seeds = st.integers(0, 2**32)


@st.composite
def schedules(draw: st.DrawFn) -> Arrivals:
    rate = draw(rates)
    duration = min(draw(st.floats(0.001, 50_000)) / rate, 300.0)
    return draw(
        st.sampled_from(
            [
                Constant(rate, duration),
                Poisson(rate, duration, draw(seeds)),
                Ramp(rate, draw(st.floats(0, 2 * rate)), duration),
                Ramp(draw(st.floats(0, 2 * rate)), rate, duration),
            ]
        )
    )


def times_of(arrivals: Arrivals) -> Float64Array:
    return np.concatenate([np.zeros(0), *arrivals.blocks()])


@unhurried
@given(schedules())
def test_start_times_ascend_within_the_run(arrivals):
    times = times_of(arrivals)

    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times < arrivals.duration)).all()


@unhurried
@given(schedules())
def test_blocks_are_never_empty_nor_larger_or_longer_than_reporting_allows(arrivals):
    blocks = list(arrivals.blocks())

    assert all(1 <= block.size <= BLOCK_SIZE for block in blocks)
    assert all(block[-1] - block[0] <= BLOCK_SECONDS for block in blocks)
    assert all(block.dtype == np.float64 for block in blocks)


@unhurried
@given(rates, st.integers(0, 50_000))
def test_constant_arrivals_are_due_at_exactly_i_over_rate(rate, count):
    arrivals = Constant(rate, duration=count / rate)

    times = times_of(arrivals)

    assert times.tolist() == [i / rate for i in range(count)]


@pytest.mark.parametrize(
    ("rate", "duration", "expected"),
    [
        (1, 0, []),
        (1, 1, [0]),
        (1, 1.5, [0, 1]),
        (0.4, 6, [0, 2.5, 5]),
        (10, 0.3, [0, 0.1, 0.2]),
        (1 / 3600, 7201, [0, 3600, 7200]),
    ],
)
def test_constant_arrivals_fill_the_run_but_not_its_end(rate, duration, expected):
    assert times_of(Constant(rate, duration)).tolist() == pytest.approx(expected)


def test_constant_arrivals_do_not_drift_over_a_day():
    arrivals = Constant(rate=0.7, duration=86_400)

    times = times_of(arrivals)

    assert times.size == 60_480
    assert times[-1] == 60_479 / 0.7


@pytest.mark.parametrize("arrivals", [Constant(5e6, 1.0), Poisson(5e6, 1.0, seed=3)])
def test_five_million_operations_per_second_come_in_full_blocks(arrivals):
    sizes = [block.size for block in arrivals.blocks()]

    assert sum(sizes) == pytest.approx(5e6, rel=0.002)
    assert set(sizes[:-1]) == {BLOCK_SIZE}


@pytest.mark.parametrize(
    "arrivals",
    [Constant(1 / 3600, math.inf), Poisson(1 / 3600, math.inf, seed=3)],
)
def test_one_operation_per_hour_comes_alone_and_a_soak_has_no_end(arrivals):
    blocks = list(islice(arrivals.blocks(), 2_000))

    assert [block.size for block in blocks] == [1] * 2_000
    assert blocks[-1][0] == pytest.approx(2_000 * 3600, rel=0.1)


def test_operations_that_are_ages_apart_still_follow_each_other():
    blocks = list(islice(Constant(1e-18, math.inf).blocks(), 3))

    assert [block.tolist() for block in blocks] == [[0.0], [1 / 1e-18], [2 / 1e-18]]


def test_at_a_moderate_rate_there_is_about_one_block_per_second():
    assert [block.size for block in Constant(100, 3).blocks()] == [100, 100, 100]
    assert 60 <= len(list(Poisson(100, 60, seed=3).blocks())) <= 125


@pytest.mark.parametrize("seed", range(5))
def test_poisson_arrivals_have_the_mean_rate_and_exponential_gaps(seed):
    arrivals = Poisson(rate=500, duration=100, seed=seed)

    times = times_of(arrivals)

    gaps = np.diff(times, prepend=0.0)
    assert abs(times.size - 50_000) < 4 * math.sqrt(50_000)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 500)).pvalue > 0.001
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 4 / math.sqrt(times.size)


def test_counts_of_poisson_arrivals_per_second_scatter_as_much_as_their_mean():
    times = times_of(Poisson(rate=50, duration=4_000, seed=11))

    counts = np.bincount(times.astype(np.int64))

    assert counts.mean() == pytest.approx(50, rel=0.02)
    assert counts.var() == pytest.approx(50, rel=0.1)


@unhurried
@given(seeds)
def test_a_seed_gives_the_same_poisson_arrivals_again_and_another_gives_others(seed):
    times = times_of(Poisson(1_000, 1, seed))

    assert times.tolist() == times_of(Poisson(1_000, 1, seed)).tolist()
    assert times.tolist() != times_of(Poisson(1_000, 1, seed + 1)).tolist()


def test_a_longer_run_begins_with_the_shorter_one():
    short = times_of(Poisson(1_000, 1.3, seed=5))

    long = times_of(Poisson(1_000, 7, seed=5))

    assert long[: short.size].tolist() == short.tolist()
    assert long[short.size] >= 1.3


@unhurried
@given(st.floats(0, 5_000), st.floats(1, 5_000), st.floats(0.5, 5))
def test_the_load_of_a_ramp_adds_up_to_one_operation_after_another(start, end, duration):
    ramp = Ramp(start, end, duration)

    times = times_of(ramp)

    load = start * times + (end - start) * times**2 / (2 * duration)
    assert load == pytest.approx(np.arange(times.size), abs=1e-6)
    assert abs(times.size - ramp.rate * duration) <= 1


def test_a_flat_ramp_is_constant():
    assert times_of(Ramp(40, 40, 3)) == pytest.approx(times_of(Constant(40, 3)))


@pytest.mark.parametrize("rate", [0, -1, -0.5, math.nan, math.inf])
def test_a_rate_that_is_not_positive_is_refused_by_value(rate):
    for make in (lambda: Constant(rate, 1), lambda: Poisson(rate, 1, seed=0)):
        with pytest.raises(ValueError, match=f"the rate must be above 0 and finite, not {rate}"):
            make()


@pytest.mark.parametrize("duration", [-1, math.nan, -math.inf])
def test_a_duration_below_zero_is_refused_by_value(duration):
    for make in (lambda: Constant(1, duration), lambda: Poisson(1, duration, seed=0)):
        with pytest.raises(ValueError, match=f"the duration must be 0 or more, not {duration}"):
            make()


def test_a_negative_seed_is_refused_by_value():
    with pytest.raises(ValueError, match="the seed must be 0 or more, not -3"):
        Poisson(1, 1, seed=-3)


@pytest.mark.parametrize(
    ("start", "end", "duration", "message"),
    [
        (-1, 5, 1, "rates must be 0 or more and finite, not -1"),
        (5, math.nan, 1, "rates must be 0 or more and finite, not nan"),
        (math.inf, 5, 1, "rates must be 0 or more and finite, not inf"),
        (0, 0, 1, "the rate must be above 0 and finite, not 0"),
        (0, 5, 0, "duration must be above 0 and finite, not 0"),
        (0, 5, math.inf, "duration must be above 0 and finite, not inf"),
    ],
)
def test_a_ramp_that_cannot_be_climbed_is_refused_by_value(start, end, duration, message):
    with pytest.raises(ValueError, match=message):
        Ramp(start, end, duration)


@pytest.mark.parametrize(
    ("arrivals", "name", "rate"),
    [
        (Constant(2, 1), "constant", 2),
        (Poisson(3, 1, 0), "poisson", 3),
        (Ramp(0, 8, 1), "ramp", 4),
    ],
)
def test_a_schedule_says_what_it_is(arrivals: Arrivals, name, rate):
    assert (arrivals.name, arrivals.rate, arrivals.duration) == (name, rate, 1)
