"""Exact neighbours, recall and gain, against brute force in float64."""

import numpy as np
import pytest

from agentmem_observe.analysis.neighbours import (
    exact_neighbours,
    found_neighbours,
    similarity_gain,
)


def unit_rows(count: int, dimensions: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 7, 100, 8192, 8193, 20_000])
@pytest.mark.parametrize("depth", [1, 10])
def test_neighbours_are_those_of_brute_force(count: int, depth: int) -> None:
    vectors, queries = unit_rows(count, 16, 1), unit_rows(5, 16, 2)

    found = exact_neighbours(vectors, queries, depth)

    cosines = queries.astype(np.float64) @ vectors.astype(np.float64).T
    assert found.places.tolist() == np.argsort(-cosines, axis=1)[:, :depth].tolist()
    assert np.allclose(found.cosines, -np.sort(-cosines, axis=1)[:, :depth], atol=1e-6)
    assert np.allclose(found.mean_cosines, cosines.mean(axis=1), atol=1e-6)


def test_no_vectors_or_no_depth_is_refused() -> None:
    vectors = unit_rows(3, 8, 1)

    for rows, depth in ((vectors[:0], 1), (vectors, 0)):
        with pytest.raises(ValueError, match="needs vectors and a depth"):
            exact_neighbours(rows, vectors, depth)


@pytest.mark.parametrize(
    ("cosines", "exact", "found"),
    [
        ([], [0.9, 0.8], 0),
        ([0.9, 0.8], [0.9, 0.8], 2),
        ([0.9, 0.79], [0.9, 0.8], 1),
        ([0.8, 0.8, 0.8], [0.9, 0.8], 2),  # never more than there are
        ([0.799999], [0.9, 0.8], 1),  # rounding
        ([0.5], [], 0),
    ],
)
def test_hits_as_near_as_the_farthest_of_the_nearest_are_found(
    cosines: list[float], exact: list[float], found: int
) -> None:
    assert found_neighbours(cosines, exact) == found


@pytest.mark.parametrize(
    ("cosines", "gain"),
    [([0.9, 0.7], 1.0), ([0.1, 0.1], 0.0), ([-0.6, -0.6], -1.0), ([0.9], 1.0)],
)
def test_gain_is_one_for_the_nearest_nothing_for_random_and_negative_for_far(
    cosines: list[float], gain: float
) -> None:
    assert similarity_gain(cosines, exact=[0.9, 0.7], mean=0.1) == pytest.approx(gain)


def test_where_all_answers_are_alike_no_gain_is_claimed() -> None:
    assert similarity_gain([0.5], exact=[0.5], mean=0.5) is None
