import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.analysis.duel import (
    FIRST_LOOK,
    MOST_ROUNDS,
    Judgement,
    judge_duel,
    last_levels,
)
from agentmem_observe.suite.self.environments import ENVIRONMENTS, pairs


def fight(rounds, **options) -> tuple[Judgement, int]:
    """Judge after each round, as a duel does; return the last judgement and when it came."""
    for count in range(1, len(rounds) + 1):
        judgement = judge_duel(rounds[:count], **options)
        if judgement.final:
            return judgement, count
    raise AssertionError("a duel must end after its last round")


def verdicts(duels, **options):
    said = [fight(list(rounds), most_rounds=duels.shape[1], **options)[0] for rounds in duels]
    return [judgement.verdict for judgement in said]


finite = st.floats(-0.5, 0.5).map(lambda value: round(value, 6))
duels = st.lists(finite, min_size=1, max_size=30)


def test_a_large_change_is_sure_at_the_first_look():
    judgement, rounds = fight([0.1 + 0.001 * (n % 3) for n in range(40)])

    assert (judgement.verdict, rounds) == ("worse", FIRST_LOOK)
    assert judgement.change_ratio == pytest.approx(math.expm1(0.101), abs=0.002)
    low, high = judgement.interval
    assert low < judgement.change_ratio < high


def test_more_of_what_people_want_more_of_is_better():
    rounds = [0.1, 0.101, 0.102, 0.099, 0.1, 0.098]

    assert judge_duel(rounds, better="higher").verdict == "better"
    assert judge_duel([-ratio for ratio in rounds], better="higher").verdict == "worse"


def test_equals_are_called_the_same_before_all_rounds_are_fought():
    noise = np.random.default_rng(1).normal(0, 0.005, 40)

    judgement, rounds = fight(list(noise))

    assert judgement.verdict == "same"
    assert rounds < 40
    assert all(abs(end) < 0.01 for end in judgement.interval)


def test_a_change_that_is_sure_and_too_small_to_matter_is_the_same():
    noise = 0.005 + np.random.default_rng(1).normal(0, 0.002, 40)

    judgement, _ = fight(list(noise))

    assert judgement.verdict == "same"
    assert "less than the threshold of 1 %" in judgement.reasons[0]


def test_noise_that_drowns_the_threshold_ends_the_duel_early():
    noise = np.random.default_rng(3).normal(0, 0.1, 40)

    judgement, rounds = fight(list(noise - noise.mean()))

    assert judgement.verdict == "inconclusive"
    assert 20 <= rounds < 30
    assert judgement.least_change_ratio > 0.03
    assert "less than 5 %" in judgement.reasons[1]
    assert "a quieter host" in judgement.reasons[2]


def test_no_duel_ends_before_the_first_look():
    noise = np.random.default_rng(8).normal(0, 0.1, (20, 10))

    assert min(fight(list(rounds), most_rounds=10)[1] for rounds in noise) == FIRST_LOOK


def test_inconclusive_says_what_can_be_found_and_how_many_rounds_it_takes():
    noise = np.random.default_rng(4).normal(0.006, 0.012, 10)

    judgement = judge_duel(list(noise), most_rounds=10)

    assert judgement.verdict == "inconclusive"
    assert judgement.final
    assert "10 rounds find" in judgement.reasons[-1]
    assert "1 % takes about" in judgement.reasons[-1]


def test_an_early_look_asks_for_more_evidence_than_a_last_one():
    rounds = [0.060, 0.035, 0.052, 0.021, 0.044, 0.027]  # t = 6.3

    assert judge_duel(rounds, most_rounds=6).verdict == "worse"
    assert judge_duel(rounds, most_rounds=10).verdict == "inconclusive"


def test_before_the_first_look_nothing_is_said():
    judgement = judge_duel([0.1] * (FIRST_LOOK - 1))

    assert (judgement.verdict, judgement.final, judgement.interval) == (
        "inconclusive",
        False,
        None,
    )


def test_a_few_spoilt_rounds_do_not_hide_a_change():
    noise = 0.02 + np.random.default_rng(5).normal(0, 0.008, 40)
    noise[::9] += np.array([0.5, -0.6, 0.4, -0.5, 0.7])

    assert fight(list(noise))[0].verdict == "worse"


def test_identical_figures_are_the_same():
    assert fight([0.0] * 40)[0].verdict == "same"


@given(duels)
def test_a_duel_with_changed_sides_has_the_opposite_verdict(rounds):
    opposite = {"better": "worse", "worse": "better"}

    ours, theirs = judge_duel(rounds), judge_duel([-ratio for ratio in rounds])

    assert theirs.verdict == opposite.get(ours.verdict, ours.verdict)
    assert theirs.final == ours.final


@given(duels, st.floats(0.0, 0.5))
def test_a_candidate_that_is_slower_yet_is_never_called_better_for_it(rounds, more):
    order = {"better": 0, "same": 1, "inconclusive": 1, "worse": 2}

    before = judge_duel(rounds).verdict
    after = judge_duel([ratio + more for ratio in rounds]).verdict

    assert order[after] >= order[before]


@pytest.mark.parametrize("rounds", [10, 13, 40])
def test_equals_are_told_apart_in_at_most_one_of_a_hundred_duels(rounds):
    noise = np.random.default_rng(rounds).normal(0, 0.012, (300, rounds))

    wrong = sum(verdict in ("better", "worse") for verdict in verdicts(noise))

    assert wrong <= 9  # 3 are promised; more than 9 has a chance of 1 in 1,000


@pytest.mark.parametrize("model", ["cloud", "shared_vm"])
def test_ten_rounds_find_a_slow_down_of_two_percent(model):
    ratios = pairs(ENVIRONMENTS[model], np.random.default_rng(6), 200, 10) + math.log(1.02)

    found = sum(verdict == "worse" for verdict in verdicts(ratios))

    assert found >= 180  # 190 are promised


def test_forty_rounds_of_a_busy_machine_find_a_slow_down_of_one_percent():
    noise = np.random.default_rng(7).normal(math.log(1.012), 0.015, (100, 40))

    found = sum(verdict == "worse" for verdict in verdicts(noise))

    assert found >= 80


def test_levels_fall_with_the_number_of_looks():
    levels = [last_levels(rounds) for rounds in (3, 6, 10, 20, 33, 40, 77, 100, MOST_ROUNDS)]

    assert levels[0] == (0.009, 0.05)
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize(
    ("rounds", "options", "text"),
    [
        ([], {}, "0 rounds of at most 40"),
        ([0.1] * 11, {"most_rounds": 10}, "11 rounds of at most 10"),
        ([0.1, math.nan], {}, "not finite"),
        ([0.1], {"most_rounds": 2}, "most_rounds is 2; it must be from 3 to 200"),
        ([0.1], {"threshold": 0}, "threshold is 0; it must be > 0"),
    ],
)
def test_what_can_not_be_judged_is_refused(rounds, options, text):
    with pytest.raises(ValueError, match=text):
        judge_duel(rounds, **options)
