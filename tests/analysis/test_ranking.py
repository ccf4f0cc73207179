import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.analysis.ranking import (
    f1_at_k,
    ndcg_at_k,
    overlap_at_k,
    overlaps_at_k,
    precision_at_k,
    rank_correlation,
    recall_at_k,
    reciprocal_rank,
)

IDS = st.integers(0, 8)
ANSWERS = st.lists(IDS, max_size=10)  # short and empty ones, repetitions, strangers
RELEVANT = st.sets(IDS, min_size=1)
KS = st.integers(1, 12)
VALUES = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))


# Against a computation by hand, one place after the other


def counted(found: list[int], relevant: set[int], k: int) -> int:
    hits = 0
    for place in range(k):
        if place < len(found) and found[place] in relevant:
            before = [found[earlier] for earlier in range(place)]
            hits += 0 if found[place] in before else 1
    return hits


@given(ANSWERS, RELEVANT, KS)
def test_recall_and_precision_count_each_relevant_record_once(
    found: list[int], relevant: set[int], k: int
) -> None:
    hits = counted(found, relevant, k)

    assert recall_at_k(found, relevant, k) == hits / len(relevant)
    assert precision_at_k(found, relevant, k) == hits / k


@given(ANSWERS, RELEVANT, KS)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(
    found: list[int], relevant: set[int], k: int
) -> None:
    precision, recall = precision_at_k(found, relevant, k), recall_at_k(found, relevant, k)

    mean = 0.0 if not precision else 2 / (1 / precision + 1 / recall)

    assert f1_at_k(found, relevant, k) == pytest.approx(mean)


@given(
    st.lists(st.integers(0, 4), max_size=6),
    st.dictionaries(st.integers(0, 4), st.integers(0, 5).map(float), min_size=1),
    st.integers(1, 6),
)
def test_ndcg_is_the_gain_over_the_best_of_all_orders(
    found: list[int], gains: dict[int, float], k: int
) -> None:
    gains[0] = 1.0

    def gain(order: tuple[int, ...]) -> float:
        total, seen = 0.0, set()
        for place, record in enumerate(order[:k]):
            if record not in seen:
                total += gains.get(record, 0.0) / math.log(place + 2, 2)
            seen.add(record)
        return total

    best = max(gain(order) for order in itertools.permutations(gains))

    assert ndcg_at_k(found, gains, k) == pytest.approx(gain(tuple(found)) / best)


@given(ANSWERS, RELEVANT)
def test_the_reciprocal_rank_is_that_of_the_first_hit(
    found: list[int], relevant: set[int]
) -> None:
    expected = 0.0
    for place in reversed(range(len(found))):
        if found[place] in relevant:
            expected = 1 / (place + 1)

    assert reciprocal_rank(found, relevant) == expected


@given(ANSWERS, st.lists(IDS, min_size=1, unique=True), KS)
def test_overlap_counts_the_exact_neighbours_that_were_found(
    found: list[int], exact: list[int], k: int
) -> None:
    neighbours = exact[:k]

    overlap = overlap_at_k(found, exact, k)

    assert overlap == sum(n in found[:k] for n in neighbours) / len(neighbours)


@given(st.data(), st.integers(1, 6), st.integers(1, 5), st.integers(0, 6))
def test_many_overlaps_are_those_of_each_answer(
    data: st.DataObject, k: int, questions: int, width: int
) -> None:
    number = st.integers(-1, 9)  # -1: no hit in this place
    found = [data.draw(st.lists(number, min_size=width, max_size=width)) for _ in range(questions)]
    exact = [list(data.draw(st.permutations(range(10)))) for _ in range(questions)]

    overlaps = overlaps_at_k(np.array(found).reshape(questions, width), np.array(exact), k)

    assert overlaps.tolist() == pytest.approx(
        [overlap_at_k(f, e, k) for f, e in zip(found, exact, strict=True)]
    )


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12))
def test_rank_correlation_is_pearsons_of_mean_ranks(pairs: list[tuple[float, float]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]

    def ranks(values: list[float]) -> list[float]:
        return [
            sum(other < value for other in values) + (sum(o == value for o in values) + 1) / 2
            for value in values
        ]

    correlation = rank_correlation(first, second)

    if len(set(first)) < 2 or len(set(second)) < 2:
        assert correlation is None
    else:
        assert correlation == pytest.approx(np.corrcoef(ranks(first), ranks(second))[0, 1])


# What must hold of any measure


@given(ANSWERS, RELEVANT, KS)
def test_every_measure_is_a_share(found: list[int], relevant: set[int], k: int) -> None:
    shares = [
        recall_at_k(found, relevant, k),
        precision_at_k(found, relevant, k),
        f1_at_k(found, relevant, k),
        ndcg_at_k(found, dict.fromkeys(relevant, 1.0), k),
        reciprocal_rank(found, relevant),
        overlap_at_k(found, sorted(relevant), k),
    ]

    assert all(0 <= share <= 1 + 1e-12 for share in shares)


@given(ANSWERS, RELEVANT, KS)
def test_repeating_a_record_never_pays(found: list[int], relevant: set[int], k: int) -> None:
    repeated = [record for record in found for _ in range(2)]

    assert recall_at_k(repeated, relevant, k) <= recall_at_k(found, relevant, k)
    assert precision_at_k(repeated, relevant, k) <= precision_at_k(found, relevant, k)
    gains = dict.fromkeys(relevant, 1.0)
    assert ndcg_at_k(repeated, gains, k) <= ndcg_at_k(found, gains, k) + 1e-12


@given(RELEVANT, KS)
def test_an_empty_answer_scores_nothing(relevant: set[int], k: int) -> None:
    assert recall_at_k([], relevant, k) == precision_at_k([], relevant, k) == 0
    assert f1_at_k([], relevant, k) == reciprocal_rank([], relevant) == 0
    assert ndcg_at_k([], dict.fromkeys(relevant, 1.0), k) == overlap_at_k([], [*relevant], k) == 0


@given(st.lists(IDS, min_size=1, unique=True))
def test_the_exact_answer_scores_one(exact: list[int]) -> None:
    k, relevant = len(exact), set(exact)
    gains = {record: float(k - place) for place, record in enumerate(exact)}

    assert recall_at_k(exact, relevant, k) == precision_at_k(exact, relevant, k) == 1
    assert f1_at_k(exact, relevant, k) == reciprocal_rank(exact, relevant) == 1
    assert overlap_at_k(exact, exact, k) == 1
    assert ndcg_at_k(exact, gains, k) == pytest.approx(1)


def test_what_comes_after_k_does_not_count() -> None:
    assert recall_at_k(["x", "a"], {"a"}, 1) == 0
    assert ndcg_at_k(["x", "a"], {"a": 1.0}, 1) == 0
    assert overlap_at_k(["x", "a"], ["a", "x"], 1) == 0


def test_the_order_of_hits_matters_to_ndcg_only() -> None:
    gains = {"a": 3.0, "b": 1.0}

    assert recall_at_k(["b", "a"], {"a", "b"}, 2) == recall_at_k(["a", "b"], {"a", "b"}, 2)
    assert ndcg_at_k(["b", "a"], gains, 2) < ndcg_at_k(["a", "b"], gains, 2)


def test_fewer_hits_than_k_lower_precision_but_not_recall() -> None:
    assert precision_at_k(["a"], {"a"}, 10) == 0.1
    assert recall_at_k(["a"], {"a"}, 10) == 1.0


def test_overlap_over_fewer_records_than_k_can_still_be_complete() -> None:
    assert overlap_at_k(["a", "b"], ["a", "b"], 10) == 1.0


def test_a_graded_answer_scores_as_in_the_textbook() -> None:
    # Järvelin and Kekäläinen's measure on gains 3 2 3 0 1 2, ideal 3 3 2 2 1 0.
    found = list("abcdef")
    gains = dict(zip(found, [3.0, 2.0, 3.0, 0.0, 1.0, 2.0], strict=True))

    assert ndcg_at_k(found, gains, 6) == pytest.approx(6.861 / 7.141, abs=1e-3)


def test_rank_correlation_does_not_depend_on_the_scale() -> None:
    steps = [1.0, 2.0, 3.0, 4.0, 5.0]

    assert rank_correlation(steps, [math.exp(s) for s in steps]) == 1.0
    assert rank_correlation(steps, [-(s**3) for s in steps]) == -1.0


def test_rank_correlation_ranks_infinities() -> None:
    assert rank_correlation([-math.inf, 0.0, math.inf], [1.0, 2.0, 3.0]) == 1.0


# What is refused


@pytest.mark.parametrize("measure", [recall_at_k, precision_at_k, f1_at_k])
def test_a_question_without_a_right_answer_is_an_error(measure: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="nothing is relevant"):
        measure(["a"], set(), 1)


def test_other_measures_need_a_right_answer_too() -> None:
    with pytest.raises(ValueError, match="nothing is relevant"):
        reciprocal_rank(["a"], set())
    with pytest.raises(ValueError, match="nothing is relevant"):
        overlap_at_k(["a"], [], 1)


@pytest.mark.parametrize(
    ("measure", "truth"),
    [
        (recall_at_k, {"a"}),
        (precision_at_k, {"a"}),
        (f1_at_k, {"a"}),
        (ndcg_at_k, {"a": 1.0}),
        (overlap_at_k, ["a"]),
    ],
)
def test_k_is_at_least_one(measure: Callable[..., float], truth: Any) -> None:
    with pytest.raises(ValueError, match="k must be >= 1"):
        measure(["a"], truth, 0)


@pytest.mark.parametrize("gains", [{}, {"a": 0.0}, {"a": -1.0, "b": 1.0}, {"a": math.nan}])
def test_gains_must_be_gains(gains: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="gains must be >= 0"):
        ndcg_at_k(["a"], gains, 1)


def test_an_exact_answer_has_no_record_twice() -> None:
    with pytest.raises(ValueError, match="a record twice"):
        overlap_at_k(["a"], ["a", "a"], 2)
    with pytest.raises(ValueError, match="a record twice"):
        overlaps_at_k(np.array([[1, 2]]), np.array([[1, 1]]), 2)


@pytest.mark.parametrize(
    ("found", "exact", "words"),
    [
        ([[1, 2]], [[1]], "at least 2 columns"),
        ([[1, 2]], [[1, 2], [3, 4]], "a row per question"),
        ([1, 2], [1, 2], "a row per question"),
        ([[1, 2]], [[1, -1]], "a gap"),
    ],
)
def test_answers_in_bulk_must_fit_each_other(found: Any, exact: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        overlaps_at_k(np.array(found), np.array(exact), 2)


def test_bulk_overlaps_need_a_place_to_cut() -> None:
    with pytest.raises(ValueError, match="k must be >= 1"):
        overlaps_at_k(np.array([[1]]), np.array([[1]]), 0)


def test_values_to_correlate_come_in_pairs_and_are_numbers() -> None:
    with pytest.raises(ValueError, match="2 and 1 values"):
        rank_correlation([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="NaN"):
        rank_correlation([1.0, math.nan], [1.0, 2.0])
