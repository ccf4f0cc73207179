"""How right an answer is: found records against those that should have been found.

An answer is a sequence of record ids, best first, as a target gave it. It is cut after its first k
entries, and an id counts once, where it comes first: a target gains nothing by repeating itself,
as the repetition still takes up a place.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Id = TypeVar("Id", bound=Hashable)


def recall_at_k(found: Sequence[Id], relevant: AbstractSet[Id], k: int) -> float:
    """Return the share of the relevant records that are among the first k found.

    With more than k relevant records it cannot reach 1.

    Args:
        found: The answer, best first; may be empty.
        relevant: What should be found, at least one.
        k: Where the answer is cut, >= 1.

    Raises:
        ValueError: If nothing is relevant (the question has no recall) or k is below 1.

    Examples:
        >>> recall_at_k(["a", "x", "b", "c"], {"a", "b", "c", "d"}, 3)
        0.5
        >>> recall_at_k(["a", "a"], {"a", "b"}, 2)
        0.5
    """
    return _hits(found, _some(relevant), k) / len(relevant)


def precision_at_k(found: Sequence[Id], relevant: AbstractSet[Id], k: int) -> float:
    """Return the number of relevant records among the first k found, divided by k.

    Places left empty count as misses. With fewer than k relevant records it cannot reach 1.

    Args:
        found: The answer, best first; may be empty.
        relevant: What should be found, at least one.
        k: Where the answer is cut, >= 1.

    Raises:
        ValueError: If nothing is relevant or k is below 1.

    Examples:
        >>> precision_at_k(["a", "x", "b", "c"], {"a", "b", "c"}, 4)
        0.75
        >>> precision_at_k(["a"], {"a", "b"}, 2)
        0.5
    """
    return _hits(found, _some(relevant), k) / k


def f1_at_k(found: Sequence[Id], relevant: AbstractSet[Id], k: int) -> float:
    """Return the harmonic mean of precision and recall at k, 0 if both are 0.

    Args:
        found: The answer, best first; may be empty.
        relevant: What should be found, at least one.
        k: Where the answer is cut, >= 1.

    Raises:
        ValueError: If nothing is relevant or k is below 1.

    Examples:
        >>> f1_at_k(["a", "x"], {"a", "b", "c", "d"}, 2)  # precision 1/2, recall 1/4
        0.3333333333333333
    """
    return 2 * _hits(found, _some(relevant), k) / (k + len(relevant))


def ndcg_at_k(found: Sequence[Id], gains: Mapping[Id, float], k: int) -> float:
    """Return the normalised discounted cumulative gain at k, 0 to 1.

    The gain of the record at rank r (from 1) counts gain / log2(r + 1); the sum over the first k
    ranks is divided by that of the best possible answer. Gains are taken as they are, not as
    2**gain - 1.

    Args:
        found: The answer, best first; may be empty.
        gains: What each record is worth, >= 0; 0 if it is not in here.
        k: Where the answer is cut, >= 1.

    Raises:
        ValueError: If no gain is positive, one is negative or not finite, or k is below 1.

    Examples:
        >>> ndcg_at_k(["a", "b"], {"a": 3.0, "b": 1.0}, 2)
        1.0
        >>> round(ndcg_at_k(["b", "a"], {"a": 3.0, "b": 1.0}, 2), 3)
        0.797
    """
    _check(k)
    if not all(0 <= gain < math.inf for gain in gains.values()) or not any(gains.values()):
        raise ValueError("gains must be >= 0 and finite, and at least one above 0")
    left = dict(gains)
    gained = _discounted([left.pop(record, 0.0) for record in found[:k]])
    return gained / _discounted(sorted(gains.values(), reverse=True)[:k])


def reciprocal_rank(found: Sequence[Id], relevant: AbstractSet[Id]) -> float:
    """Return 1/r for the rank r (from 1) of the first relevant record, 0 if there is none.

    Args:
        found: The answer, best first; may be empty.
        relevant: What should be found, at least one.

    Raises:
        ValueError: If nothing is relevant.

    Examples:
        >>> reciprocal_rank(["x", "b", "a"], {"a", "b"})
        0.5
    """
    _some(relevant)
    ranks = (rank for rank, record in enumerate(found, 1) if record in relevant)
    first = next(ranks, None)
    return 0.0 if first is None else 1 / first


def overlap_at_k(found: Sequence[Id], exact: Sequence[Id], k: int) -> float:
    """Return how many of the first k of an exact search are among the first k found, over k.

    Where fewer than k exist, over those that do. This is what "recall@k" means for approximate
    search. Records that score the same as the k-th are equally right, but only those in ``exact``
    count.

    Args:
        found: The answer, best first; may be empty.
        exact: What an exact search answers, best first, no id twice, at least one.
        k: Where both are cut, >= 1.

    Raises:
        ValueError: If ``exact`` is empty or has an id twice, or k is below 1.

    Examples:
        >>> overlap_at_k(["b", "a", "x", "d"], ["a", "b", "c", "d"], 3)
        0.6666666666666666
    """
    _check(k)
    if len(set(exact)) < len(exact):
        raise ValueError("the exact answer has a record twice")
    return recall_at_k(found, set(exact[:k]), k)


def overlaps_at_k(
    found: npt.NDArray[np.integer[Any]], exact: npt.NDArray[np.integer[Any]], k: int
) -> npt.NDArray[np.float64]:
    """Return `overlap_at_k` of many answers at once.

    Args:
        found: Record numbers >= 0, a row per question, best first; -1 where there is none.
        exact: The same of an exact search, k columns or more, no number twice in a row.
        k: Where both are cut, >= 1.

    Returns:
        One overlap per question.

    Raises:
        ValueError: If shapes do not fit, ``exact`` is not full, or k is below 1.

    Examples:
        >>> overlaps_at_k(np.array([[4, 7], [1, -1]]), np.array([[7, 5], [1, 2]]), 2).tolist()
        [0.5, 0.5]
        >>> overlaps_at_k(np.array([[7, 7]]), np.array([[7, 5]]), 2).tolist()
        [0.5]
    """
    _check(k)
    if found.ndim != 2 or exact.ndim != 2 or len(found) != len(exact) or exact.shape[1] < k:
        raise ValueError(
            f"answers {found.shape} and exact answers {exact.shape} need a row per question, and "
            f"exact ones at least {k} columns"
        )
    truth = np.sort(exact[:, :k], axis=1)
    if (truth < 0).any() or (truth[:, 1:] == truth[:, :-1]).any():
        raise ValueError("an exact answer has a gap or a record twice")
    # Asked from the truth's side, a repeated record cannot count twice.
    hits = (truth[:, :, np.newaxis] == found[:, np.newaxis, :k]).any(axis=2)
    overlaps: npt.NDArray[np.float64] = hits.mean(axis=1)
    return overlaps


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, -1 to 1; equal values share the mean of their ranks.

    Args:
        first: One value per record, not NaN.
        second: The other value of the same records.

    Returns:
        The correlation, or None where there is none: fewer than two records, or one side all
        equal.

    Raises:
        ValueError: If lengths differ or a value is NaN.

    Examples:
        >>> rank_correlation([1, 2, 3, 4], [10, 20, 30, 25])
        0.8
        >>> rank_correlation([1, 2], [5, 5]) is None
        True
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values; give one for one")
    a, b = (_centred_ranks(np.asarray(values, np.float64)) for values in (first, second))
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale else None


def _hits(found: Sequence[Id], relevant: AbstractSet[Id], k: int) -> int:
    _check(k)
    return len(relevant & set(found[:k]))


def _some(relevant: AbstractSet[Id]) -> AbstractSet[Id]:
    if not relevant:
        raise ValueError("nothing is relevant; leave this question out")
    return relevant


def _check(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be >= 1, not {k!r}")


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _centred_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return mean ranks, less their own mean; multiples of a half, so sums are exact."""
    if np.isnan(values).any():
        raise ValueError("a value is NaN, which has no rank")
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = last - (counts - 1) / 2
    centred: npt.NDArray[np.float64] = ranks[place] - (len(values) + 1) / 2
    return centred
