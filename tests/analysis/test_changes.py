"""Histories of one figure: what is called, what is not, and how large it is said to be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.analysis.changes import (
    STANDARD,
    Better,
    HistoryRule,
    find_changes,
    judge_history,
    shift,
)

NOISE = 0.02


def history(*stretches: tuple[int, float], seed: int = 3) -> np.ndarray:
    """Return levels that each last for some runs, under noise of 2 %."""
    levels = np.concatenate([np.full(runs, np.log1p(change)) for runs, change in stretches])
    return levels + np.random.default_rng(seed).normal(0, NOISE, len(levels))


@pytest.mark.parametrize(
    ("change", "better", "verdict"),
    [
        (0.10, "lower", "worse"),
        (0.10, "higher", "better"),
        (-0.10, "lower", "better"),
        (-0.10, "higher", "worse"),
    ],
)
def test_a_change_is_better_or_worse_as_the_figure_has_it(
    change: float, better: Better, verdict: str
) -> None:
    found = judge_history(history((30, 0), (10, change)), better)

    (one,) = found.changes
    assert (found.verdict, one.direction) == (verdict, verdict)
    assert (one.index, one.runs_before, one.runs_after) == (30, 30, 10)
    assert one.p <= STANDARD.level
    assert one.size.low < change < one.size.high
    assert one.size.ratio == pytest.approx(change, abs=0.02)


def test_the_reason_says_how_much_since_when_and_the_limit() -> None:
    found = judge_history(history((30, 0), (10, 0.10)), "lower")

    assert found.reason == "+9.4% (+7.3% to +11.7%) since 10 runs ago, after 30 runs (limit 5%)"


@pytest.mark.parametrize("runs", [0, 1, 2, 5, STANDARD.fewest_runs - 1])
def test_too_few_runs_are_said_to_be_too_few(runs: int) -> None:
    found = judge_history(history((runs, 0)), "lower")

    assert (found.verdict, found.size, found.changes) == ("inconclusive", None, ())
    assert found.reason == (f"too few runs: {runs} (limit 13, and 18 for small changes); run more")


@pytest.mark.parametrize("runs", [13, 20, 60])
def test_a_constant_figure_is_the_same(runs: int) -> None:
    found = judge_history(np.full(runs, 1.5), "higher")

    assert (found.verdict, found.changes) == ("same", ())
    assert found.reason.startswith("+0.0% (+0.0% to +0.0%) in the newest ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        judge_history([0.0] * 30 + [value], "lower")


def test_a_large_step_is_called_after_three_runs_and_not_after_two() -> None:
    levels = history((30, 0), (3, 0.5))

    assert judge_history(levels[:-1], "lower").verdict != "worse"
    found = judge_history(levels, "lower")
    assert found.verdict == "worse"
    assert [change.index for change in found.changes] == [30]
    assert found.changes[0].p == pytest.approx(2 / 5456)  # of all ways to choose 3 of 33 runs


def test_a_large_step_begins_where_it_began_until_change_points_see_it_too() -> None:
    levels = history((30, 0), (20, 0.5))

    begins = [
        [change.index for change in judge_history(levels[:runs], "lower").changes]
        for runs in range(33, 51)
    ]

    assert begins == [[30]] * len(begins)


def test_a_large_step_is_called_when_there_are_only_ten_runs_to_compare_with() -> None:
    assert judge_history(history((10, 0), (3, 0.5)), "lower").verdict == "worse"


def test_three_odd_runs_are_suspected_before_they_are_called() -> None:
    found = judge_history(history((30, 0), (3, 0.08)), "lower")

    assert found.verdict == "inconclusive"
    assert found.reason == (
        "perhaps worse: +7.8% (+5.1% to +10.5%) in the newest 3 runs, each by more than 3 "
        "deviations (limit 6); run more"
    )


def test_a_figure_without_noise_is_not_suspected_of_what_is_below_the_threshold() -> None:
    found = judge_history([0.0] * 30 + [1e-9] * 3, "lower")

    assert (found.verdict, found.changes) == ("same", ())


def test_what_is_certainly_smaller_than_the_threshold_is_listed_and_not_called() -> None:
    levels = history((60, 0), (20, 0.03), seed=4) / 4  # noise of 0.5 %, a change of 0.75 %

    found = judge_history(levels, "lower")

    assert found.verdict == "same"
    assert [change.index for change in found.changes] == [60]


def test_a_change_is_news_for_twenty_runs_and_then_what_is_normal() -> None:
    levels = history((30, 0), (40, 0.2))

    verdicts = [judge_history(levels[: 30 + runs], "lower").verdict for runs in (20, 21, 40)]

    assert verdicts == ["worse", "same", "same"]
    assert len(judge_history(levels, "lower").changes) == 1


def test_what_went_and_came_back_is_neither_better_nor_worse() -> None:
    found = judge_history(history((40, 0), (8, 0.3), (10, 0)), "lower")

    assert found.verdict == "same"


def test_what_was_half_taken_back_is_still_worse_and_by_how_much_is_left() -> None:
    found = judge_history(history((30, 0), (9, 0.4), (9, 0.2)), "lower")

    assert [change.direction for change in found.changes] == ["worse", "better"]
    assert found.verdict == "worse"
    assert found.size is not None
    assert found.size.ratio == pytest.approx(0.2, abs=0.03)


def test_two_steps_for_the_worse_are_judged_together() -> None:
    found = judge_history(history((30, 0), (9, 0.2), (9, 0.44)), "lower")

    assert found.size is not None
    assert found.size.ratio == pytest.approx(0.44, abs=0.04)
    assert [change.size.ratio for change in found.changes] == pytest.approx([0.2] * 2, abs=0.04)


def test_what_is_too_noisy_to_tell_is_not_called_the_same() -> None:
    found = judge_history(10 * history((40, 0), seed=9), "lower")

    assert found.verdict == "inconclusive"
    assert found.reason.endswith("(limit 5%); run more to tell, or on a quieter host")


def test_only_the_newest_runs_are_looked_at_and_places_are_those_of_all() -> None:
    rule = HistoryRule(most_runs=100)
    levels = history((500, 0.5), (80, 0), (20, 0.2))

    found = judge_history(levels, "lower", rule)

    assert [change.index for change in found.changes] == [580]


def test_short_slow_modes_are_no_change() -> None:
    levels = history((100, 0))
    for begin in (20, 47, 70, 96):
        levels[begin : begin + 2] += 0.1

    found = judge_history(levels, "lower")

    assert (found.verdict, found.changes) == ("same", ())


@given(factor=st.floats(1e-9, 1e9), seed=st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_another_unit_changes_neither_places_nor_sizes(factor: float, seed: int) -> None:
    levels = history((30, 0), (8, 0.12), seed=seed)

    ours = judge_history(levels, "lower")
    theirs = judge_history(levels + np.log(factor), "lower")

    assert ours.verdict == theirs.verdict
    assert [each.index for each in ours.changes] == [each.index for each in theirs.changes]
    assert [each.size.ratio for each in ours.changes] == pytest.approx(
        [each.size.ratio for each in theirs.changes]
    )


@given(seed=st.integers(0, 200), change=st.sampled_from([-0.2, 0.15, 0.4]))
@settings(max_examples=40, deadline=None)
def test_backwards_each_change_is_as_large_the_other_way(seed: int, change: float) -> None:
    levels = history((30, 0), (25, change), seed=seed)

    there = find_changes(levels, "lower")
    back = find_changes(levels[::-1], "lower")

    assert [len(levels) - each.index for each in reversed(back)] == [each.index for each in there]
    for ours, theirs in zip(there, reversed(back), strict=True):
        assert (1 + ours.size.ratio) * (1 + theirs.size.ratio) == pytest.approx(1)
        assert (1 + ours.size.low) * (1 + theirs.size.high) == pytest.approx(1)


def test_the_interval_of_a_size_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(8)
    truth = np.log(1.1)
    held = 0
    for _ in range(400):
        size = shift(random.normal(0, 1, 30), random.normal(truth, 1, 8))
        held += size.low <= 0.1 <= size.high

    assert held / 400 == pytest.approx(0.95, abs=0.03)
