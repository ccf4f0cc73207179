"""Exact nearest neighbours by cosine, for adapters whose system leaves the search to them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentmem_observe.model import Vector


def cosine_scores(vectors: Sequence[Vector], query: Vector) -> npt.NDArray[np.float32]:
    """Return the cosine of each vector with the query, in [-1, 1]; a zero vector scores 0.

    Args:
        vectors: At least one embedding, all of the query's dimensions.
        query: The embedding to compare with.

    Raises:
        ValueError: If the dimensions differ.
    """
    rows = np.stack(vectors)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    scores = np.zeros(len(rows), dtype=np.float32)
    np.divide(rows @ query, lengths, out=scores, where=lengths > 0)
    return scores


def best_first(scores: npt.NDArray[np.float32], k: int) -> list[int]:
    """Return the positions of the ``k`` highest scores, best first, equals in their order.

    Examples:
        >>> best_first(np.array([0.1, 0.9, 0.5, 0.9], dtype=np.float32), 3)
        [1, 3, 2]
    """
    return [int(i) for i in np.argsort(-scores, kind="stable")[:k]]
