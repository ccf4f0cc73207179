"""Cosine scores and their order."""

import numpy as np
import pytest

from agentmem_observe.targets.cosine import best_first, cosine_scores


def vectors(*rows: tuple[float, ...]) -> list[np.ndarray]:
    return [np.array(row, dtype=np.float32) for row in rows]


def test_length_does_not_matter_and_a_zero_vector_scores_nothing() -> None:
    rows = vectors((2, 0), (0, 5), (-3, 0), (0.1, 0.1), (0, 0))

    scores = cosine_scores(rows, np.array([7, 0], dtype=np.float32))

    assert scores.tolist() == pytest.approx([1, 0, -1, 0.5**0.5, 0])


def test_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="mismatch"):
        cosine_scores(vectors((1, 0)), np.ones(3, dtype=np.float32))


def test_equal_scores_keep_their_order_and_k_may_exceed_them() -> None:
    scores = np.array([0.5, 0.5, 0.7, 0.5], dtype=np.float32)

    assert best_first(scores, 9) == [2, 0, 1, 3]
