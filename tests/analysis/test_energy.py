"""Change points: where they are, how sure they are, and that Apache Otava finds the same."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentmem_observe.analysis import energy
from agentmem_observe.analysis.energy import FEWEST, LEAST_SIDE, Split, chance, change_points

FIXTURES = Path(__file__).parents[1] / "fixtures" / "changes"
OTAVA: dict[str, Any] = json.loads((FIXTURES / "otava.json").read_text(encoding="utf-8"))
LEVEL = 5e-4


def noise(runs: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.03, runs)


def stepped(before: int, after: int, size: float, seed: int = 1) -> np.ndarray:
    return noise(before + after, seed) + size * (np.arange(before + after) >= before)


@given(
    before=st.integers(20, 60),
    after=st.integers(20, 60),
    size=st.sampled_from([-0.3, -0.15, 0.15, 0.3]),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_a_step_is_found_within_two_runs_of_where_it_is(
    before: int, after: int, size: float, seed: int
) -> None:
    found = change_points(stepped(before, after, size, seed), LEVEL)

    # Chance may cut a stretch once more, as often as the level says.
    assert any(abs(split.at - before) <= 2 for split in found)
    assert len(found) <= 2


@given(factor=st.floats(1e-6, 1e6), offset=st.floats(-100, 100), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_another_unit_changes_nothing(factor: float, offset: float, seed: int) -> None:
    # Exact in floats, so that no two values become equal: a grid that any factor keeps apart.
    values = np.round(stepped(25, 15, 0.1, seed), 4)

    assert change_points(factor * values + offset, LEVEL) == change_points(values, LEVEL)


@given(seed=st.integers(0, 99), before=st.integers(15, 40), after=st.integers(15, 40))
@example(seed=94, before=21, after=20)  # the ranks alone leave it open where the middle belongs
@settings(max_examples=40, deadline=None)
def test_a_series_read_backwards_changes_at_the_same_places(
    seed: int, before: int, after: int
) -> None:
    values = stepped(before, after, 0.2, seed)

    forwards = change_points(values, LEVEL)
    backwards = change_points(values[::-1], LEVEL)

    assert [(len(values) - each.at) for each in reversed(backwards)] == [
        each.at for each in forwards
    ]


def test_changes_there_and_back_are_both_found() -> None:
    values = noise(90)
    values[40:60] += 0.2

    assert [split.at for split in change_points(values, LEVEL)] == [40, 60]


@pytest.mark.parametrize("runs", [0, 1, 5, FEWEST - 1, FEWEST, 100])
def test_a_constant_series_does_not_change(runs: int) -> None:
    assert change_points(np.full(runs, 7.0), LEVEL) == []


def test_a_figure_without_noise_changes_when_it_changes() -> None:
    values = np.r_[np.full(30, 0.95), np.full(6, 0.90)]

    assert [split.at for split in change_points(values, LEVEL)] == [30]


def test_few_values_are_not_split_however_clear_it_looks() -> None:
    values = stepped((FEWEST - 1) // 2, FEWEST // 2, 5.0)

    assert len(values) == FEWEST - 1
    assert change_points(values, LEVEL) == []


def test_one_outlier_is_no_change() -> None:
    values = noise(60)
    values[[10, 30, 31, 50]] += 100

    assert change_points(values, LEVEL) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        change_points(np.r_[noise(30), value], LEVEL)


# How sure


@pytest.mark.parametrize("length", [18, 22, 30, 62, 120])
def test_chance_alone_is_as_rare_as_p_says(length: int) -> None:
    maxima = energy.null_maxima(length, 2000, np.random.default_rng(5))

    p = np.array([chance(float(each), length) for each in maxima])

    # 2,000 draws: 0.05 is known to 0.005, 0.01 to 0.002, 0.001 to 0.0007.
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(p <= 0.01) == pytest.approx(0.01, abs=0.007)
    assert np.mean(p <= 0.001) <= 0.004


def test_p_knows_that_the_split_was_chosen_and_that_of_a_t_test_does_not() -> None:
    series = np.random.default_rng(2301).normal(size=(1000, 30))  # as make_otava.py makes them

    alarms = np.mean([bool(change_points(each, OTAVA["p"])) for each in series])

    assert alarms <= 3 * OTAVA["p"]
    assert OTAVA["alarm_ratio_without_a_change"] >= 10 * OTAVA["p"]


def test_p_falls_with_the_statistic_and_stays_above_nothing() -> None:
    p = [chance(statistic, 47) for statistic in np.arange(-2, 60, 0.25)]

    assert p == sorted(p, reverse=True)
    assert p[0] == pytest.approx(0.9)
    assert p[-1] == 1e-6


def test_p_is_of_the_length_between_those_of_the_table() -> None:
    assert chance(8.0, 30) < chance(8.0, 35) < chance(8.0, 40)


def test_the_same_series_has_the_same_changes() -> None:
    values = stepped(40, 9, 0.1)

    assert change_points(values, LEVEL) == change_points(values, LEVEL)


# Apache Otava


@pytest.mark.parametrize("name", OTAVA["series"])
def test_the_statistic_of_every_split_is_that_of_apache_otava(name: str) -> None:
    known = OTAVA["series"][name]

    ours = energy.energies(np.array(known["values"]))

    theirs = known["statistics"][LEAST_SIDE - 1 : 1 - LEAST_SIDE]
    assert ours == pytest.approx(theirs, abs=2e-8)


@pytest.mark.parametrize("name", OTAVA["series"])
def test_what_is_plain_is_found_where_apache_otava_finds_it(name: str) -> None:
    known = OTAVA["series"][name]

    ours = change_points(np.array(known["values"]), LEVEL)

    assert [split.at for split in ours] == known["change_points"]


@pytest.mark.skipif(
    importlib.util.find_spec("otava") is None,
    reason="apache-otava is not importable; tests/fixtures/changes/make_otava.py says how",
)
def test_apache_otava_still_finds_what_was_kept_of_it() -> None:
    source = FIXTURES / "make_otava.py"
    spec = importlib.util.spec_from_file_location("make_otava", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.found() == OTAVA


def test_a_split_says_where_and_how_sure() -> None:
    assert change_points(stepped(30, 30, 1.0), LEVEL) == [Split(at=30, p=1e-6)]
