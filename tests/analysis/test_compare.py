import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.analysis.compare import (
    EVIDENCE,
    MetricChange,
    MetricRounds,
    compare_metrics,
    holm,
)
from agentmem_observe.suite.self.environments import ENVIRONMENTS, result_sets

QUIET = [1.00, 1.02, 0.99, 1.01, 0.98, 1.00, 1.03, 0.97, 1.01, 0.99]


def judge(baseline, candidate, **options) -> MetricChange:
    [change] = compare_metrics([MetricRounds("p50_seconds", baseline, candidate, **options)])
    return change


def scaled(figures, factor):
    return [figure * factor for figure in figures]


figures = st.lists(
    st.floats(-0.5, 0.5).map(lambda value: math.exp(round(value, 4))), min_size=2, max_size=12
)
any_figures = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("factor", "better", "verdict"),
    [
        (1.20, "lower", "worse"),
        (0.80, "lower", "better"),
        (1.20, "higher", "better"),
        (0.80, "higher", "worse"),
        (1.00, "lower", "same"),
        (1.05, "lower", "same"),
        (1.00, "higher", "same"),
    ],
)
def test_the_verdict_follows_size_evidence_and_direction(factor, better, verdict):
    change = judge(QUIET, scaled(QUIET, factor), better=better)

    assert change.verdict == verdict
    assert change.change_ratio == pytest.approx(factor - 1, abs=1e-9)
    low, high = change.interval
    assert low < change.change_ratio < high
    assert not change.weak


def test_a_change_that_is_sure_and_too_small_to_matter_is_the_same():
    change = judge(QUIET, scaled(QUIET, 1.05))

    assert change.adjusted_p <= EVIDENCE
    assert "a change, but less than the threshold of 10 %" in change.reasons[0]


def test_what_drowns_in_noise_is_inconclusive_and_says_what_would_be_found():
    noise = np.exp(np.random.default_rng(1).normal(0, 0.25, 20))

    change = judge(noise[:10], noise[10:] * 1.1)

    assert change.verdict == "inconclusive"
    assert change.least_change_ratio > 0.15
    assert change.rounds_needed > 20
    assert f"10 % takes about {change.rounds_needed} a side" in change.reasons[1]


def test_as_many_rounds_as_were_asked_for_find_the_threshold_in_four_of_five_comparisons():
    random = np.random.default_rng(2)
    few = judge(*np.exp(random.normal(0, 0.06, (2, 10))))

    rounds = few.rounds_needed or 10
    sides = np.exp(random.normal(0, 0.06, (100, 2, rounds)))
    found = sum(judge(before, after * 1.1).verdict == "worse" for before, after in sides)

    assert 60 <= found <= 100


def test_two_noisy_rounds_a_side_say_nothing():
    noisy = MetricRounds("noisy", [1.0, 1.1], [1.2, 1.35])

    change, *_ = compare_metrics([noisy, *[MetricRounds("equal", QUIET, QUIET)] * 35])

    assert (change.verdict, change.least_change_ratio) == ("inconclusive", None)
    assert "so many rounds find next to nothing" in change.reasons[1]


def test_three_rounds_a_side_see_what_is_far_beyond_their_noise():
    assert judge([1.00, 1.02, 0.99], [2.00, 2.05, 1.97]).verdict == "worse"


@pytest.mark.parametrize(
    ("old", "new", "verdict", "change"),
    [
        (1.0, 1.2, "worse", 0.2),
        (1.0, 0.8, "better", -0.2),
        (1.0, 1.05, "inconclusive", 0.05),
        (1.0, 1.0, "inconclusive", 0.0),
        (0.0, 3.0, "worse", None),
        (0.0, 0.0, "inconclusive", 0.0),
        (-1.0, -0.5, "worse", 0.5),
    ],
)
def test_one_round_a_side_is_judged_by_size_alone_and_never_called_the_same(
    old, new, verdict, change
):
    judged = judge([old], [new])

    assert (judged.verdict, judged.weak) == (verdict, True)
    assert judged.change_ratio == (None if change is None else pytest.approx(change))
    assert judged.adjusted_p is None
    assert "one round a side" in judged.reasons[0]


def test_one_round_is_judged_against_many_by_their_noise():
    assert judge(QUIET, [1.3]).verdict == "worse"
    assert judge(QUIET, [1.02]).verdict == "same"
    assert judge(QUIET[:3], [1.07]).verdict == "inconclusive"
    assert not judge(QUIET, [1.3]).weak


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [
        ([7.0] * 3, [7.0] * 3, "same"),
        ([7.0] * 10, [8.0] * 10, "worse"),
        ([0.0] * 5, [0.0] * 5, "same"),
        ([0.0] * 10, [2.0] * 10, "worse"),
        ([0.0] * 10, [0.0] * 9 + [1.0], "inconclusive"),
        ([-1.0, -1.02, -0.98], [-0.5, -0.51, -0.49], "worse"),
        ([2.0, 2.01, 0.0], [2.0, 2.01, 0.0], "inconclusive"),
    ],
)
def test_figures_that_are_constant_zero_or_negative_are_judged_too(baseline, candidate, verdict):
    assert judge(baseline, candidate).verdict == verdict


def test_a_change_from_nothing_has_no_relative_size():
    change = judge([0.0] * 10, [2.0] * 10)

    assert (change.change_ratio, change.interval) == (None, None)
    assert (change.baseline, change.candidate) == (0, 2)
    assert change.reasons[0].startswith(
        "no relative change, since the baseline may be 0, 10 against 10 rounds"
    )


def test_figures_that_are_not_finite_are_left_out_and_counted():
    change = judge([*QUIET, math.nan], [*scaled(QUIET, 1.3), math.inf, math.nan])

    assert change.verdict == "worse"
    assert change.reasons[1:] == (
        "1 of 11 rounds of the baseline have no finite figure",
        "2 of 12 rounds of the candidate have no finite figure",
    )


@pytest.mark.parametrize("candidate", [[], [math.nan, math.inf]])
def test_without_a_round_nothing_is_known(candidate):
    change = judge(QUIET, candidate)

    assert (change.verdict, change.change_ratio) == ("inconclusive", None)
    assert change.reasons


def test_a_spoilt_round_does_not_hide_a_change():
    spoilt = [*scaled(QUIET, 1.1)[:-1], 5.0]

    assert judge(QUIET, spoilt).verdict == "worse"
    assert judge(QUIET, [*QUIET[:-1], 5.0]).verdict == "same"


def test_the_more_metrics_are_judged_at_once_the_more_evidence_each_needs():
    faint = MetricRounds("faint", QUIET[:5], scaled(QUIET[5:], 1.06))

    alone, *_ = compare_metrics([faint])
    among, *_ = compare_metrics([faint, *[MetricRounds("equal", QUIET, QUIET)] * 99])

    assert among.p == alone.p
    assert among.adjusted_p == pytest.approx(100 * alone.adjusted_p)


def test_metrics_without_evidence_do_not_count_as_asked():
    metrics = [MetricRounds("seen", QUIET, scaled(QUIET, 1.3)), MetricRounds("once", [1], [1])]

    seen, once = compare_metrics(metrics)

    assert seen.adjusted_p == seen.p
    assert once.weak


@given(st.lists(st.floats(0, 1), max_size=20))
def test_adjusted_p_keeps_the_order_and_is_never_smaller(ps):
    adjusted = holm(ps)

    assert all(p <= after <= 1 for p, after in zip(ps, adjusted, strict=True))
    ranked = [after for _, after in sorted(zip(ps, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@settings(deadline=None)  # whichever is first pays for imports
@given(figures, figures)
def test_a_comparison_with_changed_sides_has_the_opposite_verdict(ours, theirs):
    opposite = {"better": "worse", "worse": "better"}

    there, back = judge(ours, theirs), judge(theirs, ours)

    assert back.verdict == opposite.get(there.verdict, there.verdict)
    assert back.p == pytest.approx(there.p)


@given(figures, figures, st.sampled_from([1e-9, 1e-3, 1e6]))
def test_other_units_change_nothing(ours, theirs, factor):
    plain, other = judge(ours, theirs), judge(scaled(ours, factor), scaled(theirs, factor))

    assert other.verdict == plain.verdict
    assert other.change_ratio == pytest.approx(plain.change_ratio, rel=1e-6, abs=1e-9)


@given(any_figures, any_figures, st.randoms(use_true_random=False))
def test_the_order_of_rounds_does_not_matter(ours, theirs, random):
    mixed = random.sample(ours, len(ours)), random.sample(theirs, len(theirs))

    assert judge(*mixed) == judge(ours, theirs)


@given(figures, figures, st.floats(1.0, 3.0))
def test_a_candidate_that_is_slower_yet_is_never_called_better_for_it(ours, theirs, factor):
    order = {"better": 0, "same": 1, "inconclusive": 1, "worse": 2}

    before, after = judge(ours, theirs), judge(ours, scaled(theirs, factor))

    assert order[after.verdict] >= order[before.verdict]


@given(any_figures, any_figures)
def test_whatever_was_measured_is_judged_in_finite_figures(ours, theirs):
    change = judge(ours, theirs)

    assert change.verdict in ("better", "worse", "same", "inconclusive")
    known = [value for value in dataclasses.asdict(change).values() if isinstance(value, float)]
    assert all(map(math.isfinite, (*known, *(change.interval or ()))))


@pytest.mark.parametrize("model", ENVIRONMENTS)
def test_clean_comparisons_of_36_metrics_raise_no_false_alarm(model):
    random = np.random.default_rng(3)
    before, after = (np.exp(result_sets(ENVIRONMENTS[model], random, 60, 10, 36)) for _ in "ab")

    alarms = sum(
        any(
            change.adjusted_p <= EVIDENCE
            for change in compare_metrics(
                [MetricRounds("", before[n, :, m], after[n, :, m]) for m in range(36)]
            )
        )
        for n in range(60)
    )

    assert alarms <= 4  # 0.6 are promised; more than 4 has a chance of 1 in 3,000


def test_ten_rounds_of_a_cloud_find_ten_percent_in_one_of_36_metrics():
    random = np.random.default_rng(4)
    before, after = (np.exp(result_sets(ENVIRONMENTS["cloud"], random, 60, 10, 36)) for _ in "ab")
    after[:, :, 0] *= 1.1

    found = sum(
        compare_metrics([MetricRounds("", before[n, :, m], after[n, :, m]) for m in range(36)])[
            0
        ].verdict
        == "worse"
        for n in range(60)
    )

    assert found >= 42  # 51 are promised; fewer than 42 has a chance of 1 in 1,000


def test_a_threshold_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"threshold is 0; it must be > 0, as 0\.1 for 10 %"):
        judge(QUIET, QUIET, threshold=0)
