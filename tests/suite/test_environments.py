import numpy as np
import pytest
from scipy import stats

from agentmem_observe.suite.self.environments import (
    ENVIRONMENTS,
    history,
    pairs,
    result_sets,
    rounds_of,
)

CHANGES = np.log1p([0.0, 0.02, 0.05, 0.1])

PUBLISHED_MEAN = {
    "dedicated": (0.00, 0.00, 0.03, 0.51),
    "cloud": (0.02, 0.05, 0.12, 0.44),
    "shared_vm": (0.06, 0.06, 0.20, 0.50),
}
PUBLISHED_RANKS = {
    "dedicated": (0.03, 0.76, 1, 1),
    "cloud": (0.05, 0.20, 0.87, 1),
    "shared_vm": (0.08, 0.19, 0.58, 0.94),
}
PUBLISHED_PAIRED = {
    "dedicated": (0.01, 0.99, 1, 1),
    "cloud": (0.01, 0.98, 1, 1),
    "shared_vm": (0.01, 0.97, 1, 1),
}


def ranks_p(before, after):
    return stats.mannwhitneyu(before, after, axis=1, method="asymptotic").pvalue


models = pytest.mark.parametrize("model", ENVIRONMENTS)


@models
def test_seeds_rule_alarms_as_often_as_was_published(model):
    random = np.random.default_rng(1)
    before, after = (rounds_of(ENVIRONMENTS[model], random, 5000, 1) for _ in range(2))

    rates = [np.mean(after - before + change > np.log(1.1)) for change in CHANGES]

    assert rates == pytest.approx(PUBLISHED_MEAN[model], abs=0.09)


@models
def test_ten_rounds_a_side_are_told_apart_as_often_as_was_published(model):
    random = np.random.default_rng(2)
    before, after = (rounds_of(ENVIRONMENTS[model], random, 2000, 10) for _ in range(2))

    rates = [np.mean(ranks_p(before, after + change) < 0.05) for change in CHANGES]

    assert rates == pytest.approx(PUBLISHED_RANKS[model], abs=0.08)


@models
def test_ten_pairs_are_told_apart_as_often_as_was_published(model):
    ratios = pairs(ENVIRONMENTS[model], np.random.default_rng(3), 2000, 10)

    rates = [
        np.mean(stats.ttest_1samp(ratios + change, 0, axis=1).pvalue < 0.01) for change in CHANGES
    ]

    assert rates == pytest.approx(PUBLISHED_PAIRED[model], abs=0.02)


@pytest.mark.parametrize(
    ("model", "correlation"), [("dedicated", 0.46), ("cloud", 0.49), ("shared_vm", 0.75)]
)
def test_metrics_of_one_run_share_what_the_environment_did_to_it(model, correlation):
    values = result_sets(ENVIRONMENTS[model], np.random.default_rng(4), 20_000, 1, 3)[:, 0]

    assert np.corrcoef(values.T)[0, 2] == pytest.approx(correlation, abs=0.02)
    assert values[:, 1].std() > values[:, 0].std()  # a 95th percentile is noisier than a median


def test_the_slow_mode_comes_in_bouts_and_takes_its_share_of_the_time():
    values = rounds_of(ENVIRONMENTS["shared_vm"], np.random.default_rng(5), 4000, 40)

    neighbours = np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]
    assert values.mean() == pytest.approx(0.15 * np.log(1.1), abs=0.001)
    assert neighbours > 0.08


def test_rounds_elsewhere_know_nothing_of_each_other():
    values = rounds_of(ENVIRONMENTS["cloud"], np.random.default_rng(5), 4000, 40)

    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.01


def test_a_history_steps_where_it_should():
    quiet = ENVIRONMENTS["dedicated"]

    runs = history(quiet, np.random.default_rng(6), 4000, (30, 10), change_ratio=0.1)

    assert runs.shape == (4000, 40)
    assert runs[:, 29].mean() == pytest.approx(0, abs=0.002)
    assert runs[:, 30].mean() == pytest.approx(np.log(1.1), abs=0.002)


@pytest.mark.parametrize("make", [rounds_of, pairs])
def test_the_same_seed_gives_the_same_rounds(make):
    once, again = (make(ENVIRONMENTS["shared_vm"], np.random.default_rng(7), 3, 5) for _ in "ab")

    assert (once == again).all()
