import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agentmem_observe.analysis import growth
from agentmem_observe.analysis.growth import Slope, log_log_slope
from agentmem_observe.analysis.scaling import Estimate, Refusal


def noisy(values: Sequence[float], ratio: float, random: np.random.Generator) -> list[float]:
    return list(np.array(values) * np.exp(ratio * random.standard_normal(len(values))))


def refusal(answer: object) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def sloped(answer: Slope | Refusal) -> Slope:
    assert isinstance(answer, Slope), answer
    return answer


VOLUMES = [1e3, 1e4, 1e5, 1e6]


@given(exponent=st.floats(-2, 3), factor=st.floats(1e-9, 1e3))
def test_a_power_law_gives_its_exponent_back(exponent: float, factor: float) -> None:
    slope = sloped(log_log_slope(VOLUMES, [factor * v**exponent for v in VOLUMES]))

    for value in (slope.exponent.value, slope.exponent.low, slope.exponent.high):
        assert value == pytest.approx(exponent, abs=1e-9)


@given(
    place=st.integers(0, 4), size=st.sampled_from([1e-3, 0.1, 10.0, 1e3]), exponent=st.floats(0, 2)
)
def test_one_outlier_among_five_volumes_does_not_move_the_slope(
    place: int, size: float, exponent: float
) -> None:
    volumes = [1e2, *VOLUMES]
    latencies = [1e-6 * v**exponent for v in volumes]
    latencies[place] *= size

    slope = sloped(log_log_slope(volumes, latencies))

    assert slope.exponent.value == pytest.approx(exponent, abs=1e-9)


@pytest.mark.parametrize("volumes", [VOLUMES, [10**e for e in range(1, 8)], VOLUMES[:3] * 3])
def test_the_interval_of_the_slope_holds_the_truth_as_often_as_it_says(
    volumes: list[float],
) -> None:
    random = np.random.default_rng(11)
    held = 0

    for _ in range(1000):
        slope = sloped(log_log_slope(volumes, noisy([v**0.5 for v in volumes], 0.1, random)))
        held += holds(slope.exponent, 0.5)

    # Exact up to chance: four standard deviations of 1,000 trials are at most 35.
    assert held == pytest.approx(1000 * slope.confidence_ratio, abs=35)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4).filter(lambda s: sum(s) <= 7))
def test_kendalls_distribution_is_that_of_all_orders(sizes: list[int]) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    pairs = [
        (i, j) for i, j in itertools.combinations(range(len(groups)), 2) if groups[i] < groups[j]
    ]
    orders = list(itertools.permutations(range(len(groups))))
    falling = Counter(sum(order[i] > order[j] for i, j in pairs) for order in orders)

    chances = growth._discordance(sizes)

    assert chances == pytest.approx([falling[k] / len(orders) for k in range(len(pairs) + 1)])


def test_kendalls_distribution_stays_exact_for_many_measurements() -> None:
    sizes = [25] * 6
    count = sum(sizes)

    chances = growth._discordance(sizes)

    pairs = np.arange(len(chances))
    variance = (count**2 * (2 * count + 3) - sum(n**2 * (2 * n + 3) for n in sizes)) / 72
    assert chances.sum() == pytest.approx(1)
    assert chances.min() > -1e-12
    assert chances @ pairs == pytest.approx((count**2 - sum(n**2 for n in sizes)) / 4)
    assert chances @ (pairs - chances @ pairs) ** 2 == pytest.approx(variance)


def test_six_volumes_leave_out_the_steepest_and_the_flattest_pair() -> None:
    # Of 720 orders 1 has no falling pair, 5 have one, 14 have two: 20/720 is more than 2.5 %.
    volumes = [10.0**i for i in range(6)]
    heights = [0.0, 1.3, 1.9, 3.2, 3.9, 5.3]
    pairs = itertools.combinations(range(6), 2)
    slopes = sorted((heights[j] - heights[i]) / (j - i) for i, j in pairs)

    slope = sloped(log_log_slope(volumes, [10**h for h in heights]))

    assert slope.confidence_ratio == pytest.approx(1 - 2 * 6 / 720)
    assert (slope.exponent.low, slope.exponent.high) == pytest.approx((slopes[1], slopes[-2]))
    assert slopes[0] < slopes[1] < slopes[-2] < slopes[-1]


def test_four_volumes_measured_once_say_that_they_reach_92_percent() -> None:
    slope = sloped(log_log_slope(VOLUMES, [1, 10, 100, 1000]))

    assert slope.confidence_ratio == pytest.approx(1 - 2 / math.factorial(4))


@pytest.mark.parametrize(
    ("exponent", "word"),
    [
        (-0.2, "falling"),
        (0.0, "constant"),
        (0.1, "logarithmic"),
        (0.5, "sublinear"),
        (1.0, "linear"),
        (2.0, "superlinear"),
    ],
)
def test_growth_has_a_word(exponent: float, word: str) -> None:
    assert sloped(log_log_slope(VOLUMES, [v**exponent for v in VOLUMES])).growth == word


@pytest.mark.parametrize(("step", "word"), [(2.0, "linear"), (0.0, "logarithmic")])
def test_n_log_n_and_log_n_are_named(step: float, word: str) -> None:
    latencies = [math.log(v) * v ** (step / 2) for v in VOLUMES]

    assert sloped(log_log_slope(VOLUMES, latencies)).growth == word


@given(st.lists(st.floats(1e-6, 1e3), min_size=4, max_size=8))
def test_growth_claims_no_more_than_the_interval(latencies: list[float]) -> None:
    volumes = [10.0**i for i in range(1, len(latencies) + 1)]

    slope = sloped(log_log_slope(volumes, latencies))

    def word(exponent: float) -> str:
        exact = [10.0 ** (exponent * i) for i in range(4)]
        return sloped(log_log_slope([1, 10, 100, 1000], exact)).growth

    low, high = slope.exponent.low, slope.exponent.high
    assume(all(abs(end - edge) > 1e-6 for end in (low, high) for edge in growth._GROWTH_EDGES))
    assert slope.growth.split(" to ")[0] == word(low)
    assert slope.growth.split(" to ")[-1] == word(high)
    assert low <= slope.exponent.value <= high


def test_a_fuzzy_curve_gets_a_span_of_words() -> None:
    slope = sloped(log_log_slope(VOLUMES, [1.0, 1.0, 3.0, 30.0]))

    assert slope.growth == "constant to linear"


def test_two_volumes_are_refused_however_often_measured() -> None:
    assert refusal(log_log_slope([1, 10] * 9, [1, 2] * 9)).startswith("2 volumes;")


def test_three_volumes_are_refused_unless_repeated() -> None:
    assert "holds in only 67% of cases" in refusal(log_log_slope([1, 10, 100], [1, 2, 3]))
    assert sloped(log_log_slope([1, 10, 100] * 2, [1, 2, 4] * 2)).confidence_ratio > 0.95


@pytest.mark.parametrize(
    ("volumes", "latencies", "words"),
    [
        ([1, 2], [1], "2 volumes and 1 latencies"),
        ([0, 1, 2], [1, 1, 1], "leave the empty store out"),
        ([1, 2, 3], [1, 0, 1], "must be > 0"),
        ([1, 2, 3], [1, math.nan, 1], "must be > 0 and finite"),
    ],
)
def test_a_curve_of_impossible_figures_is_an_error(
    volumes: list[float], latencies: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        log_log_slope(volumes, latencies)
