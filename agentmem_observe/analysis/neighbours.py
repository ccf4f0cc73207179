"""Exact nearest neighbours in float32, and how near to them an answer comes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agentmem_observe.model import Int64Array, Vector

Rows = npt.NDArray[np.float32]

_BLOCK = 8_192  # vectors compared at a time: bounds what a million vectors take
_TIE = 1e-5  # cosines that differ by less are equal: float32 sums of 384 products


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What an exact search finds for each query.

    Attributes:
        places: Positions of the nearest vectors, best first, shape (queries, depth).
        cosines: Their cosines with the query, shape (queries, depth).
        mean_cosines: Of all vectors with each query: what a random answer comes to, (queries,).
    """

    places: Int64Array
    cosines: Rows
    mean_cosines: Vector


def exact_neighbours(vectors: Rows, queries: Rows, depth: int) -> Neighbours:
    """Compare each query with every vector.

    Args:
        vectors: Unit vectors, shape (n, dimensions), n >= 1.
        queries: Unit vectors, shape (queries, dimensions).
        depth: Neighbours per query, >= 1; n where there are fewer vectors.

    Raises:
        ValueError: If there is no vector, or ``depth`` is below 1.

    Examples:
        >>> vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
        >>> found = exact_neighbours(vectors, vectors[:1], depth=2)
        >>> found.places.tolist(), found.cosines.tolist()
        ([[0, 2]], [[1.0, 0.6000000238418579]])
    """
    if len(vectors) < 1 or depth < 1:
        raise ValueError(f"needs vectors and a depth >= 1, got {len(vectors)} and {depth}")
    places = np.empty((len(queries), 0), np.int64)
    cosines = np.empty((len(queries), 0), np.float32)
    total = np.zeros(len(queries))
    for start in range(0, len(vectors), _BLOCK):
        block = queries @ vectors[start : start + _BLOCK].T
        total += block.sum(axis=1, dtype=np.float64)
        here = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
        places, cosines = _best(
            np.concatenate((places, here), axis=1),
            np.concatenate((cosines, block), axis=1),
            depth,
        )
    return Neighbours(places, cosines, (total / len(vectors)).astype(np.float32))


def _best(places: Int64Array, cosines: Rows, depth: int) -> tuple[Int64Array, Rows]:
    if cosines.shape[1] > depth:
        chosen = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        places = np.take_along_axis(places, chosen, axis=1)
        cosines = np.take_along_axis(cosines, chosen, axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def found_neighbours(cosines: Sequence[float], exact: Sequence[float]) -> int:
    """Return how many of an answer's hits are among the nearest; divided by k it is recall@k.

    Judged by cosine and not by id: of two records equally near either one is right.

    Args:
        cosines: True cosines of the hits with the query, no record twice.
        exact: Cosines of the k nearest, best first.

    Examples:
        >>> found_neighbours([0.9, 0.8, 0.2], exact=[0.9, 0.8, 0.8])
        2
    """
    if not len(exact):
        return 0
    limit = exact[-1] - _TIE
    return min(sum(cosine >= limit for cosine in cosines), len(exact))


def similarity_gain(cosines: Sequence[float], exact: Sequence[float], mean: float) -> float | None:
    """Return how far an answer gets from a random one to the exact one.

    Args:
        cosines: True cosines of the hits with the query, at least one.
        exact: Cosines of the nearest, best first, at least as many.
        mean: Mean cosine of all vectors with the query.

    Returns:
        1 for the nearest, about 0 for random ones, less than 0 for far ones; None where all
        answers are alike.

    Examples:
        >>> similarity_gain([0.5], exact=[0.9, 0.7], mean=0.1)
        0.5
    """
    best = float(np.mean(exact[: len(cosines)]))
    if best - mean <= _TIE:
        return None
    return float((np.mean(cosines) - mean) / (best - mean))
